"""
One demand over several tiers: what they serve together, and whether it is at its peak.

Every tier computes this from the same points and comes to the same group demand; a share that one
tier does not take is one that another takes. Loads of different replicas are added in *units*, a
thousandth of the smallest replica's capacity each.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

from .point import LoadPoint
from .policy import InferencePolicy
from .sliding import GapRule, SlidingAverage, bucket_of

UNITS = 1000
"""Units of the replica with the least capacity in its group."""

STALE_BUCKETS = 2
"""A point stands for so many buckets after its own: tiers are not scraped at one instant."""

LATCH_LOOKBACK_S = 21_600.0
"""How far back the last crossing of a peak threshold is looked for."""

MINUTE_S = 60.0

DEFAULT_LEAD_TIME_S = 300.0
"""Where no pod of a tier was seen to start yet: it is given this long to be scheduled."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One ScaledObject of a group that serves the same model on its own kind of GPU."""

    name: str
    """``namespace/scaledobject``."""
    policy: InferencePolicy
    """Its cost, preference and target; pace and thresholds are the cheapest tier's."""
    capacity: float
    """What one full replica holds, in what all tiers of the group are measured in: requests."""
    minimum: int = 0
    maximum: int | None = None
    lead_time_s: float | None = None
    points: Sequence[LoadPoint] = ()
    """Fine points, oldest first; none: nothing is known of the tier."""
    history: Sequence[LoadPoint] = ()
    """Older points, thinned to each minute's lowest and highest load, oldest first."""
    unschedulable_s: float = 0.0
    """How long the oldest of its unschedulable pods has waited for a node; 0: there is none."""

    @property
    def ready(self) -> int | None:
        """Replicas ready now; None: not known."""
        return self.points[-1].ready if self.points else None

    @property
    def loading(self) -> int:
        """Replicas that exist now and are not ready; 0 where nothing is known."""
        return self.points[-1].loading if self.points else 0

    @property
    def is_silent(self) -> bool:
        """Whether it serves and does not say what."""
        return bool(self.ready) and self.points[-1].load is None

    @property
    def is_available(self) -> bool:
        """Whether a pod of it would find a node, as far as its pods tell."""
        patience_s = DEFAULT_LEAD_TIME_S if self.lead_time_s is None else self.lead_time_s
        return self.unschedulable_s <= patience_s

    @property
    def cost(self) -> float:
        """Cost of one replica-hour."""
        return self.policy.tier_cost or 0.0

    def load(self, point: LoadPoint) -> float | None:
        """
        Return a point's load in replicas; None: neither load nor replicas are known.

        A tier that serves and does not say what counts as rightly sized, so that its silence asks
        for nothing and takes nothing away; one that has no replica ready serves nothing.
        """
        if point.load is not None or point.ready is None:
            return point.load
        return point.ready * self.policy.effective_target_utilization


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The tiers of a group, cheapest first."""

    tiers: tuple[Tier, ...]

    @classmethod
    def of(cls, tiers: Sequence[Tier]) -> "Group":
        """Put ``tiers`` (at least one) in order: by cost, the preferred and then the name first."""
        order = sorted(tiers, key=lambda t: (t.cost, -t.policy.tier_preference, t.name))
        return cls(tiers=tuple(order))

    @property
    def policy(self) -> InferencePolicy:
        """The cheapest tier's: the one that says pace and thresholds for all."""
        return self.tiers[0].policy

    def units(self, tier: Tier) -> int:
        """Return the units that one full replica of ``tier`` holds."""
        least = min(one.capacity for one in self.tiers)
        return round(UNITS * tier.capacity / least)

    def ordered(self, *, peak: bool) -> tuple[Tier, ...]:
        """Return the tiers in the order in which they take demand: preferred first at the peak."""
        if not peak:
            return self.tiers
        return tuple(sorted(self.tiers, key=lambda tier: -tier.policy.tier_preference))

    @property
    def cheap_units(self) -> float:
        """Full capacity of all tiers but the most preferred; infinite where one has no maximum."""
        fast = max(tier.policy.tier_preference for tier in self.tiers)
        cheap = [tier for tier in self.tiers if tier.policy.tier_preference < fast]
        if not cheap:
            return math.inf
        return sum(
            math.inf if tier.maximum is None else tier.maximum * self.units(tier) for tier in cheap
        )

    def demand(self, tier: Tier, load: float) -> float:
        """Return ``load`` replicas of a tier in units, at the group's target."""
        return (
            load
            * self.units(tier)
            * self.policy.effective_target_utilization
            / tier.policy.effective_target_utilization
        )


def points_of(group: Group, bucket_s: float) -> tuple[LoadPoint, ...]:
    """
    Return the demand of the group over time, in units, one point a bucket that any tier has.

    A bucket in which some tier's load or replicas are not known says nothing.
    """
    by_bucket = [
        {bucket_of(point.at_s, bucket_s): point for point in tier.points} for tier in group.tiers
    ]
    buckets = sorted(set().union(*by_bucket))
    return tuple(
        _added(
            group,
            [_standing(points, bucket) for points in by_bucket],
            at_s=bucket * bucket_s,
        )
        for bucket in buckets
    )


def _standing(points: dict[int, LoadPoint], bucket: int) -> LoadPoint | None:
    recent = (points.get(bucket - age) for age in range(STALE_BUCKETS + 1))
    return next((point for point in recent if point is not None), None)


def _added(group: Group, points: Sequence[LoadPoint | None], *, at_s: float) -> LoadPoint:
    load, ready, loading = 0.0, 0, 0
    for tier, point in zip(group.tiers, points, strict=True):
        part = None if point is None else tier.load(point)
        if point is None or part is None or point.ready is None:
            return LoadPoint(at_s=at_s, load=None)
        load += group.demand(tier, part)
        ready += point.ready * group.units(tier)
        loading += point.loading * group.units(tier)
    return LoadPoint(at_s=at_s, load=load, ready=ready, loading=loading)


def past_of(group: Group, until_s: float) -> tuple[LoadPoint, ...]:
    """Return the group's highest demand in each minute of the history before ``until_s``."""
    return tuple(
        LoadPoint(at_s=span.start_s, load=span.high)
        for span in _minutes(group, until_s)
        if span.start_s < until_s
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Between which demands, in units, the group was over some time; None: not known."""

    start_s: float
    end_s: float
    low: float | None
    high: float | None


def is_peak(group: Group, points: Sequence[LoadPoint], bucket_s: float, panic_buckets: int) -> bool:
    """
    Return whether demand is at its peak: the preferred tiers then take it first.

    From the instant that ends a whole stable window above ``tier_peak_above`` of what the cheap
    tiers hold, until one that ends a whole stable window below ``tier_peak_below``; without either
    within the latch's lookback it is not. A span that is not known ends both runs.

    Args:
        group: its thresholds, its history.
        points: the group's own, of :func:`points_of`, at least one.
        bucket_s: of the points.
        panic_buckets: over how many of them demand is averaged.
    """
    policy, full = group.policy, group.cheap_units
    oldest_s = points[-1].at_s - LATCH_LOOKBACK_S
    peak = False
    above_s: float | None = None
    below_s: float | None = None
    for span in (*_minutes(group, points[0].at_s), *_spans(points, bucket_s, panic_buckets)):
        if span.start_s < oldest_s:
            continue
        is_above = span.low is not None and span.low >= policy.tier_peak_above * full
        is_below = span.high is not None and span.high < policy.tier_peak_below * full
        above_s = (span.start_s if above_s is None else above_s) if is_above else None
        below_s = (span.start_s if below_s is None else below_s) if is_below else None
        if above_s is not None and span.end_s - above_s >= policy.stable_window_s:
            peak = True
        if below_s is not None and span.end_s - below_s >= policy.stable_window_s:
            peak = False
    return peak


def _spans(points: Sequence[LoadPoint], bucket_s: float, panic_buckets: int) -> Iterator[Span]:
    """Return each bucket's demand, averaged over the panic window: one reading is no crossing."""
    average = SlidingAverage(panic_buckets, GapRule.CARRY)
    for point in points:
        demand = None
        if point.load is not None:
            bucket = bucket_of(point.at_s, bucket_s)
            average = average.record(bucket, point.load)
            demand = average.at(bucket)
        yield Span(start_s=point.at_s - bucket_s, end_s=point.at_s, low=demand, high=demand)


def _minutes(group: Group, until_s: float) -> Iterator[Span]:
    """Return each minute of the history: the tiers' least loads together, and their highest."""
    by_minute: dict[int, list[list[float | None]]] = {}
    for number, tier in enumerate(group.tiers):
        for point in tier.history:
            minute = bucket_of(point.at_s, MINUTE_S)
            loads = by_minute.setdefault(minute, [[] for _ in group.tiers])
            load = tier.load(point)
            loads[number].append(None if load is None else group.demand(tier, load))
    for minute, loads in sorted(by_minute.items()):
        known = [[load for load in tier if load is not None] for tier in loads]
        end_s = min(until_s, (minute + 1) * MINUTE_S)
        all_known = all(known)
        yield Span(
            start_s=minute * MINUTE_S,
            end_s=end_s,
            low=sum(map(min, known)) if all_known else None,
            high=sum(map(max, known)) if all_known else None,
        )
