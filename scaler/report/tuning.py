"""What a grid of settings came to, as one self-contained HTML page."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from .front import front_plot
from .page import heading, number, page, paragraph, table


def title(result: Mapping[str, Any]) -> str:
    """Return what was played, in a few words."""
    if result.get("trace") is not None:
        return str(result["trace"])
    of = result["recorded"]
    return f"{of['object']}, {of['since']} to {of['until']}"


def told(result: Mapping[str, Any]) -> list[str]:
    """Return what a reader has to know of a recorded load; of a trace: nothing."""
    if (of := result.get("recorded")) is None:
        return []
    missing = of["hours_missing"]
    known = f"A cold start of {result['cold_start_s']:.0f} s: {of['cold_start']}."
    if missing < 0.05:
        return [known]
    return [f"{missing:.1f} hours without readings are played as if nothing came in them.", known]


def html(result: Mapping[str, Any]) -> str:
    """Return a page with the front, every setting, and what each would have cost a day."""
    return page(
        f"kvtide tune: {title(result)}",
        f"{result['requests']:,} requests against {len(result['settings'])} settings, simulated "
        f"with seed {result['seed']}.",
        _parts(result),
    )


def _parts(result: Mapping[str, Any]) -> Iterator[str]:
    rows = sorted(result["settings"].values(), key=lambda one: one["gpu_hours"])
    share = f"{100 * result['slo']:g} %"
    yield from map(paragraph, told(result))
    if result["paste"] is None:
        yield paragraph(f"None of these serves {share} in time.")
    else:
        stated = ", ".join(f"{key}: {value}" for key, value in result["paste"].items())
        yield paragraph(f"The cheapest that serves {share} in time: {stated or 'as today'}.")
    yield front_plot(rows, slo=result["slo"], today=result["today"])
    yield heading("Nothing is better in both")
    yield _table([row for row in rows if row["front"]])
    yield heading("Every setting")
    yield _table(rows)
    yield heading("GPU-hours by day")
    days = max(len(row["gpu_hours_by_day"]) for row in rows)
    head = ["settings", *_days(result, days)]
    yield table(head, ([row["name"], *map(number, row["gpu_hours_by_day"])] for row in rows))


def _table(rows: list[Mapping[str, Any]]) -> str:
    head = ("settings", "in SLO", "GPU-hours", "TTFT p99 s", "ITL p99 s", "changes", "most")
    return table(
        head,
        (
            (
                row["name"],
                "–" if row["slo_attainment"] is None else f"{100 * row['slo_attainment']:.2f} %",
                number(row["gpu_hours"]),
                number(row["ttft_p99_s"]),
                number(row["itl_p99_s"]),
                number(row["scale_events"]),
                number(row["max_replicas"]),
            )
            for row in rows
        ),
    )


def _days(result: Mapping[str, Any], days: int) -> list[str]:
    """Return what the days are called: by when they began, where that is known."""
    if (of := result.get("recorded")) is None:
        return [f"day {day + 1}" for day in range(days)]
    first = dt.datetime.fromisoformat(of["since"])
    return [f"from {first + dt.timedelta(days=day):%Y-%m-%d %H:%M}" for day in range(days)]
