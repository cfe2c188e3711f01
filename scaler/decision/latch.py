"""
Whether a pool lends: on after quiet, off at a surge, and as it was in between.

A fold over the online load and never read from the training object: two scalers, or one before and
after a restart, agree.
"""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from .history import MINUTE_S, minute_of, minutes_over
from .online import OnlinePoint, averages
from .policy import LendingPolicy


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Whether lending is on, and when load last was past the reclaim threshold."""

    on: bool
    reclaimed_s: float | None
    panic_load: float | None
    """Online load averaged over the newest panic window; None: not known."""


def latch(
    points: Sequence[OnlinePoint], policy: LendingPolicy, *, imagined: Collection[float] = ()
) -> Latch:
    """
    Fold the online load into the latch.

    On from the first instant that ends a stable window of quiet (and ``lend_delay_s`` after the
    last reclaim), off at the first later instant whose panic window averages above
    ``reclaim_above``. An unknown instant ends the quiet, and nothing else. At ``imagined`` instants
    that average is no evidence.
    """
    state = Latch(on=False, reclaimed_s=None, panic_load=None)
    steady, calm = _steady_s(points, policy.lend_below), _calm_minutes(points, policy.lend_below)
    panics = averages(points, policy.panic_window_s)
    for point, panic, steady_s in zip(points, panics, steady, strict=True):
        state = dataclasses.replace(state, panic_load=panic)
        crossed = panic is not None and panic > policy.reclaim_above
        if crossed and point.at_s not in imagined:
            state = dataclasses.replace(state, on=False, reclaimed_s=point.at_s)
        elif not state.on:
            quiet_s = max(steady_s, _calm_s(point.at_s, calm, state.reclaimed_s))
            on = quiet_s >= policy.stable_window_s and _may_lend(point.at_s, state, policy)
            state = dataclasses.replace(state, on=on)
    return state


def _steady_s(points: Sequence[OnlinePoint], below: float) -> Iterator[float]:
    """Yield at each point for how long every reading has been below, in seconds."""
    since_s: float | None = None
    before_s: float | None = None
    for point in points:
        if point.load is None or point.load >= below:
            since_s = None
        elif since_s is None:
            # A sample stands for the bucket that it ends.
            since_s = point.at_s if before_s is None else before_s
        before_s = point.at_s
        yield 0.0 if since_s is None else point.at_s - since_s


def _calm_minutes(points: Sequence[OnlinePoint], below: float) -> dict[int, int]:
    """
    Return for each minute how many in a row, itself the last, have their middle below.

    The middle of the lowest and the highest reading is what a thinned history still knows of a
    minute's mean. Near the threshold one reading of many is often above it, and says little.
    """
    calm: dict[int, int] = {}
    for minute, group in itertools.groupby(points, key=lambda point: minute_of(point.at_s)):
        loads = [math.inf if point.load is None else point.load for point in group]
        quiet = (min(loads) + max(loads)) / 2 < below
        heard_whole = minute - 1 in calm
        calm[minute] = calm[minute - 1] + 1 if quiet and heard_whole else 0
    return calm


def _calm_s(now_s: float, calm: Mapping[int, int], reclaimed_s: float | None) -> float:
    """Return how long the whole minutes up to now have been calm since a reclaim, in seconds."""
    last = minutes_over(now_s)
    row = calm.get(last, 0)
    if reclaimed_s is not None:
        row = min(row, last - minute_of(reclaimed_s))
    return row * MINUTE_S


def _may_lend(now_s: float, state: Latch, policy: LendingPolicy) -> bool:
    return state.reclaimed_s is None or now_s - state.reclaimed_s >= policy.lend_delay_s
