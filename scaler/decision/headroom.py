"""
Units kept free while inference is rising: a replica it asks for then finds its unit free.

What has stood still or fallen seldom asks for more the next minute, and a unit that is free all day
for it is a unit that nobody uses. Once need has gone up it usually goes on: so headroom is kept
from one step up until the time has passed in which the next one usually comes, as large as such
steps have been.

What must stay true: a longer reclaim never means less headroom, and none means more than need ever
rose by at once within the lookback.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from .online import Online
from .outlook import quantile


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of what the workloads need, in whole units."""

    at_s: float
    before: int
    after: int

    @property
    def is_rise(self) -> bool:
        """Whether more is needed than before."""
        return self.after > self.before


def headroom_units(online: Online, within_s: float, share: float) -> int:
    """
    Return how many more units need usually comes to within ``within_s`` as it is rising now.

    0 while it is not rising, where no rise was seen to go on, and of units that are free at once.

    Args:
        online: online load over time.
        within_s: how long it takes to get a unit back, seconds.
        share: of the steps by which rises went on, how many find their units free; and in how
            many of them the next step has come before a rise counts as over.
    """
    changes = _changes(online)
    if not within_s or not changes or not changes[-1].is_rise:
        return 0
    steps = [
        (later.at_s - sooner.at_s, number)
        for number, (sooner, later) in enumerate(itertools.pairwise(changes), 1)
        if sooner.is_rise and later.is_rise
    ]
    if not steps:
        return 0
    usual_s = quantile([gap_s for gap_s, _ in steps], share)
    if online.at_s[-1] - changes[-1].at_s > usual_s:
        return 0
    return int(quantile([_grown(changes, number, within_s) for _, number in steps], share))


def _changes(online: Online) -> list[Change]:
    """Return each change of need between instants at which it is known."""
    known = ~np.isnan(online.needed_units)
    at_s, needed = online.at_s[known], online.needed_units[known]
    return [
        Change(at_s=float(at_s[at + 1]), before=int(needed[at]), after=int(needed[at + 1]))
        for at in np.flatnonzero(np.diff(needed)).tolist()
    ]


def _grown(changes: Sequence[Change], first: int, within_s: float) -> int:
    """Return by how much need exceeded what it was before a change, so long after it."""
    until_s = changes[first].at_s + within_s
    soon = itertools.takewhile(lambda one: one.at_s <= until_s, changes[first:])
    return max(one.after for one in soon) - changes[first].before
