"""
What load usually rises by within one lead time: a newsvendor's stock against bursts.

It learns from whole minutes before the present one, so that it changes once a minute and the newest
load cannot lower it.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence

from .outlook import MINUTE_S, Outlook, pinball, quantile
from .point import LoadPoint
from .policy import InferencePolicy
from .sliding import bucket_of

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
ENOUGH_DAYS = 3
"""With the same hour of so many days known, other hours have no say."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """Load in one whole minute, where it is known."""

    mean: float
    highest: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """An outlook, and how well its like has foretold what came."""

    outlook: Outlook
    loss: float
    """Mean pinball loss over the minutes it learnt from, in replicas."""


def rise(
    points: Sequence[LoadPoint], policy: InferencePolicy, lead_time_s: float
) -> Outlook | None:
    """
    Return the upper quantile of how much load rose within one lead time; None: not known.

    A lead time between two whole numbers of minutes (one at least) lies between their outlooks.
    """
    present = bucket_of(points[-1].at_s, MINUTE_S)
    minutes = _minutes(points, policy.forecast_lookback_s)
    reach = max(1.0, lead_time_s / MINUTE_S)
    near = _within(minutes, present, math.floor(reach), policy.forecast_quantile)
    part = reach % 1
    if near is None or not part:
        return near
    far = _within(minutes, present, math.ceil(reach), policy.forecast_quantile)
    return far and _between(near, far, part)


def _between(near: Outlook, far: Outlook, part: float) -> Outlook:
    return Outlook(
        load=near.load + part * (far.load - near.load),
        rise=near.rise + part * (far.rise - near.rise),
        why=far.why,
    )


def _within(
    minutes: Mapping[int, Minute], present: int, reach: int, share: float
) -> Outlook | None:
    """Return the outlook on the next ``reach`` minutes from the level that has foretold best."""
    each = (_from_level(minutes, present, reach, share, length) for length in LEVEL_MINUTES)
    known = [foretold for foretold in each if foretold is not None]
    return min(known, key=lambda one: one.loss).outlook if known else None


def _from_level(
    minutes: Mapping[int, Minute], present: int, reach: int, share: float, length: int
) -> Foretold | None:
    """
    Return the outlook from the level of ``length`` minutes; None: too little is known.

    What was foreseen is held for a lead time by taking the highest level within it.
    """
    levels = _levels(minutes, present, length)
    held = [levels[past] for past in range(present - reach, present) if past in levels]
    rises, when = _like_now(_rises(minutes, levels, reach), present)
    if not rises or not held:
        return None
    usual = quantile(list(rises.values()), share)
    outlook = Outlook(
        load=max(held),
        rise=max(0.0, min(usual, _repeated(rises, reach))),
        why=f"{100 * share:g} % of {len(rises)} minutes{when} rose no more"
        f" above the mean of {length} min",
    )
    return Foretold(outlook=outlook, loss=pinball(rises.values(), usual, share))


def _minutes(points: Sequence[LoadPoint], lookback_s: float) -> dict[int, Minute]:
    """
    Return the load of each whole minute within the lookback, where one is known, in order.

    A point stands for the time since the one before it, a minute at most: thinned history has few
    of them, and counters hold what came in between.
    """
    now_s = points[-1].at_s
    present = bucket_of(now_s, MINUTE_S)
    known: dict[int, list[tuple[float, float]]] = {}
    before_s = points[0].at_s - 1
    for point in points:
        minute = bucket_of(point.at_s, MINUTE_S)
        whole_and_recent = minute < present and minute * MINUTE_S > now_s - lookback_s
        if point.load is not None and whole_and_recent:
            weight = min(MINUTE_S, point.at_s - before_s)
            known.setdefault(minute, []).append((point.load, weight))
        before_s = point.at_s
    return {minute: _minute(loads) for minute, loads in known.items()}


def _minute(loads: Sequence[tuple[float, float]]) -> Minute:
    seconds = sum(weight for _, weight in loads)
    mean = sum(load * weight for load, weight in loads) / seconds
    return Minute(mean=mean, highest=max(load for load, _ in loads))


def _levels(minutes: Mapping[int, Minute], present: int, length: int) -> dict[int, float]:
    """Return the mean load of ``length`` minutes up to the end of each minute, where known."""
    levels: dict[int, float] = {}
    for last in range(min(minutes, default=present), present):
        span = range(last - length + 1, last + 1)
        known = [minutes[minute].mean for minute in span if minute in minutes]
        if known:
            levels[last] = sum(known) / len(known)
    return levels


def _rises(
    minutes: Mapping[int, Minute], levels: Mapping[int, float], reach: int
) -> dict[int, float]:
    """
    Return how much load rose above the level of each minute within the next ``reach`` minutes.

    Below 0 where it fell; a minute after which nothing is known says nothing.
    """
    rises: dict[int, float] = {}
    ahead: collections.deque[int] = collections.deque()  # minutes, loads falling away from now
    for minute in sorted(minutes, reverse=True):
        while ahead and ahead[0] > minute + reach:
            ahead.popleft()
        if ahead:
            rises[minute] = minutes[ahead[0]].highest - levels[minute]
        while ahead and minutes[ahead[-1]].highest <= minutes[minute].highest:
            ahead.pop()
        ahead.append(minute)
    return rises


def _like_now(rises: Mapping[int, float], present: int) -> tuple[Mapping[int, float], str]:
    """Keep the minutes at this hour of the day, once several days are known."""
    alike = {
        minute: amount
        for minute, amount in rises.items()
        if abs(_from_same_time(minute, present)) <= SAME_HOUR_MINUTES
    }
    days = {present - minute + _from_same_time(minute, present) for minute in alike}
    return (alike, " at this hour") if len(days) >= ENOUGH_DAYS else (rises, "")


def _from_same_time(minute: int, present: int) -> int:
    """Return minutes from the nearest minute with the same time of day as ``present``."""
    half = DAY_MINUTES // 2
    return (minute - present + half) % DAY_MINUTES - half


def _repeated(rises: Mapping[int, float], reach: int) -> float:
    """
    Return the largest rise apart from the largest one: what happened once is no pattern.

    Apart are those that share no minute, neither of what they rose from nor of what they rose to.
    0 where there is no other.
    """
    largest = max(rises, key=lambda minute: rises[minute])
    once = reach + max(LEVEL_MINUTES)
    apart = (amount for minute, amount in rises.items() if abs(minute - largest) >= once)
    return max(apart, default=0.0)
