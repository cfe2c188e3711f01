"""
One replica at an instant: engine and GPU readings of its pods, and whether the engine is stuck.

An engine that reports requests running while nothing it counts moves is frozen: its web server
still answers with the last values it had, so its readings are missing, not steady.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from scaler.decision.sample import Replica

from . import dcgm
from .engines.profile import LIVE, EngineProfile
from .readings import View
from .series import SeriesStore, Subject

FROZEN_INTERVALS = 2
_JITTER = 0.1
"""Share of the span by which three scrapes may lie further apart than they should."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """How long readings stand, seconds: 2.5 scrape intervals of each exporter."""

    interval_s: float
    """The engines' scrape interval."""
    engine_s: float
    gpu_s: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaReader:
    """Reads replicas of one workload off the store."""

    store: SeriesStore
    profile: EngineProfile
    selector: Mapping[str, str]
    staleness: Staleness

    def at(self, name: str, pods: Sequence[Subject], at_s: float) -> Replica | None:
        """
        Return a replica at an instant, None if no engine series of it is fresh then.

        ``pods`` are its pods, the one that serves first: engine readings are that one's, GPU
        readings are averaged over all.
        """
        view = View(
            store=self.store,
            at_s=at_s,
            stale_after_s=self.staleness.engine_s,
            selector=self.selector,
        )
        leader = pods[:1]
        engine = {
            field: value
            for field, reading in self.profile.readings.items()
            if (value := reading.at(view, leader)) is not None
        }
        if not any(field in engine for field in LIVE):
            return None
        awake = self.profile.awake.at(view, leader) if self.profile.awake else None
        if engine.get("requests_running") and self._is_frozen(leader, at_s):
            engine = {}
        gpu_view = View(store=self.store, at_s=at_s, stale_after_s=self.staleness.gpu_s)
        return Replica(
            name=name, sleeping=awake == 0, **engine, **dcgm.gpu_readings(gpu_view, pods)
        )

    def _is_frozen(self, pods: Sequence[Subject], at_s: float) -> bool:
        """
        Whether requests ran through two intervals in which nothing moved.

        Three scrapes with the same values: two could be one prompt that takes a while.
        """
        intervals_s = FROZEN_INTERVALS * self.staleness.interval_s
        moving = self._recent(self.profile.progress, pods, at_s, intervals_s)
        running = self._recent(("requests_running",), pods, at_s, intervals_s)
        return (
            bool(moving)
            and all(len(values) > FROZEN_INTERVALS and len(set(values)) == 1 for values in moving)
            and any(len(values) > FROZEN_INTERVALS and min(values) > 0 for values in running)
        )

    def _recent(
        self, fields: Iterable[str], pods: Sequence[Subject], at_s: float, back_s: float
    ) -> list[Sequence[float]]:
        """Return the newest values of each fresh series of some readings."""
        return [
            track.recent(at_s, back_s * (1 + _JITTER))
            for field in fields
            for rows in self.profile.readings[field].rows
            for track in rows.of(self.store, pods)
            if track.at(at_s, self.staleness.engine_s) is not None
        ]
