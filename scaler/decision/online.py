"""
Online load of a pool: what the inference workloads that live on it need of it, over time.

Load is what traffic would fill; need, in whole units, what the workloads hold for it or are owed.

Against the whole pool by default, since a well-scaled service always sits near its own target;
against what the services have ready for a fleet of fixed size (``loadBase: service``).
"""

import bisect
import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .load import read
from .policy import InferencePolicy, LendingPolicy, LoadBase
from .pool import Member, PoolWindow
from .sample import Sample
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
    needed_units: int | None = None
    """Units that all workloads held or were owed; None: not known of some."""


class Reading(NamedTuple):
    """One workload at one instant."""

    units: float | None = None
    """Units it would fill; None: not known."""
    ready_units: float = 0.0
    needed_units: int | None = None
    """Units it holds or is owed; None: not known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One workload's load over time."""

    times_s: tuple[float, ...]
    readings: tuple[Reading, ...]
    fine_from_s: float
    fine_stands_s: float

    def at(self, at_s: float) -> Reading:
        """Return what is known of an instant; a sample stands until it is stale."""
        index = bisect.bisect_right(self.times_s, at_s) - 1
        if index < 0:
            return Reading()
        age_s = at_s - self.times_s[index]
        stands_s = self.fine_stands_s if self.times_s[index] >= self.fine_from_s else THINNED_S
        return Reading() if age_s > stands_s else self.readings[index]


def online_load(pool: PoolWindow, policy: LendingPolicy) -> tuple[OnlinePoint, ...]:
    """Return the online load at every instant any workload was sampled, oldest first."""
    since_s = pool.at_s - policy.latch_lookback_s
    tracks = [_track(member, since_s) for member in pool.members]
    times = sorted({t for track in tracks if track for t in track.times_s if t >= since_s})
    return tuple(_point(tracks, at_s, policy) for at_s in times)


def _track(member: Member, since_s: float) -> Track | None:
    if member.window is None or member.policy is None:
        return None
    window, units = _recent(member.window, since_s), member.units_per_replica or 0
    whole = window.whole
    return Track(
        times_s=tuple(sample.at_s for sample in whole.samples),
        readings=tuple(
            Reading(
                units=None if load is None or (load and not units) else load * units,
                ready_units=float((sample.ready or 0) * units),
                needed_units=None if held is None else member.units_of(held),
            )
            for sample, load, held in zip(
                whole.samples,
                full_loads(whole, member.policy),
                map(held_replicas, whole.samples),
                strict=True,
            )
        ),
        fine_from_s=window.samples[0].at_s,
        fine_stands_s=2.5 * window.interval_s,
    )


def _recent(window: Window, since_s: float) -> Window:
    """Return a window without the history that was over before ``since_s``: forecasts keep it."""
    first = bisect.bisect_right(window.history, since_s, key=lambda sample: sample.at_s) - 1
    return window.without_history_before(first) if first > 0 else window


def held_replicas(sample: Sample) -> int | None:
    """
    Return the replicas that exist (starting, surging and terminating ones too) or are asked for.

    None: neither is known.
    """
    if sample.ready is None and sample.spec_replicas is None:
        return None
    exist = (
        (sample.ready or 0) + (sample.loading_replicas or 0) + (sample.terminating_replicas or 0)
    )
    return max(exist, sample.spec_replicas or 0)


def full_loads(window: Window, policy: InferencePolicy) -> tuple[float | None, ...]:
    """Return the load in full replicas over history and samples: the largest any signal says."""
    whole = window.whole
    series = read(whole, policy)
    if not series:
        return (None,) * len(whole.samples)
    loads = functools.reduce(np.fmax, [one.loads for one in series])
    return tuple(None if load != load else load for load in loads.tolist())  # noqa: PLR0124 -- NaN


def _point(tracks: Sequence[Track | None], at_s: float, policy: LendingPolicy) -> OnlinePoint:
    readings = [track.at(at_s) if track else Reading() for track in tracks]
    known = [one.units for one in readings if one.units is not None]
    needed = [one.needed_units for one in readings if one.needed_units is not None]
    base = float(policy.pool_units)
    if policy.load_base is LoadBase.SERVICE:
        base = sum(one.ready_units for one in readings)
    # A service with nothing ready and no load is idle; with load it is past full.
    least = sum(known) / base if base else float(sum(known) > 0)
    whole = len(known) == len(tracks)
    return OnlinePoint(
        at_s=at_s,
        load=least if whole else None,
        least=least,
        needed_units=sum(needed) if len(needed) == len(tracks) else None,
    )


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


def most_needed(points: Sequence[OnlinePoint], since_s: float) -> int | None:
    """Return the most units that were needed at once since an instant; None: not always known."""
    needed = [one.needed_units for one in points if one.at_s > since_s]
    known = [units for units in needed if units is not None]
    return max(known, default=0) if len(known) == len(needed) else None
