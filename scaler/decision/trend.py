"""A slope followed for one lead time: for load that climbs for longer than a cold start takes."""

import itertools
import statistics
from collections.abc import Sequence

from scaler.said import Said

from .outlook import MINUTE_S, Outlook
from .pace import pace_of
from .point import LoadPoint
from .policy import InferencePolicy
from .sliding import GapRule, SlidingAverage, bucket_of

TREND_LEAD_TIMES = 3
"""A slope over this many lead times is extrapolated by one."""
TREND_LEAST_S = 300.0
TREND_BINS = 30
TREND_LEAST_BINS = 10
"""Theil-Sen's slope withstands 29 % of outliers; with ten bins, two of them."""


def trend(
    points: Sequence[LoadPoint], policy: InferencePolicy, *, lead_time_s: float, bucket_s: float
) -> Outlook | None:
    """Return what load rises to within one lead time at its slope; None: too little is known."""
    load = _held_load(points, policy, lead_time_s, bucket_s)
    return None if load is None else along(points, load, lead_time_s)


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


def along(points: Sequence[LoadPoint], load: float, lead_time_s: float) -> Outlook | None:
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
        why=Said(
            "{slope:+.2f} a minute over the last {window_s:g} s",
            slope=slope * MINUTE_S,
            window_s=window_s,
        ),
    )


def _bins(points: Sequence[LoadPoint], width_s: float) -> list[tuple[float, float]]:
    """Return (time, median load) of each bin with a known load, counted back from the newest."""
    known: dict[int, list[float]] = {}
    now_s = points[-1].at_s
    for point in points:
        if point.load is not None:
            known.setdefault(-int((now_s - point.at_s) / width_s), []).append(point.load)
    return [(number * width_s, statistics.median(loads)) for number, loads in sorted(known.items())]


def _last(points: Sequence[LoadPoint], seconds: float) -> Sequence[LoadPoint]:
    """Return the points of the half-open span ``(now − seconds, now]``."""
    start = len(points)
    while start and points[-1].at_s - points[start - 1].at_s < seconds:
        start -= 1
    return points[start:]
