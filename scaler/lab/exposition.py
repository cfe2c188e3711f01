"""Prometheus' text format (0.0.4), written: families with their type, rows with their labels."""

import math
from collections.abc import Mapping

from scaler.simulation.histogram import Buckets

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


class Page:
    """One exposition page under construction."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, *rows: tuple[Labels, float]) -> None:
        """Add a family of counters or gauges; a counter's ``name`` ends in ``_total``."""
        if rows:
            self._lines.append(f"# TYPE {name} {kind}")
            self._lines += (f"{name}{_braces(labels)} {_number(value)}" for labels, value in rows)

    def histogram(self, name: str, labels: Labels, buckets: Buckets) -> None:
        """Add a histogram of one row."""
        self._lines.append(f"# TYPE {name} histogram")
        seen = 0
        for upper, count in zip((*buckets.upper, math.inf), buckets.counts, strict=True):
            seen += count
            bounded = {**labels, "le": _number(upper)}
            self._lines.append(f"{name}_bucket{_braces(bounded)} {_number(seen)}")
        self._lines.append(f"{name}_count{_braces(labels)} {_number(seen)}")
        self._lines.append(f"{name}_sum{_braces(labels)} {_number(buckets.total)}")

    @property
    def text(self) -> str:
        """The page."""
        return "\n".join([*self._lines, ""])


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return "+Inf" if value == math.inf else repr(float(value))
