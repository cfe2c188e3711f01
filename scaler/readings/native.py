"""
Native histograms as the classic series that they were made of, or would have been.

A Prometheus 3 that converts classic histograms (``convert_classic_histograms_to_nhcb``) stores
``foo`` in place of ``foo_bucket``, ``foo_sum`` and ``foo_count``. Samples then come under
``histogram`` (of an instant) or ``histograms`` (of a range), each a count, a sum, and the buckets
that hold anything: rule, lower bound, upper bound, how many are in it alone.
(prometheus.io/docs/prometheus/latest/querying/api, "Native histograms".)
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .series import Point

SUFFIXES = ("_sum", "_count", "_bucket")

Row = tuple[Mapping[str, str], list[Point]]


def with_native(metrics: Iterable[str]) -> tuple[str, ...]:
    """Return names, and those that parts of a histogram would be stored under as a whole."""
    names = tuple(metrics)
    whole = (name.removesuffix(end) for name in names for end in SUFFIXES if name.endswith(end))
    return tuple(dict.fromkeys((*names, *whole)))


def is_native(row: Mapping[str, Any]) -> bool:
    """Whether a row of a result holds native histograms."""
    return "histograms" in row or "histogram" in row


def classic(labels: Mapping[str, str], row: Mapping[str, Any]) -> Iterator[Row]:
    """
    Yield a row of native histograms as classic ones: sum and count, or cumulative buckets.

    Buckets are those of what has no name: what was added up.

    Raises:
        TypeError, ValueError, KeyError: it has not the shape that is documented.
    """
    written = row["histograms"] if "histograms" in row else [row["histogram"]]
    name = labels.get("__name__")
    if name is None:
        at_s, histogram = written[-1]
        for upper, count in _cumulative(histogram):
            yield {**labels, "le": upper}, [(float(at_s), count)]
        return
    for part in ("sum", "count"):
        points = [(float(at_s), float(histogram[part])) for at_s, histogram in written]
        yield {**labels, "__name__": f"{name}_{part}"}, points


def _cumulative(histogram: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    total = 0.0
    for _, _, upper, count in histogram.get("buckets") or ():
        total += float(count)
        if float(upper) < math.inf:
            yield str(upper), total
    yield "+Inf", float(histogram["count"])
