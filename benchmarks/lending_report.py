"""The figures of lending over seeds as tables, and the plot of what the rule costs."""

import dataclasses
import functools
import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence

from benchmarks.lending_plot import shares
from benchmarks.lending_runs import NONE, Row
from benchmarks.lending_ways import OWN
from benchmarks.page import put


@dataclasses.dataclass(frozen=True, kw_only=True)
class Oracles:
    """Unit-hours that could have been lent beside inference as it was."""

    bound: float
    """Under the two thresholds."""
    unbound: float
    trained: float
    """Of the bound ones, what a trainer could compute with its start-ups and checkpoints."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Everything of one case with one seed: rows by way and by ``lendBelow``."""

    highest_load: float
    oracles: Oracles
    by_share: dict[float, Oracles]
    ways: dict[str, Row]
    sweep: dict[float, Row]


Results = Sequence[Result]
"""One case, seed by seed."""
Figure = Callable[[Result], float | None]


def percent(part: float, whole: float) -> float | None:
    """Return a share in percent; None: of nothing."""
    return 100 * part / whole if whole else None


def change(now: Row, before: Row) -> float | None:
    """Return the change of the 99th percentile of the time to first token, in percent."""
    if not now.ttft_p99_s or not before.ttft_p99_s:
        return None
    return 100 * (now.ttft_p99_s / before.ttft_p99_s - 1)


def lost(one: Row) -> float | None:
    """Return the work that no checkpoint had, in percent of all that was computed."""
    return percent(one.lost_gpu_hours, one.training_gpu_hours + one.lost_gpu_hours)


def over(results: Results, figure: Figure, form: str, unit: str = "", *, spread: bool) -> str:
    """Return the median over the seeds, with the least and the most where they read otherwise."""
    known = [value for one in results if (value := figure(one)) is not None]
    if not known:
        return "–"
    middle, low, high = (f"{f(known):{form}}" for f in (statistics.median, min, max))
    said = middle + (f" {unit}" if unit else "")
    return f"{said} ({low} to {high})" if spread and low != high else said


_COLUMNS = (
    "| way | training GPU-h | of bound | of unbound | lost | TTFT p99 s | against none | SLO "
    "| inference GPU-h | told to go | reclaim p50/p99 s |\n" + "|---" * 11 + "|"
)


def table(name: str, results: Results) -> str:
    """Return one case as a Markdown table."""

    def middle(figure: Figure, form: str = ".2f") -> str:
        return over(results, figure, form, spread=False)

    head = (
        f"**{name}**: {middle(lambda one: one.ways[NONE].requests, ',.0f')} requests, "
        f"highest load {middle(lambda one: one.highest_load)}; "
        f"unbound oracle {middle(lambda one: one.oracles.unbound)} GPU-hours, "
        f"bound {middle(lambda one: one.oracles.bound)}, "
        f"of which a trainer could compute {middle(lambda one: one.oracles.trained)}\n"
    )
    return "\n".join((head, _COLUMNS, *(_line(title, results) for title in results[0].ways), ""))


def _line(title: str, results: Results) -> str:
    def cell(figure: Callable[[Row], float | None], form: str, unit: str = "") -> str:
        return over(results, lambda one: figure(one.ways[title]), form, unit, spread=False)

    def against(figure: Figure, form: str) -> str:
        return "–" if title == NONE else over(results, figure, form, "%", spread=True)

    cells = (
        title,
        cell(lambda one: one.training_gpu_hours, ".2f"),
        against(lambda one: _done(one, title, one.oracles.bound), ".1f"),
        against(lambda one: _done(one, title, one.oracles.unbound), ".1f"),
        cell(lost, ".1f", "%"),
        cell(lambda one: one.ttft_p99_s, ".3f"),
        against(lambda one: change(one.ways[title], one.ways[NONE]), "+.1f"),
        cell(lambda one: one.slo, ".4f"),
        cell(lambda one: one.inference_gpu_hours, ".1f"),
        cell(lambda one: one.told_to_go, ".0f"),
        cell(lambda one: one.reclaim_p50_s, ".0f")
        + "/"
        + cell(lambda one: one.reclaim_p99_s, ".0f"),
    )
    return f"| {' | '.join(cells)} |"


def _done(one: Result, title: str, most: float) -> float | None:
    return percent(one.ways[title].training_gpu_hours, most)


def sweeps(results: Mapping[str, Results]) -> str:
    """Return what each threshold lends of what is free, and what it does to those served."""
    swept = {name: each for name, each in results.items() if each[0].sweep}
    if not swept:
        return ""
    thresholds = list(next(iter(swept.values()))[0].sweep)
    heads = " | ".join(f"{share:g}" for share in thresholds)
    lines = [f"| case | `lendBelow` | {heads} |", "|---" * (2 + len(thresholds)) + "|"]
    for name, each in swept.items():
        for title, (figure, form, unit) in _OF_A_THRESHOLD.items():
            cells = (
                over(each, functools.partial(figure, at), form, unit, spread=True)
                for at in thresholds
            )
            lines.append(f"| {name} | {title} | {' | '.join(cells)} |")
    return "\n".join((*lines, ""))


def _lent(at: float, one: Result) -> float | None:
    return percent(one.sweep[at].training_gpu_hours, one.oracles.unbound)


def _ruled(at: float, one: Result) -> float | None:
    return percent(one.by_share[at].bound, one.oracles.unbound)


_OF_A_THRESHOLD: dict[str, tuple[Callable[[float, Result], float | None], str, str]] = {
    "training GPU-h of unbound": (_lent, ".1f", "%"),
    "TTFT p99 against none": (
        lambda at, one: change(one.sweep[at], one.ways[NONE]),
        *("+.1f", "%"),
    ),
    "told to go": (lambda at, one: one.sweep[at].told_to_go, ".0f", ""),
}


def plot(results: Mapping[str, Results]) -> str:
    """Return the price of the rule: shares of what the unbound oracle lends, over lendBelow."""
    return shares(
        {
            name: (
                _points(each, _ruled, list(each[0].by_share)),
                _points(each, _lent, list(each[0].sweep)),
            )
            for name, each in results.items()
        }
    )


def _points(
    results: Results, figure: Callable[[float, Result], float | None], thresholds: Sequence[float]
) -> list[tuple[float, float]]:
    """Return the median of the seeds at each threshold; nothing where nothing was free."""
    points = []
    for at in thresholds:
        known = [value for one in results if (value := figure(at, one)) is not None]
        if known:
            points.append((at, statistics.median(known)))
    return points


def write_page(results: Mapping[str, Results], docs: pathlib.Path) -> None:
    """Write the tables between the page's markers, and the plot beside it."""
    parts = (
        _seeds(results),
        _goals(results),
        sweeps(results),
        *map(table, results, results.values()),
    )
    put(docs / "lending-benchmark.md", "figures", "\n".join(parts))
    (docs / "lending-benchmark.svg").write_text(plot(results), encoding="utf-8")


def _seeds(results: Mapping[str, Results]) -> str:
    """Say what the figures are of."""
    count = min(len(each) for each in results.values())
    if count == 1:
        return "Of one seed.\n"
    return f"Medians of {count} seeds, with the least and the most where they differ.\n"


def _goals(results: Mapping[str, Results]) -> str:
    """Return each case against the three goals."""
    head = (
        "| case | training GPU-h of bound (goal 90 %) | of what a trainer could compute "
        "| TTFT p99 (goal within 2 %) | work lost (goal 1 %) |\n" + "|---" * 5 + "|"
    )
    figures: tuple[tuple[Figure, str], ...] = (
        (lambda one: _done(one, OWN, one.oracles.bound), ".1f"),
        (lambda one: _done(one, OWN, one.oracles.trained), ".1f"),
        (lambda one: change(one.ways[OWN], one.ways[NONE]), "+.1f"),
        (lambda one: lost(one.ways[OWN]), ".1f"),
    )
    lines = [head]
    for name, each in results.items():
        cells = (over(each, figure, form, "%", spread=True) for figure, form in figures)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join((*lines, ""))
