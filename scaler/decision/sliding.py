"""
The grid that rules over time count in, and an average that advances along it bucket by bucket.

It is a function of the buckets it covers and of nothing else: sums are kept in whole nano-units, so
that it neither drifts nor depends on how long it has been advanced. :mod:`.average` is the same at
every point of a curve at once.
"""

import enum
import math
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

_NANO = 1_000_000_000
# A grid point may fall a float's error short of its bucket; no scrape is that punctual.
_SLACK = 1e-3


class GapRule(enum.StrEnum):
    """What a bucket without a reading, between two that have one, stands for."""

    CARRY = "carry"
    """The reading before it: how Prometheus reads a series."""
    ZERO = "zero"
    """Zero: Knative's collector writes every second, so a second without a write was idle."""


def bucket_of(at_s: float, bucket_s: float) -> int:
    """Return the number of the bucket that ``at_s`` lies in, counted from the Unix epoch."""
    return math.floor(at_s / bucket_s + _SLACK)


def buckets_of(at_s: npt.NDArray[np.float64], bucket_s: float) -> npt.NDArray[np.int64]:
    """Return the same of a column of instants."""
    return np.floor(at_s / bucket_s + _SLACK).astype(np.int64)


def since_last(column: npt.NDArray[Any], first: float) -> npt.NDArray[Any]:
    """Return what each of a column is more than the one before it; for the first what is told."""
    apart = np.empty_like(column)
    apart[:1] = first
    np.subtract(column[1:], column[:-1], out=apart[1:])
    return apart


class SlidingAverage(NamedTuple):
    """
    Average of one value per bucket over the last ``size`` buckets.

    Knative's rules (``pkg/autoscaler/aggregation/bucketing.go``): at the start of life the average
    is over the buckets so far; a gap between two readings is filled by ``gap_rule``; a gap at the
    end is left out; silence for the whole window forgets everything.
    """

    size: int
    gap_rule: GapRule
    last: int = 0
    """Bucket of the newest reading; without meaning while there is none."""
    values: tuple[int, ...] = ()
    """One nano-value per bucket, oldest first, ``last`` at the end; at most ``size`` of them."""
    total: int = 0
    """Sum of ``values``."""

    def record(self, bucket: int, reading: float) -> Self:
        """
        Return the average with the reading of ``bucket``, which is not before the newest one.

        A second reading of one bucket adds to the first under ``zero``, where each is a part of
        the load (Knative's scrapes), and takes its place under ``carry``, where each is all of it.
        """
        value = round(reading * _NANO)
        elapsed = bucket - self.last
        if not self.values or elapsed >= self.size:
            return self._with(bucket, (value,), value)
        if elapsed == 1:  # the usual case
            if len(self.values) < self.size:
                return self._with(bucket, (*self.values, value), self.total + value)
            total = self.total - self.values[0] + value
            return self._with(bucket, (*self.values[1:], value), total)
        newest = self.values[-1]
        if elapsed == 0:
            value += newest if self.gap_rule is GapRule.ZERO else 0
            return self._with(bucket, (*self.values[:-1], value), self.total - newest + value)
        fill = newest if self.gap_rule is GapRule.CARRY else 0
        gap = elapsed - 1
        gone = max(0, len(self.values) + elapsed - self.size)
        total = self.total - sum(self.values[:gone]) + fill * gap + value
        return self._with(bucket, (*self.values[gone:], *(fill,) * gap, value), total)

    def at(self, bucket: int) -> float:
        """Return the average as of ``bucket``, not before the newest; 0 once all is silent."""
        if bucket == self.last and self.values:  # the usual case
            return self.total / (len(self.values) * _NANO)
        kept = min(len(self.values), self.size - (bucket - self.last))
        if kept <= 0:
            return 0.0
        gone = len(self.values) - kept
        return (self.total - sum(self.values[:gone])) / (kept * _NANO)

    def is_empty(self, bucket: int) -> bool:
        """Whether nothing was read for more than the whole window before ``bucket``."""
        return not self.values or bucket - self.last > self.size

    def _with(self, last: int, values: tuple[int, ...], total: int) -> Self:
        return type(self)(self.size, self.gap_rule, last, values, total)
