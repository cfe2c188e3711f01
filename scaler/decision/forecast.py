"""
Capacity for the load to come while a replica asked for now is not ready yet.

A burst shorter than a cold start is over before the replicas that it asked for serve. What helps is
capacity that is there before it: ``rise`` keeps ready what load usually rises to within one lead
time, ``trend`` follows a slope. Both only ever raise a count, and both are functions of the points
alone.

What a forecast holds ready runs up to a load of 1 and not at the target: a replica is safe there,
and the target is for the long run. A request may wait ``ttft_target_s`` as well, so that a peak P
which lasts the lead time L needs ``P · L / (L + ttft_target)``: the leaky bucket that drains within
the wait (peaks are known to the minute, so shorter windows cannot ask for less).

The cost when it is wrong is bounded: no more than a rise that was seen at least twice within the
lookback, or than load moved in the trend's window, and only what the target leaves no room for.
"""

import collections
import dataclasses
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

from .decision import Reason, Step
from .kpa import whole
from .pace import pace_of
from .point import LoadPoint
from .policy import Forecast, InferencePolicy
from .sliding import GapRule, SlidingAverage, bucket_of

MINUTE_S = 60.0
DAY_MINUTES = 1440

LEVEL_MINUTES = 5
"""
A rise is measured from the mean load of so many minutes, and added to it.

Measured from the highest load of a minute and added to the load of now, a burst would be counted
twice while it lasts: on top of it would be kept ready what only a silence is followed by.
"""

SAME_HOUR_MINUTES = 30
"""Minutes of a day are alike up to this far apart."""
ENOUGH_DAYS = 3
"""With the same hour of so many days known, other hours have no say."""

TREND_LEAD_TIMES = 3
"""A slope over this many lead times is extrapolated by one."""
TREND_LEAST_S = 300.0
TREND_BINS = 30
TREND_LEAST_BINS = 10
"""Theil-Sen's slope withstands 29 % of outliers; with ten bins, two of them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What load may become within one lead time, in replicas, and how that is known."""

    load: float
    """What it rises from."""
    rise: float
    why: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """Load in one whole minute, where it is known."""

    mean: float
    highest: float


def lead_time_s(policy: InferencePolicy, startup_s: Sequence[float]) -> float | None:
    """Return seconds from asking for a replica until it serves: stated, else p90 of its own."""
    if policy.lead_time_s is not None:
        return policy.lead_time_s
    return quantile(startup_s, 0.9) if startup_s else None


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least of ``values`` (at least one) that ``share`` of them do not exceed."""
    rank = math.ceil(share * len(values) - 1e-9)
    return sorted(values)[max(rank, 1) - 1]


def forecast(
    points: Sequence[LoadPoint],
    count: int,
    policy: InferencePolicy,
    *,
    lead_time_s: float | None,
    bucket_s: float,
) -> Step | None:
    """
    Raise ``count`` to what the load expected within one lead time needs; None where it suffices.

    Args:
        points: the thinned history, then the fine ones, oldest first.
        count: what load asks for now.
        policy: names the forecast; ``off`` never raises.
        lead_time_s: None or 0: there is nothing to be ahead of.
        bucket_s: of the fine points.
    """
    if not lead_time_s or not points:
        return None
    outlook = expect(points, policy, lead_time_s=lead_time_s, bucket_s=bucket_s)
    return raised(outlook, count, policy, lead_time_s)


def raised(
    outlook: Outlook | None, count: int, policy: InferencePolicy, lead_time_s: float
) -> Step | None:
    """Raise ``count`` to what an outlook needs; None where it suffices, or nothing is foreseen."""
    if outlook is None:
        return None
    wait_s = policy.ttft_target_s or 0.0
    needed = whole((outlook.load + outlook.rise) * lead_time_s / (lead_time_s + wait_s))
    if needed <= count:
        return None
    detail = f"load {outlook.load:.2f} may rise by {outlook.rise:.2f} within {lead_time_s:g} s: "
    return Step(needed, Reason.FORECAST, detail + outlook.why)


def expect(
    points: Sequence[LoadPoint], policy: InferencePolicy, *, lead_time_s: float, bucket_s: float
) -> Outlook | None:
    """Return what the policy's forecast makes of ``points`` (at least one); None: it abstains."""
    if policy.forecast is Forecast.OFF:
        return None
    if policy.forecast is Forecast.RISE:
        return rise(points, policy, lead_time_s)
    load = _held_load(points, policy, lead_time_s, bucket_s)
    return None if load is None else trend(points, load, lead_time_s)


def _held_load(
    points: Sequence[LoadPoint],
    policy: InferencePolicy,
    lead_time_s: float,
    bucket_s: float,
) -> float | None:
    """
    Return the highest average of a panic window within the last lead time; None: none is known.

    What was foreseen is held for a lead time by taking the highest; averaging keeps a single
    reading from being it.
    """
    panic_buckets = pace_of(policy, lead_time_s=lead_time_s, bucket_s=bucket_s).panic_buckets
    average, highest = SlidingAverage(panic_buckets, GapRule.CARRY), None
    for point in _last(points, lead_time_s + (panic_buckets - 1) * bucket_s):
        if point.load is not None:
            bucket = bucket_of(point.at_s, bucket_s)
            average = average.record(bucket, point.load)
            if points[-1].at_s - point.at_s < lead_time_s:
                highest = max(average.at(bucket), highest or 0.0)
    return highest


def _last(points: Sequence[LoadPoint], seconds: float) -> Sequence[LoadPoint]:
    """Return the points of the half-open span ``(now − seconds, now]``."""
    start = len(points)
    while start and points[-1].at_s - points[start - 1].at_s < seconds:
        start -= 1
    return points[start:]


def rise(
    points: Sequence[LoadPoint], policy: InferencePolicy, lead_time_s: float
) -> Outlook | None:
    """
    Return the upper quantile of how much load rose within one lead time; None: not known.

    A newsvendor's stock: sized from what bursts here are like. It learns from whole minutes before
    the present one, so that it changes once a minute and the newest load cannot lower it. What was
    foreseen is held for a lead time by taking the highest level within it.
    """
    reach = max(1, math.ceil(lead_time_s / MINUTE_S))
    present = bucket_of(points[-1].at_s, MINUTE_S)
    minutes = _minutes(points, policy.forecast_lookback_s)
    levels = (_level(minutes, past) for past in range(present - reach, present))
    held = [level for level in levels if level is not None]
    rises, when = _like_now(_rises(minutes, reach), present)
    if not rises or not held:
        return None
    usual = quantile(list(rises.values()), policy.forecast_quantile)
    return Outlook(
        load=max(held),
        rise=min(usual, _repeated(rises, reach)),
        why=f"{100 * policy.forecast_quantile:g} % of {len(rises)} minutes{when} rose no more",
    )


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


def _level(minutes: Mapping[int, Minute], last: int) -> float | None:
    """Return the mean load of LEVEL_MINUTES up to the end of ``last``; None: not known."""
    span = range(last - LEVEL_MINUTES + 1, last + 1)
    known = [minutes[minute].mean for minute in span if minute in minutes]
    return sum(known) / len(known) if known else None


def _rises(minutes: Mapping[int, Minute], reach: int) -> dict[int, float]:
    """
    Return how much load rose above the level of each minute within the next ``reach`` minutes.

    Never below 0; a minute after which nothing is known says nothing.
    """
    rises: dict[int, float] = {}
    ahead: collections.deque[int] = collections.deque()  # minutes, loads falling away from now
    for minute in sorted(minutes, reverse=True):
        while ahead and ahead[0] > minute + reach:
            ahead.popleft()
        level = _level(minutes, minute)
        if ahead and level is not None:
            rises[minute] = max(0.0, minutes[ahead[0]].highest - level)
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
    """
    largest = max(rises, key=lambda minute: rises[minute])
    once = reach + LEVEL_MINUTES
    apart = (amount for minute, amount in rises.items() if abs(minute - largest) >= once)
    return max(apart, default=0.0)


def trend(points: Sequence[LoadPoint], load: float, lead_time_s: float) -> Outlook | None:
    """
    Return what ``load`` rises within one lead time at its slope; None: too little is known.

    The slope is Theil's and Sen's median over all pairs of bins, which a few outliers leave alone;
    never more than load has moved before the newest of them.
    """
    window_s = max(TREND_LEAST_S, TREND_LEAD_TIMES * lead_time_s)
    bins = _bins(_last(points, window_s), window_s / TREND_BINS)
    if len(bins) < TREND_LEAST_BINS:
        return None
    slope = statistics.median(
        (later - earlier) / (after_s - before_s)
        for (before_s, earlier), (after_s, later) in itertools.combinations(bins, 2)
    )
    before = [load for _, load in bins[:-1]]
    return Outlook(
        load=load,
        rise=min(max(0.0, slope * lead_time_s), max(before) - min(before)),
        why=f"{slope * MINUTE_S:+.2f} a minute over the last {window_s:g} s",
    )


def _bins(points: Sequence[LoadPoint], width_s: float) -> list[tuple[float, float]]:
    """Return (time, median load) of each bin with a known load, counted back from the newest."""
    known: dict[int, list[float]] = {}
    now_s = points[-1].at_s
    for point in points:
        if point.load is not None:
            known.setdefault(-int((now_s - point.at_s) / width_s), []).append(point.load)
    return [(number * width_s, statistics.median(loads)) for number, loads in sorted(known.items())]
