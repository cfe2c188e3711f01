"""
What load usually rises by within one lead time: a newsvendor's stock against bursts.

It learns from whole minutes before the present one, so that it changes once a minute and the newest
load cannot lower it: a function of those minutes alone, how much older history a source still holds
and at which second of the minute it is asked change nothing.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaler.said import Said

from .burst import Burst, recurring
from .facts.columns import Array, Mask
from .outlook import MINUTE_S, Outlook, pinball, quantile
from .point import Curve
from .policy import InferencePolicy
from .sliding import bucket_of, buckets_of, since_last
from .window import Window

DAY_MINUTES = 1440

LEVEL_MINUTES = (5, 1)
"""
A rise is measured from the mean load of so many minutes, and added to it; the one that foretells
better here.

From the last minute a burst of on/off traffic would be counted twice while it lasts: on top of it
would be kept ready what only a silence is followed by. From five, a slope is seen late.
"""

SAME_HOUR_MINUTES = 30
"""Minutes of a day are alike up to this far apart."""
WORST = 0.99
"""Share of rises that a replica's spare room is measured by."""
ENOUGH_DAYS = 3
"""With the same hour of so many days known, other hours have no say."""


class Minutes(NamedTuple):
    """Load in whole minutes, one after the other up to the present one; NaN where not known."""

    number: npt.NDArray[np.int64]
    mean: Array
    highest: Array


class _Foretold(NamedTuple):
    """How load rose from a level, and how well a quantile of it has foretold what came."""

    length: int
    """Minutes that the level is the mean of."""
    held: float
    """The highest level within the reach."""
    risen: Array
    number: npt.NDArray[np.int64]
    """The minute of each rise."""
    at_this_hour: bool
    usual: float
    loss: float
    """Mean pinball loss over the minutes it learnt from, in replicas."""


def whole_minutes(window: Window, lookback_s: float) -> Window | None:
    """Return the minutes before the present one that begin within the lookback; None: none."""
    present = bucket_of(window.latest.at_s, MINUTE_S)
    oldest = bucket_of(window.latest.at_s - lookback_s, MINUTE_S) + 1
    older, fine = (
        np.searchsorted(buckets_of(past.instants.at_s, MINUTE_S), (oldest, present)).tolist()
        for past in (window.past, window.columns)
    )
    return window.part_with_history((older[0], older[1]), (fine[0], fine[1]))


def this_hour(past: Window, lead_time_s: float, now_s: float) -> Window | None:
    """
    Return of whole minutes what this hour of the day is learnt from; None: too few days are known.

    The minutes alike, those that they rise from and to, and those just gone: a day and more need
    not be gone through for the rest.
    """
    reach, before = math.ceil(max(1.0, lead_time_s / MINUTE_S)), max(LEVEL_MINUTES)
    minutes = buckets_of(past.columns.instants.at_s, MINUTE_S)
    ago = bucket_of(now_s, MINUTE_S) - minutes
    apart = _apart(ago)
    days = np.unique((ago + apart)[np.abs(apart) <= SAME_HOUR_MINUTES])
    if len(days) < ENOUGH_DAYS:
        return None
    near = (apart >= -SAME_HOUR_MINUTES - before) & (apart <= SAME_HOUR_MINUTES + reach)
    wanted = near | (ago <= reach + before)
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    return past.parts(list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)))


def rise(
    curve: Curve, policy: InferencePolicy, lead_time_s: float, *, now_s: float | None = None
) -> Outlook | None:
    """
    Return the upper quantile of how much load rose within one lead time; None: not known.

    A lead time between two whole numbers of minutes (one at least) lies between their outlooks.
    ``now_s`` is the last point's unless told.
    """
    now_s = float(curve.at_s[-1]) if now_s is None else now_s
    minutes = _minutes(curve, now_s, policy.forecast_lookback_s)
    if minutes is None:
        return None
    seen = _Seen.of(minutes)
    reach = max(1.0, lead_time_s / MINUTE_S)
    found = _reached(seen, reach, policy.forecast_quantile)
    burst = _recurring(seen, math.ceil(reach), policy.effective_target_utilization)
    return found and dataclasses.replace(found, burst=burst)


def _recurring(seen: "_Seen", reach: int, target: float) -> Burst | None:
    """Return the burst that comes back every hour, or in this one of every day."""
    minutes = seen.minutes
    alike, at_this_hour = _like_now(seen, seen.is_known)
    highest = np.where(alike, minutes.highest, np.nan)
    hours = 1 if at_this_hour else 24
    return recurring(minutes.number, highest, reach=reach, target=target, hours_a_day=hours)


def _reached(seen: "_Seen", reach: float, share: float) -> Outlook | None:
    near = _within(seen, math.floor(reach), share)
    part = reach % 1
    if near is None or not part:
        return near
    far = _within(seen, math.ceil(reach), share)
    return far and _between(near, far, part)


class _Seen(NamedTuple):
    """Minutes, and what every look at them needs of them."""

    minutes: Minutes
    is_known: Mask
    levels: tuple[Array, ...]
    """The mean load of each of LEVEL_MINUTES up to the end of each minute."""
    at_this_hour: Mask
    day: npt.NDArray[np.int64]
    """Which day's, for those at this hour."""
    is_daily: bool
    """Whether they are of several days."""

    @classmethod
    def of(cls, minutes: Minutes) -> "_Seen":
        before = minutes.number[-1] + 1 - minutes.number
        apart = _apart(before)
        levels = tuple(_levels(minutes.mean, length) for length in LEVEL_MINUTES)
        at_this_hour = np.abs(apart) <= SAME_HOUR_MINUTES
        day = before + apart
        is_daily = len(set(day[at_this_hour].tolist())) >= ENOUGH_DAYS
        return cls(minutes, ~np.isnan(minutes.mean), levels, at_this_hour, day, is_daily)


def _between(near: Outlook, far: Outlook, part: float) -> Outlook:
    return Outlook(
        load=near.load + part * (far.load - near.load),
        rise=near.rise + part * (far.rise - near.rise),
        worst=near.worst + part * (far.worst - near.worst),
        minutes=far.minutes,
        why=far.why,
    )


def _within(seen: _Seen, reach: int, share: float) -> Outlook | None:
    """Return the outlook on the next ``reach`` minutes from the level that has foretold best."""
    ahead = _ahead(seen.minutes.highest, reach)
    each = (
        _from_level(seen, levels, ahead, share, (reach, length))
        for levels, length in zip(seen.levels, LEVEL_MINUTES, strict=True)
    )
    known = [foretold for foretold in each if foretold is not None]
    if not known:
        return None
    best = min(known, key=lambda one: one.loss)
    told = {"share": 100 * share, "count": len(best.risen), "length": best.length}
    twice = _repeated(best.risen, best.number, reach)
    return Outlook(
        load=best.held,
        rise=max(0.0, min(best.usual, twice)),
        worst=max(0.0, min(quantile(best.risen, WORST), twice)),
        minutes=len(best.risen),
        why=_why(at_this_hour=best.at_this_hour, **told),
    )


def _from_level(
    seen: _Seen, levels: Array, ahead: Array, share: float, over: tuple[int, int]
) -> _Foretold | None:
    """
    Return how load rose within a reach from a level, both in minutes; None: too little is known.

    What was foreseen is held for a lead time by taking the highest level within it.
    """
    reach, length = over
    held = float(np.fmax.reduce(levels[-reach:]))
    rises = ahead - levels
    # Below 0 where it fell; a minute that is not known, or after which nothing is, says nothing.
    alike, at_this_hour = _like_now(seen, seen.is_known & ~np.isnan(rises))
    risen = rises[alike]
    if not len(risen) or math.isnan(held):
        return None
    usual, number = quantile(risen, share), seen.minutes.number[alike]
    loss = pinball(risen, usual, share)
    return _Foretold(length, held, risen, number, at_this_hour, usual, loss)


def _why(*, at_this_hour: bool, **told: float) -> Said:
    if at_this_hour:
        return Said(
            "{share:g} % of {count} minutes at this hour rose no more above the mean of {length}"
            " min",
            **told,
        )
    return Said(
        "{share:g} % of {count} minutes rose no more above the mean of {length} min", **told
    )


def _minutes(curve: Curve, now_s: float, lookback_s: float) -> Minutes | None:
    """
    Return each whole minute within the lookback from the first that is known; None: none is.

    A point stands for the time since the one before it, a minute at most: thinned history has few
    of them, and counters hold what came in between.
    """
    present = bucket_of(now_s, MINUTE_S)
    minute = buckets_of(curve.at_s, MINUTE_S)
    weight = np.minimum(MINUTE_S, since_last(curve.at_s, 1.0))
    told = ~np.isnan(curve.load) & (minute < present) & (minute * MINUTE_S > now_s - lookback_s)
    minute, load, weight = minute[told], curve.load[told], weight[told]
    if not len(minute):
        return None
    (first,) = since_last(minute, 1).nonzero()
    number = np.arange(minute[0], present)
    mean, highest = np.full(len(number), np.nan), np.full(len(number), np.nan)
    at = minute[first] - minute[0]
    mean[at] = np.add.reduceat(load * weight, first) / np.add.reduceat(weight, first)
    highest[at] = np.maximum.reduceat(load, first)
    return Minutes(number, mean, highest)


def _levels(mean: Array, length: int) -> Array:
    """Return the mean load of ``length`` minutes up to the end of each, where any is known."""
    if length == 1:
        return mean
    known = ~np.isnan(mean)
    told = np.array((np.where(known, mean, 0.0), known))
    both = np.zeros_like(told)
    for back in range(min(length, len(mean)) - 1, -1, -1):
        both[:, back:] += told[:, : len(mean) - back]
    total, count = both
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _ahead(highest: Array, reach: int) -> Array:
    """Return the highest load within the ``reach`` minutes after each; NaN: none is known."""
    ahead = np.full(len(highest), np.nan)
    for minute in range(1, min(reach, len(highest) - 1) + 1):
        ahead[:-minute] = np.fmax(ahead[:-minute], highest[minute:])
    return ahead


def _like_now(seen: _Seen, known: Mask) -> tuple[Mask, bool]:
    """Keep the minutes at this hour of the day, once several days are known; say whether."""
    if not seen.is_daily:  # the usual case
        return known, False
    alike = known & seen.at_this_hour
    days = set(seen.day[alike].tolist())
    return (alike, True) if len(days) >= ENOUGH_DAYS else (known, False)


def _apart(ago: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return how many minutes later in the day than now each of some minutes ago was, or sooner."""
    half = DAY_MINUTES // 2
    return (half - ago) % DAY_MINUTES - half


def _repeated(rises: Array, number: npt.NDArray[np.int64], reach: int) -> float:
    """
    Return the largest rise apart from the largest one: what happened once is no pattern.

    Apart are those that share no minute, neither of what they rose from nor of what they rose to.
    0 where there is no other.
    """
    largest = len(rises) - 1 - int(np.argmax(rises[::-1]))
    once = reach + max(LEVEL_MINUTES)
    apart = rises[np.abs(number - number[largest]) >= once]
    return float(apart.max()) if len(apart) else 0.0
