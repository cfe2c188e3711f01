"""The table of the slower days: every policy at its defaults, the fixed fleet, and the oracle."""

import dataclasses
import itertools
import pathlib
import statistics
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.page import put
from benchmarks.policy_days import DAYS
from benchmarks.policy_report import OWN, Point, cheapest


def days_table(points: Sequence[Point]) -> str:
    """
    Return every policy on the slower days: those first that reach 99 % on each, by GPU-hours.

    Means of the seeds. Nothing where no such day was played.
    """
    played = [day for day in DAYS if any(one.trace == day.name for one in points)]
    if not played:
        return ""
    names = [day.name for day in played]
    by_policy: dict[str, list[Point]] = {}
    for name in names:
        for label, point in _of_a_day(_means(one for one in points if one.trace == name)):
            by_policy.setdefault(label, []).append(point)
    whole = [(label, each) for label, each in by_policy.items() if len(each) == len(names)]
    whole.sort(key=_rank)
    return "\n".join(
        [
            *(f"* **{day.name}**: {day.about}" for day in played),
            "",
            "| policy | " + " | ".join(f"{name}: in SLO | GPU-h" for name in names) + " | all |",
            "|---|" + "--:|--:|" * len(names) + "--:|",
            *(_row(label, each) for label, each in whole),
        ]
    )


def _means(points: Iterable[Point]) -> list[Point]:
    def setting(point: Point) -> tuple[str, str]:
        return point.policy, point.setting

    seeds = (list(each) for _, each in itertools.groupby(sorted(points, key=setting), key=setting))
    return [
        dataclasses.replace(
            each[0],
            gpu_hours=statistics.fmean(one.gpu_hours for one in each),
            attainment=statistics.fmean(one.attainment for one in each),
        )
        for each in seeds
    ]


def _rank(row: tuple[str, Sequence[Point]]) -> tuple[bool, float]:
    points = row[1]
    misses = any(one.attainment < 0.99 for one in points)
    return misses, sum(one.gpu_hours for one in points)


def _of_a_day(points: Sequence[Point]) -> Iterator[tuple[str, Point]]:
    fixed = cheapest((one for one in points if one.policy == "fixed"), 0.99)
    if fixed is not None:
        yield "fixed, the fewest for 99 %", fixed
    for one in points:
        if one.policy == "oracle":
            yield "oracle at 99 %", one
        elif one.policy == OWN:
            yield f"**{OWN}**" + ("" if one.setting == "default" else f" {one.setting}"), one
        elif one.setting == "default":
            yield one.policy, one


def _row(label: str, points: Sequence[Point]) -> str:
    cells = " | ".join(f"{100 * one.attainment:.1f} % | {one.gpu_hours:.1f}" for one in points)
    return f"| {label} | {cells} | {sum(one.gpu_hours for one in points):.1f} |"


def write_days(points: Sequence[Point], docs: pathlib.Path) -> None:
    """Write the table between the page's markers."""
    put(docs / "benchmarks.md", "slower days", days_table(points) + "\n")
