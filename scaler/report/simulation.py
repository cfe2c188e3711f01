"""A simulation's result as one self-contained HTML page, and its moments as CSV."""

import csv
import html as markup
import io
from collections.abc import Mapping, Sequence
from typing import Any

from .plot import lines

Moments = Mapping[str, Sequence[Mapping[str, float]]]
"""By policy: instants since scoring began, and what was seen then."""
_PLOTS = (
    ("ready_replicas", "Replicas that serve", "replicas"),
    ("spec_replicas", "Replicas asked for", "replicas"),
    ("waiting", "Requests that wait", "requests"),
    ("in_flight", "Requests in flight", "requests"),
)
_MOST_POINTS = 600


def html(result: Mapping[str, Any], moments: Moments) -> str:
    """Return a page with a table of figures and plots over time; it loads nothing."""
    title = f"kvtide simulate: {result['trace']}"
    plots = "\n".join(
        lines(_over_minutes(moments, field), title=name, across="minutes", up=unit)
        for field, name, unit in _PLOTS
    )
    about = ", ".join(
        f"{name} {value}" for name, value in result.items() if name != "policies" and value
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{markup.escape(title)}'
        "</title><style>body{font:14px sans-serif;margin:2em;max-width:960px}"
        "td,th{padding:2px 10px;text-align:right}"
        "td:first-child,th:first-child{text-align:left}svg{width:100%}</style>"
        f"<h1>{markup.escape(title)}</h1><p>{markup.escape(about)}</p>"
        f"{_table(result['policies'])}\n{plots}</html>\n"
    )


def _table(policies: Mapping[str, Mapping[str, Any]]) -> str:
    columns = ("gpu_hours", "slo_attainment", "queue_peak", "max_replicas", "scale_events")
    head = "".join(f"<th>{name}</th>" for name in ("policy", *columns, "ttft p99", "itl p99"))
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{markup.escape(cell)}</td>"
            for cell in (
                name,
                *(_figure(score[column]) for column in columns),
                _figure(score["ttft_s"]["p99"]),
                _figure(score["itl_s"]["p99"]),
            )
        )
        + "</tr>"
        for name, score in policies.items()
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _over_minutes(moments: Moments, field: str) -> dict[str, list[tuple[float, float]]]:
    return {
        name: [
            (one["at_s"] / 60, one[field])
            for one in each[:: max(1, len(each) // _MOST_POINTS)]
            if one["at_s"] >= 0
        ]
        for name, each in moments.items()
    }


def moments_csv(moments: Moments) -> str:
    """Return every moment of every policy as CSV."""
    text = io.StringIO()
    fields = [field for each in moments.values() for one in each[:1] for field in one]
    writer = csv.DictWriter(text, ["policy", *dict.fromkeys(fields)], lineterminator="\n")
    writer.writeheader()
    for name, each in moments.items():
        writer.writerows({"policy": name, **one} for one in each)
    return text.getvalue()
