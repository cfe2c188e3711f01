"""
Averages over the last n buckets, at every point of a curve at once.

Knative's rules (``pkg/autoscaler/aggregation/bucketing.go``): at the start of life the average is
over the buckets so far; a gap between two readings is filled by the gap rule; a gap at the end is
left out; silence for the whole window forgets everything.

Sums are kept in whole nano-units, so that an average is a function of the buckets it covers and of
nothing else: it neither drifts nor depends on where the curve begins.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .facts.columns import Array, Mask
from .sliding import GapRule

NANO = 1_000_000_000
_LARGEST = 2**62
"""Larger sums are counted in Python's own integers, which take longer."""


class Averages(NamedTuple):
    """One number a point."""

    load: Array
    """Averaged over the window that ends at the point; 0 where all of it is silent."""
    is_empty: Mask
    """Whether nothing was read for more than the whole window."""


class _Life(NamedTuple):
    """The readings of a curve, and what they add up to since each last began anew."""

    bucket: npt.NDArray[np.int64]
    value: npt.NDArray[Any]
    total: npt.NDArray[Any]
    """Of all buckets up to this reading's; only differences within one life mean anything."""
    before: npt.NDArray[Any]
    """The total before the life that this reading is in."""
    began: npt.NDArray[np.int64]
    """Bucket in which that life began."""


def averages_over(
    sizes: Sequence[int], buckets: npt.NDArray[np.int64], load: Array, gap_rule: GapRule
) -> tuple[Averages, ...]:
    """Return the averages over windows of several sizes, as :func:`averages` gives each."""
    if not _is_whole(buckets, load):
        return tuple(averages(buckets, load, size, gap_rule) for size in sizes)
    total = _nano(load, max(sizes)).cumsum()  # the usual case
    never = np.zeros(len(load), dtype=bool)
    return tuple(Averages(_over_all(total, size), never) for size in sizes)


def averages(buckets: npt.NDArray[np.int64], load: Array, size: int, gap_rule: GapRule) -> Averages:
    """
    Return the averages over ``size`` buckets of a load that is NaN where nothing was read.

    ``buckets`` do not fall. A second reading of one bucket adds to the first under ``zero``, where
    each is a part of the load (Knative's scrapes), and takes its place under ``carry``, where each
    is all of it.
    """
    known = ~np.isnan(load)
    newest = np.cumsum(known) - 1
    if not len(newest) or newest[-1] < 0:
        return Averages(np.zeros(len(load)), np.ones(len(load), dtype=bool))
    life = _life(buckets[known], load[known], size, gap_rule)
    silent = newest < 0
    at = np.maximum(newest, 0)
    age = buckets - life.bucket[at]
    start = buckets - size  # the last bucket that the window leaves out
    left = np.searchsorted(life.bucket, start, side="right") - 1
    left_out = life.total[left]
    if gap_rule is GapRule.CARRY:
        left_out = left_out + life.value[left] * (start - life.bucket[left])
    total = life.total[at] - np.where(start < life.began[at], life.before[at], left_out)
    count = np.minimum(life.bucket[at] - life.began[at] + 1, size - age)
    told = (count > 0) & ~silent
    mean = (np.where(told, total, 0) / (np.maximum(count, 1) * NANO)).astype(np.float64)
    return Averages(mean, silent | (age > size))


def _is_whole(buckets: npt.NDArray[np.int64], load: Array) -> bool:
    """Whether every bucket was read, once."""
    last = len(buckets) - 1
    return bool(
        last >= 0
        and buckets[last] - buckets[0] == last
        and (buckets[1:] > buckets[:-1]).all()
        and not np.isnan(load).any()
    )


def _over_all(total: npt.NDArray[Any], size: int) -> Array:
    """Return the averages of what was read in every bucket, ``total`` up to each."""
    summed = total.copy()
    summed[size:] -= total[:-size]
    mean: Array = np.asarray(summed / (size * NANO), dtype=np.float64)
    young = min(size, len(total))
    mean[:young] = summed[:young] / (NANO * np.arange(1, young + 1))
    return mean


def _life(buckets: npt.NDArray[np.int64], load: Array, size: int, gap_rule: GapRule) -> _Life:
    value = _nano(load, size)
    apart = np.diff(buckets, prepend=buckets[:1])
    anew = apart >= size
    anew[0] = True
    added = value.copy()
    if gap_rule is GapRule.CARRY:
        # The reading before stands for the gap; one of the same bucket is taken back.
        added[1:] += np.where(anew[1:], 0, value[:-1] * (np.minimum(apart[1:], size) - 1))
    total = np.cumsum(added)
    first = np.maximum.accumulate(np.where(anew, np.arange(len(value)), 0))
    # A life begins with its first reading alone.
    return _Life(buckets, value, total, total[first] - value[first], buckets[first])


def _nano(load: Array, size: int) -> npt.NDArray[Any]:
    """Return a load in whole nano-units."""
    if float(np.abs(load).max()) * NANO * (len(load) + 1) * size < _LARGEST:
        return np.rint(load * NANO).astype(np.int64)
    return np.array([round(one * NANO) for one in load.tolist()], dtype=object)
