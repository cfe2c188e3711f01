"""
A reclaim begins on what has just been read, and not on an old reading that is rated anew.

What a replica can hold is learnt from the window, so that the newest readings re-rate all of its
past. A surge that was none when it was read would then take back workers minutes later, at a load
that asks for nothing.

What must stay true: while workers run, a crossing that is older than a panic window counts only if
it was one by what was known then. What cannot be told any more is not begun: what inference needs
comes first with every decision, whatever the latch says.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from .latch import Latch, latch
from .online import Online, averages, online_load
from .policy import LendingPolicy
from .pool import Member, PoolWindow


def latch_as_seen(pool: PoolWindow, online: Online, policy: LendingPolicy) -> Latch:
    """Return the latch without the crossings that only hindsight shows; see the module."""
    state = latch(online, policy)
    begun = state.on or not pool.workers or state.reclaimed_s is None
    if begun or pool.at_s - (state.reclaimed_s or 0.0) < policy.panic_window_s:
        return state
    imagined = np.zeros(len(online.at_s), dtype=bool)
    for first, last in _crossings(online, policy):
        if any(_was_one(pool, float(online.at_s[at]), policy) for at in {first, last}):
            break
        imagined[first : last + 1] = True
    return latch(online, policy, imagined=imagined) if imagined.any() else state


def _crossings(online: Online, policy: LendingPolicy) -> Iterator[tuple[int, int]]:
    """Yield the first and the last point of each run past the reclaim threshold, newest first."""
    over = averages(online, policy.panic_window_s) > policy.reclaim_above
    edges = np.flatnonzero(np.diff(over, prepend=False, append=False)).tolist()
    for first, end in zip(edges[-2::-2], edges[::-2], strict=True):
        yield first, end - 1


def _was_one(pool: PoolWindow, at_s: float, policy: LendingPolicy) -> bool:
    """Return whether load was past the threshold by what was known at an instant."""
    members = tuple(_known_at(one, at_s) for one in pool.members)
    past = dataclasses.replace(pool, at_s=at_s, members=members)
    panic = averages(online_load(past, policy), policy.panic_window_s)[-1:]
    return bool((panic > policy.reclaim_above).any())


def _known_at(member: Member, at_s: float) -> Member:
    """Return a member as of an instant; without a window where too little before it is left."""
    if member.window is None:
        return member
    window = member.window.until(at_s)
    if window is not None and 2 * window.span_s < member.window.span_s:
        window = None
    return dataclasses.replace(member, window=window)
