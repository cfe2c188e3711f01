"""A backtest's result as one self-contained HTML page: what was wanted against what ran."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .page import heading, number, page, paragraph, table
from .plot import Points, lines

_WARNING = (
    "Decisions on recorded load, without a closed loop: had another count run, queues and latency "
    "would have been others. A gap is a stretch without data, or in which the answer was to keep "
    "what is; it counts in no sum. A replica that was still starting counts as short."
)
_FIGURES = (
    ("hours compared", "hours_compared"),
    ("hours without data", "hours_missing"),
    ("hours held", "hours_held"),
    ("GPU-hours wanted", "gpu_hours_wanted"),
    ("GPU-hours that ran", "gpu_hours_ran"),
    ("GPU-hours short", "short_gpu_hours"),
    ("GPU-hours over", "over_gpu_hours"),
    ("scale events wanted", "scale_events_wanted"),
    ("scale events that were", "scale_events_ran"),
    ("most wanted", "max_wanted"),
    ("most that ran", "max_ran"),
    ("GPU-hours lent", "lent_gpu_hours"),
    ("reclaims", "reclaims"),
)
_INFERENCE = (
    ("load", "Load", "replicas"),
    ("waiting", "Requests that wait", "requests"),
    ("running", "Requests that run", "requests"),
    ("ttft_s", "Time to first token, as recorded (mean of a minute)", "s"),
    ("safe_concurrency", "Safe concurrency of a replica", "requests"),
)
_TRAINING = (("load", "Online load of the pool", "%"),)

Moments = Mapping[str, Sequence[Mapping[str, Any]]]
"""By ``namespace/scaledobject``: every poll."""


def html(result: Mapping[str, Any], moments: Moments) -> str:
    """Return a page with figures, plots over time and reasons; it loads nothing."""
    about = f"{result['since']} to {result['until']}, a poll every {result['every_s']:g} s (UTC)"
    return page(f"kvtide backtest: {', '.join(moments)}", about, _parts(result, moments))


def _parts(result: Mapping[str, Any], moments: Moments) -> Iterator[str]:
    yield paragraph(_WARNING)
    for key, figures in result["objects"].items():
        yield heading(f"{key} ({figures['role']})")
        yield _table(figures)
        yield _plots(figures["role"], moments[key])
        yield table(
            ("reason", "of polls"),
            ((name, f"{100 * share:.1f} %") for name, share in figures["reasons"].items()),
        )


def _plots(role: str, moments: Sequence[Mapping[str, Any]]) -> str:
    is_training = role == "training"
    title, up = ("GPUs lent", "workers") if is_training else ("Replicas", "replicas")
    counts = {name: _over_time(moments, field) for name, field in _COUNTS.items()}
    plots = [lines(counts, title=title, up=up, filled="ran")]
    for field, name, unit in _TRAINING if is_training else _INFERENCE:
        points = _over_time(moments, field, times=100.0 if unit == "%" else 1.0)
        if any(value is not None for _, value in points):
            plots.append(lines({name.partition(",")[0].lower(): points}, title=name, up=unit))
    return "\n".join(plots)


_COUNTS = {"ran": "ran", "wanted": "wanted"}


def _over_time(moments: Sequence[Mapping[str, Any]], field: str, *, times: float = 1.0) -> Points:
    return [(one["at_s"], None if one[field] is None else times * one[field]) for one in moments]


def _table(figures: Mapping[str, Any]) -> str:
    rows = [(name, number(figures[field])) for name, field in _FIGURES if field in figures]
    rows.append(("minutes short", number(figures["short_s"] / 60)))
    if safe := figures.get("safe_concurrency"):
        spread = f"{number(safe['median'])} ({number(safe['min'])} to {number(safe['max'])})"
        limits = ", ".join(f"{100 * s:.0f} % {n}" for n, s in figures["binding_limits"].items())
        rows += [("safe concurrency, median", spread), ("what limits it", limits or "–")]
    return table(("figure", "value"), rows)
