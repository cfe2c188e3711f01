"""
Online load of a pool: what the inference workloads that live on it need of it, over time.

Load is what traffic would fill; need, in whole units, what the workloads hold for it or are owed.

Against the whole pool by default, since a well-scaled service always sits near its own target;
against what the services have ready for a fleet of fixed size (``loadBase: service``).
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple, Self

import numpy as np

from .facts.columns import Array
from .load import Series, read
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


class Online(NamedTuple):
    """Points in order of time, as columns; NaN: not known."""

    at_s: Array
    load: Array
    least: Array
    needed_units: Array

    @classmethod
    def of(cls, points: Sequence[OnlinePoint]) -> Self:
        """Return points as columns."""
        rows = [(one.at_s, one.load, one.least, one.needed_units) for one in points]
        return cls(*np.array(rows, dtype=np.float64).reshape(-1, 4).T.copy())

    def points(self, first: int = 0) -> tuple[OnlinePoint, ...]:
        """Return the columns as points, from a number of them on."""
        return tuple(
            OnlinePoint(
                at_s=at_s,
                load=None if math.isnan(load) else load,
                least=least,
                needed_units=None if math.isnan(needed) else int(needed),
            )
            for at_s, load, least, needed in zip(*(c[first:].tolist() for c in self), strict=True)
        )

    @property
    def newest(self) -> OnlinePoint | None:
        """The newest point; None: there is none."""
        return self.points(-1)[0] if len(self.at_s) else None


class _Track(NamedTuple):
    """One workload over time, as columns; NaN: not known."""

    at_s: Array
    stands_s: Array
    """How long each reading stands."""
    units: Array
    """Units it would fill."""
    ready_units: Array
    needed_units: Array
    """Units it holds or is owed."""


def online_load(
    pool: PoolWindow,
    policy: LendingPolicy,
    known: Sequence[Sequence[Series] | None] | None = None,
) -> Online:
    """
    Return the online load at every instant any workload was sampled, oldest first.

    ``known`` is what the signals said over the fine samples of each member, where that was read.
    """
    since_s = pool.at_s - policy.latch_lookback_s
    tracks = [
        _track(member.window, member.policy, member, series, since_s)
        for member, series in zip(pool.members, known or repeat(None), strict=False)
        if member.window is not None and member.policy is not None
    ]
    times = [track.at_s[track.at_s >= since_s] for track in tracks]
    at_s: Array = np.unique(np.concatenate(times)) if times else np.empty(0)
    units, ready, needed = (np.zeros(len(at_s)) for _ in range(3))
    is_known = np.full(len(at_s), len(tracks) == len(pool.members))
    for track in tracks:
        at = np.searchsorted(track.at_s, at_s, side="right") - 1
        stands = (at >= 0) & (at_s - track.at_s[at] <= track.stands_s[at])
        own = track.units[at]
        told = stands & ~np.isnan(own)
        units += np.where(told, own, 0.0)
        ready += np.where(stands, track.ready_units[at], 0.0)
        needed += np.where(stands, track.needed_units[at], np.nan)
        is_known &= told
    base = ready if policy.load_base is LoadBase.SERVICE else np.full(len(at_s), policy.pool_units)
    # A service with nothing ready and no load is idle; with load it is past full.
    least = np.where(base > 0, units / np.where(base > 0, base, 1.0), units > 0)
    if len(tracks) < len(pool.members):
        needed[:] = np.nan
    return Online(at_s, np.where(is_known, least, np.nan), least, needed)


def _track(
    window: Window,
    policy: InferencePolicy,
    member: Member,
    known: Sequence[Series] | None,
    since_s: float,
) -> _Track:
    window, units = _recent(window, since_s), member.units_per_replica or 0
    whole = window.whole
    series = read(whole, policy) if known is None or window.history else known
    loads, now = full_loads(whole, series), whole.columns.instants
    return _Track(
        at_s=now.at_s,
        stands_s=np.where(now.at_s >= window.samples[0].at_s, 2.5 * window.interval_s, THINNED_S),
        # Load on replicas of a size that nobody tells may fill anything.
        units=loads * units if units else np.where(loads > 0, np.nan, loads),
        ready_units=np.where(now.ready > 0, now.ready * units, 0.0),
        needed_units=member.units_of_each(now.held),
    )


def _recent(window: Window, since_s: float) -> Window:
    """Return a window without the history that was over before ``since_s``: forecasts keep it."""
    first = int(np.searchsorted(window.past.instants.at_s, since_s, side="right")) - 1
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


def full_loads(window: Window, series: Sequence[Series]) -> Array:
    """Return the load in full replicas over a window's samples: the largest any signal says."""
    if not series:
        return np.full(len(window.samples), np.nan)
    return functools.reduce(np.fmax, [one.loads for one in series])


def averages(online: Online, window_s: float) -> Array:
    """
    Return at each point the mean over the trailing ``window_s``, at least two points of it.

    NaN where a point in it is unknown.
    """
    ends = np.arange(len(online.at_s))
    starts = np.searchsorted(online.at_s, online.at_s - window_s, side="right")
    before = ends - np.maximum(0, np.minimum(starts, ends - 1))
    total = np.zeros(len(ends))
    # Oldest first: each is a function of its own points, to the bit.
    for back in range(int(before.max(initial=0)), -1, -1):
        total[back:] += np.where(before[back:] >= back, online.load[: len(ends) - back], 0.0)
    return total / (before + 1)


def most_needed(online: Online, since_s: float) -> int | None:
    """Return the most units that were needed at once since an instant; None: not always known."""
    most = float(online.needed_units[online.at_s > since_s].max(initial=0))
    return None if math.isnan(most) else int(most)
