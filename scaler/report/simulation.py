"""A simulation's result as one self-contained HTML page, and its moments as CSV."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .page import heading, number, page, table
from .plot import Points, lines

Moments = Mapping[str, Sequence[Mapping[str, Any]]]
"""By policy: instants since scoring began, and what was seen then."""
_COMPARED = (
    ("waiting", "Requests that wait", "requests"),
    ("ttft_s", "Time to first token (mean of those that finished)", "s"),
    ("in_flight", "Requests in flight", "requests"),
    ("workers", "GPUs lent to training", "workers"),
)
_COLUMNS = ("gpu_hours", "slo_attainment", "queue_peak", "max_replicas", "scale_events")
_LENDING = ("training_gpu_hours", "training_lost_gpu_hours")


def html(result: Mapping[str, Any], moments: Moments, *, demand: Points = ()) -> str:
    """
    Return a page with a table of figures and plots over time; it loads nothing.

    ``demand`` is how many replicas the requests that arrived kept busy, over the seconds of the
    trace: what replicas are drawn against.
    """
    return page(
        f"kvtide simulate: {result['trace']}",
        _about(result),
        _parts(result["policies"], moments, demand),
    )


def _about(result: Mapping[str, Any]) -> str:
    """Say in sentences what was played, and on what."""
    drawn = f", drawn from rates with seed {result['seed']}" if result.get("sampled") else ""
    said = [f"{result['requests']:,} requests in {_lasting(result['length_s'])}{drawn}."]
    changes = [
        f"{result['scale']:g} times as many" if result.get("scale", 1) != 1 else "",
        f"{result['speed_up']:g} times as fast" if result.get("speed_up", 1) != 1 else "",
        f"seconds {result['slice']} of the trace" if result.get("slice") else "",
        f"{_lasting(result['warm_up_s'])} before it, not scored" if result.get("warm_up_s") else "",
    ]
    if stated := ", ".join(change for change in changes if change):
        said.append(f"Played: {stated}.")
    if replica := result.get("replica"):
        cost, tokens = replica["step_cost"], replica["num_blocks"] * replica["block_tokens"]
        said.append(
            f"A replica holds {tokens:,} tokens of KV cache and at most {replica['max_num_seqs']} "
            f"requests; a step takes {1000 * cost['a_s']:.1f} ms, "
            f"{1e6 * cost['b_s']:.0f} µs for each running request and "
            f"{1e6 * cost['c_s']:.0f} µs for each prompt token."
        )
    if training := result.get("training"):
        said.append(f"What is idle is lent to training ({training}).")
    return " ".join(said)


def _lasting(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{seconds / 60:.0f} min"


def _parts(
    policies: Mapping[str, Mapping[str, Any]], moments: Moments, demand: Points
) -> Iterator[str]:
    yield _table(policies)
    yield heading("Replicas against demand")
    for name in moments:
        series = {
            "demand": list(demand),
            "asked for": _over_time(moments[name], "spec_replicas"),
            "serving": _over_time(moments[name], "ready_replicas"),
        }
        yield lines(series, title=name, up="replicas", filled="demand", clock=False)
    yield heading("What it did to requests")
    for field, title, up in _COMPARED:
        each = {name: _over_time(moments[name], field) for name in moments}
        if any(value for points in each.values() for _, value in points):
            yield lines(each, title=title, up=up, clock=False)


def _table(policies: Mapping[str, Mapping[str, Any]]) -> str:
    lent = [name for name in _LENDING if any(score.get(name) for score in policies.values())]
    columns = (*_COLUMNS, *lent)
    head = [name.replace("_", " ") for name in ("policy", *columns, "ttft p99", "itl p99")]
    rows = (
        (
            name,
            *(_figure(column, score[column]) for column in columns),
            _seconds(score["ttft_s"]["p99"]),
            _seconds(score["itl_s"]["p99"]),
        )
        for name, score in policies.items()
    )
    return table(head, rows)


def _figure(column: str, value: float | None) -> str:
    if column == "slo_attainment":
        return "–" if value is None else f"{100 * value:.2f} %"
    return number(value)


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def _over_time(moments: Sequence[Mapping[str, Any]], field: str) -> Points:
    return [(one["at_s"], one.get(field)) for one in moments if one["at_s"] >= 0]


def moments_csv(moments: Moments, *, of: str = "policy") -> str:
    """Return every moment of every policy (or what else they are ``of``) as CSV."""
    text = io.StringIO()
    fields = [field for each in moments.values() for one in each[:1] for field in one]
    writer = csv.DictWriter(text, [of, *dict.fromkeys(fields)], lineterminator="\n")
    writer.writeheader()
    for name, each in moments.items():
        writer.writerows({of: name, **one} for one in each)
    return text.getvalue()
