"""
Histograms as Prometheus has them, and distributions that stay small however long a run is.

What must stay true: both take constant memory, so that a run's memory does not grow with its
trace.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from math import floor, log

# One bin is 1 % wide, so that a quantile is within half a percent of the true one.
_BINS_PER_E_FOLD = 100


class Buckets:
    """
    Counts per bucket and their sum, for an exposition in Prometheus' format.

    Attributes:
        upper: boundaries in increasing order; the overflow bucket (``+Inf``) is implied.
        counts: observations in each bucket alone, one more than ``upper``.
        total: the sum of what was observed.
    """

    __slots__ = ("counts", "total", "upper")

    def __init__(self, upper: Sequence[float]) -> None:
        self.upper = tuple(upper)
        self.counts = [0] * (len(self.upper) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count ``times`` observations of one value."""
        self.counts[bisect_left(self.upper, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        """Observations in all buckets."""
        return sum(self.counts)

    def copy(self) -> "Buckets":
        """Return the same counts, to go on with apart."""
        other = Buckets(self.upper)
        other.counts = list(self.counts)
        other.total = self.total
        return other


class Distribution:
    """Positive values with quantiles to within half a percent, in bins of equal ratio."""

    __slots__ = ("_bins", "count", "highest", "total", "zeros")

    def __init__(self) -> None:
        self._bins: dict[int, int] = {}
        self.zeros = 0
        self.count = 0
        self.total = 0.0
        self.highest = 0.0

    def add(self, value: float) -> None:
        """Count one value; anything at or below zero counts as zero."""
        self.count += 1
        if value <= 0:
            self.zeros += 1
            return
        self.total += value
        if value > self.highest:  # noqa: PLR1730 - max() costs more than all the rest here
            self.highest = value
        place = floor(log(value) * _BINS_PER_E_FOLD)
        bins = self._bins
        bins[place] = bins.get(place, 0) + 1

    def quantile(self, share: float) -> float | None:
        """Return the value that ``share`` of all values do not exceed; None: no values."""
        if not self.count:
            return None
        rank = math.ceil(share * self.count)
        seen = self.zeros
        if rank <= seen:
            return 0.0
        for place in sorted(self._bins):
            seen += self._bins[place]
            if seen >= rank:
                return min(self.highest, math.exp((place + 0.5) / _BINS_PER_E_FOLD))
        return self.highest

    @property
    def mean(self) -> float | None:
        """The arithmetic mean; None: no values."""
        return self.total / self.count if self.count else None
