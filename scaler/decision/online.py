"""
Online load of a pool: what the inference workloads that live on it need of it, over time.

Against the whole pool by default, since a well-scaled service always sits near its own target;
against what the services have ready for a fleet of fixed size (``loadBase: service``).
"""

import bisect
import collections
import dataclasses
from collections.abc import Sequence

from .load import Loads, read
from .policy import InferencePolicy, LendingPolicy, LoadBase
from .pool import Member, PoolWindow
from .window import Window

THINNED_S = 150.0
"""How long a thinned sample stands: history keeps few a minute, so gaps reach two minutes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OnlinePoint:
    """Online load at one instant, 0 to 1 and more; None: some workload's load is not known."""

    at_s: float
    load: float | None
    least: float
    """The same with the unknown workloads at zero: the load is at least this."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One workload's load over time: units it would fill, and units it has ready."""

    times_s: tuple[float, ...]
    units: Loads
    ready_units: tuple[float, ...]
    fine_from_s: float
    fine_stands_s: float

    def at(self, at_s: float) -> tuple[float | None, float]:
        """Return (units of load, ready units) at an instant; a sample stands until it is stale."""
        index = bisect.bisect_right(self.times_s, at_s) - 1
        if index < 0:
            return None, 0.0
        age_s = at_s - self.times_s[index]
        stands_s = self.fine_stands_s if self.times_s[index] >= self.fine_from_s else THINNED_S
        if age_s > stands_s:
            return None, 0.0
        return self.units[index], self.ready_units[index]


def online_load(pool: PoolWindow, policy: LendingPolicy) -> tuple[OnlinePoint, ...]:
    """Return the online load at every instant any workload was sampled, oldest first."""
    tracks = [_track(member) for member in pool.members]
    since_s = pool.at_s - policy.latch_lookback_s
    times = sorted({t for track in tracks if track for t in track.times_s if t >= since_s})
    return tuple(_point(tracks, at_s, policy) for at_s in times)


def _track(member: Member) -> Track | None:
    if member.window is None or member.policy is None:
        return None
    window, units = member.window, member.units_per_replica
    samples = (*window.history, *window.samples)
    return Track(
        times_s=tuple(sample.at_s for sample in samples),
        units=tuple(
            None if load is None else load * units for load in full_loads(window, member.policy)
        ),
        ready_units=tuple(float((sample.ready or 0) * units) for sample in samples),
        fine_from_s=window.samples[0].at_s,
        fine_stands_s=2.5 * window.interval_s,
    )


def full_loads(window: Window, policy: InferencePolicy) -> Loads:
    """Return the load in full replicas over history and samples: the largest any signal says."""
    series = read(window.whole, policy)
    return tuple(
        max((load for one in series if (load := one.loads[at]) is not None), default=None)
        for at in range(len(window.whole.samples))
    )


def _point(tracks: Sequence[Track | None], at_s: float, policy: LendingPolicy) -> OnlinePoint:
    readings = [track.at(at_s) if track else (None, 0.0) for track in tracks]
    known = [units for units, _ in readings if units is not None]
    base = float(policy.pool_units)
    if policy.load_base is LoadBase.SERVICE:
        base = sum(ready for _, ready in readings)
    # A service with nothing ready and no load is idle; with load it is past full.
    least = sum(known) / base if base else float(sum(known) > 0)
    whole = len(known) == len(tracks)
    return OnlinePoint(at_s=at_s, load=least if whole else None, least=least)


def averages(points: Sequence[OnlinePoint], window_s: float) -> tuple[float | None, ...]:
    """
    Return at each point the mean over the trailing ``window_s``, at least two points of it.

    None where a point in it is unknown.
    """
    means: list[float | None] = []
    start = 0
    for at, point in enumerate(points):
        while points[start].at_s <= point.at_s - window_s:
            start += 1
        loads = [one.load for one in points[max(0, min(start, at - 1)) : at + 1]]
        known = [load for load in loads if load is not None]
        means.append(sum(known) / len(known) if len(known) == len(loads) else None)
    return tuple(means)


def upper_rise(points: Sequence[OnlinePoint], within_s: float, quantile: float) -> float:
    """
    Return how much the load rises within ``within_s``, at an upper quantile over all instants.

    The rise from an instant is the most the load stood above it in the time that follows; 0 where
    nothing is known.
    """
    known = [(point.at_s, point.load) for point in points if point.load is not None]
    rises = []
    highest: collections.deque[tuple[float, float]] = collections.deque()
    for at_s, load in reversed(known):
        while highest and highest[0][0] > at_s + within_s:
            highest.popleft()
        while highest and highest[-1][1] <= load:
            highest.pop()
        highest.append((at_s, load))
        rises.append(highest[0][1] - load)
    if not rises:
        return 0.0
    return sorted(rises)[min(len(rises) - 1, int(quantile * len(rises)))]
