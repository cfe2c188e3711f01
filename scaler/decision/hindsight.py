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
import itertools
from collections.abc import Iterator, Sequence

from .latch import Latch, latch
from .online import OnlinePoint, averages, online_load
from .policy import LendingPolicy
from .pool import Member, PoolWindow


def latch_as_seen(pool: PoolWindow, points: Sequence[OnlinePoint], policy: LendingPolicy) -> Latch:
    """Return the latch without the crossings that only hindsight shows; see the module."""
    state = latch(points, policy)
    begun = state.on or not pool.workers or state.reclaimed_s is None
    if begun or pool.at_s - (state.reclaimed_s or 0.0) < policy.panic_window_s:
        return state
    imagined: set[float] = set()
    for run in _crossings(points, policy):
        if any(_was_one(pool, at_s, policy) for at_s in {run[0], run[-1]}):
            break
        imagined.update(run)
    return latch(points, policy, imagined=imagined) if imagined else state


def _crossings(points: Sequence[OnlinePoint], policy: LendingPolicy) -> Iterator[list[float]]:
    """Yield the instants past the reclaim threshold in runs, the newest run first."""
    panics = averages(points, policy.panic_window_s)
    over = [
        (panic is not None and panic > policy.reclaim_above, point.at_s)
        for point, panic in zip(points, panics, strict=True)
    ]
    for crossed, run in itertools.groupby(reversed(over), key=lambda one: one[0]):
        if crossed:
            yield [at_s for _, at_s in run]


def _was_one(pool: PoolWindow, at_s: float, policy: LendingPolicy) -> bool:
    """Return whether load was past the threshold by what was known at an instant."""
    members = tuple(_known_at(one, at_s) for one in pool.members)
    past = dataclasses.replace(pool, at_s=at_s, members=members)
    panic = averages(online_load(past, policy), policy.panic_window_s)[-1:]
    return any(one is not None and one > policy.reclaim_above for one in panic)


def _known_at(member: Member, at_s: float) -> Member:
    """Return a member as of an instant; without a window where too little before it is left."""
    if member.window is None:
        return member
    window = member.window.until(at_s)
    if window is not None and 2 * window.span_s < member.window.span_s:
        window = None
    return dataclasses.replace(member, window=window)
