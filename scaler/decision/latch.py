"""
Whether a pool lends: on after quiet, off at a surge, and as it was in between.

A pass over the online load, and never read from the training object: two scalers, or one before and
after a restart, agree.
"""

import dataclasses
import math

import numpy as np

from .facts.columns import Array, Mask
from .history import MINUTE_S, minute_of
from .online import Online, averages
from .policy import LendingPolicy
from .sliding import since_last


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Whether lending is on, and when load last was past the reclaim threshold."""

    on: bool
    reclaimed_s: float | None
    panic_load: float | None
    """Online load averaged over the newest panic window; None: not known."""


def latch(online: Online, policy: LendingPolicy, *, imagined: Mask | None = None) -> Latch:
    """
    Return the state that the online load leads to.

    Off at an instant whose panic window averages above ``reclaim_above``; on from the first one
    after the last of them that ends a stable window of quiet (and ``lend_delay_s`` after it). An
    unknown instant ends the quiet, and nothing else. At ``imagined`` instants that average is no
    evidence.
    """
    at_s, panics = online.at_s, averages(online, policy.panic_window_s)
    crossed = panics > policy.reclaim_above
    reclaims = np.flatnonzero(crossed if imagined is None else crossed & ~imagined)
    first = int(reclaims[-1]) + 1 if len(reclaims) else 0
    reclaimed_s = float(at_s[first - 1]) if first else None
    quiet_s = np.maximum(
        _steady_s(online, policy.lend_below)[first:],
        _calm_s(online, policy.lend_below, reclaimed_s)[first:],
    )
    on = quiet_s >= policy.stable_window_s
    if reclaimed_s is not None:
        on &= at_s[first:] - reclaimed_s >= policy.lend_delay_s
    newest = float(panics[-1]) if len(panics) else math.nan
    return Latch(
        on=bool(on.any()),
        reclaimed_s=reclaimed_s,
        panic_load=None if math.isnan(newest) else newest,
    )


def _steady_s(online: Online, below: float) -> Array:
    """Return at each point for how long every reading has been below, in seconds."""
    number = np.arange(len(online.at_s))
    # A sample stands for the bucket that it ends: quiet began with the last one that was not.
    loud = np.maximum.accumulate(np.where(online.load < below, 0, number))
    return online.at_s - online.at_s[loud]


def _calm_s(online: Online, below: float, reclaimed_s: float | None) -> Array:
    """
    Return at each point how long the whole minutes up to it have been calm since a reclaim.

    In seconds. The middle of the lowest and the highest reading is what a thinned history still
    knows of a minute's mean. Near the threshold one reading of many is often above it, and says
    little. Of the first minute, and of one after a gap, it is not known that it was heard whole.
    """
    minutes = np.ceil(online.at_s / MINUTE_S - 1e-9)
    (first,) = since_last(minutes, 1.0).nonzero()
    if not len(first):
        return np.empty(0)
    loads = np.where(np.isnan(online.load), math.inf, online.load)
    middle = (np.minimum.reduceat(loads, first) + np.maximum.reduceat(loads, first)) / 2
    minute, row = minutes[first], np.arange(len(first))
    calm = (middle < below) & (since_last(minute, 0.0) == 1)
    rows = row - np.maximum.accumulate(np.where(calm, 0, row))
    last = np.floor(online.at_s / MINUTE_S + 1e-9)
    at = np.searchsorted(minute, last)
    counted = np.where(minute[at] == last, rows[at], 0.0)
    if reclaimed_s is not None:
        counted = np.minimum(counted, last - minute_of(reclaimed_s))
    return counted * MINUTE_S
