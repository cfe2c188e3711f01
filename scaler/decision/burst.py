"""
A burst that comes back every hour: what it needs, when, and what it would cost to be ready for it.

A burst that is shorter than a cold start is over before the replicas that it asks for serve. Once
it has come back at the same minute of several hours it is known when it will come again, and
whether to have replicas ready by then is a question of money: so it is told with its price, and
done only where it is asked for (``burst: absorb``).

What must stay true: what happened in fewer than three hours, or in less than three quarters of
those that are known, is no pattern and buys nothing.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from .facts.columns import Array

HOUR_MINUTES = 60
ENOUGH_HOURS = 3
"""As often a minute of the hour must be known."""
MISSED_SHARE = 0.25
"""Of the hours, in so many a burst may have stayed away or been smaller."""
EARLY_MINUTES = 1
"""A burst comes up to so much sooner or later than it did."""
LEAST_RATIO = 2.0
"""Over what the hour usually needs: what is less is no burst."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What comes back every hour."""

    minute: int
    """Of the hour, when it needs most."""
    load: float
    """What it needs then, in replicas, each of them full."""
    ahead: float
    """The same of the minutes from now until a replica that is asked for now serves."""
    replica_hours: float
    """What having replicas ready for it costs a day, beyond what the hours need anyway."""


def recurring(
    number: npt.NDArray[np.int64],
    highest: Array,
    *,
    reach: int,
    target: float,
    hours_a_day: int,
) -> Burst | None:
    """
    Return the burst of whole minutes up to the present one; None: there is none.

    Args:
        number: of each minute, one after the other.
        highest: load of each, in replicas; NaN where it is not known.
        reach: minutes until a replica that is asked for now serves.
        target: load that a replica runs at.
        hours_a_day: how many hours are like those that are known.
    """
    profile = _profile(number, highest)
    if profile is None:
        return None
    usual, most = float(np.median(profile)), float(profile.max())
    anyway = max(1, _whole(usual / target))
    if most < LEAST_RATIO * usual or _whole(most) <= anyway:
        return None
    ready = np.array([_ahead(profile, minute, reach) for minute in range(HOUR_MINUTES)])
    beyond = np.maximum(0, np.ceil(ready - 1e-6) - anyway)
    return Burst(
        minute=int(profile.argmax()),
        load=most,
        ahead=_ahead(profile, int(number[-1] + 1) % HOUR_MINUTES, reach),
        replica_hours=hours_a_day * float(beyond.mean()),
    )


def _profile(number: npt.NDArray[np.int64], highest: Array) -> Array | None:
    """Return what each minute of the hour needed in most hours; None: some are known too little."""
    first = int(number[0]) - int(number[0]) % HOUR_MINUTES
    hours = math.ceil((int(number[-1]) + 1 - first) / HOUR_MINUTES)
    if hours < ENOUGH_HOURS:
        return None
    by_hour: Array = np.full(hours * HOUR_MINUTES, np.nan)
    by_hour[number - first] = highest
    by_hour = by_hour.reshape((hours, HOUR_MINUTES))
    known = (~np.isnan(by_hour)).sum(axis=0)
    if known.min() < ENOUGH_HOURS:
        return None
    # Not known sorts last, so that it never counts among the lowest.
    ordered = np.sort(_nearby(by_hour), axis=0)
    told = (~np.isnan(ordered)).sum(axis=0)
    rank = np.maximum(np.ceil(MISSED_SHARE * told), 1).astype(np.int64) - 1
    profile: Array = ordered[rank, np.arange(HOUR_MINUTES)]
    return profile


def _nearby(by_hour: Array) -> Array:
    """Return the most of each minute and those beside it, in its hour and the next ones."""
    line = by_hour.ravel()
    most = line.copy()
    for apart in range(1, EARLY_MINUTES + 1):
        most[apart:] = np.fmax(most[apart:], line[:-apart])
        most[:-apart] = np.fmax(most[:-apart], line[apart:])
    return np.where(np.isnan(by_hour), np.nan, most.reshape(by_hour.shape))


def _ahead(profile: Array, minute: int, reach: int) -> float:
    """Return the most that is needed from a minute of the hour on, so many minutes ahead."""
    return float(profile[np.arange(minute, minute + reach + 1) % HOUR_MINUTES].max())


def _whole(load: float) -> int:
    return math.ceil(load - 1e-6)
