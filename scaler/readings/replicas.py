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
from .readings import Bound
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


class ReplicaReader:
    """
    Reads one replica off the store, by the series that there are.

    ``pods`` are its pods, the one that serves first: engine readings are that one's, GPU readings
    are averaged over all.
    """

    def __init__(
        self,
        name: str,
        pods: Sequence[Subject],
        *,
        store: SeriesStore,
        profile: EngineProfile,
        selector: Mapping[str, str],
        staleness: Staleness,
    ) -> None:
        self._name = name
        self._staleness = staleness
        leader = pods[:1]
        self._engine = {
            field: reading.bind(store, leader, selector)
            for field, reading in profile.readings.items()
        }
        self._progress = [sign.bind(store, leader, selector) for sign in profile.progress]
        self._awake = profile.awake.bind(store, leader, selector) if profile.awake else None
        self._gpus = dcgm.GpuReader(store, pods)

    def at(self, at_s: float) -> Replica | None:
        """Return the replica at an instant, None if no engine series of it is fresh then."""
        stale_after_s = self._staleness.engine_s
        if all(self._engine[field].at(at_s, stale_after_s) is None for field in LIVE):
            return None
        engine = {
            field: value
            for field, bound in self._engine.items()
            if (value := bound.at(at_s, stale_after_s)) is not None
        }
        awake = self._awake.at(at_s, stale_after_s) if self._awake else None
        if engine.get("requests_running") and self._is_frozen(at_s):
            engine = {}
        gpus = self._gpus.at(at_s, self._staleness.gpu_s)
        return Replica(name=self._name, sleeping=awake == 0, **engine, **gpus)

    def _is_frozen(self, at_s: float) -> bool:
        """
        Whether requests ran through two intervals in which nothing moved.

        Three scrapes with the same values: two could be one prompt that takes a while.
        """
        intervals_s = FROZEN_INTERVALS * self._staleness.interval_s
        moving = self._recent(self._progress, at_s, intervals_s)
        running = self._recent([self._engine["requests_running"]], at_s, intervals_s)
        return (
            bool(moving)
            and all(len(values) > FROZEN_INTERVALS and len(set(values)) == 1 for values in moving)
            and any(len(values) > FROZEN_INTERVALS and min(values) > 0 for values in running)
        )

    def _recent(self, signs: Iterable[Bound], at_s: float, back_s: float) -> list[Sequence[float]]:
        """Return the newest values of each fresh series of some readings."""
        return [
            track.recent(at_s, back_s * (1 + _JITTER))
            for bound in signs
            for track in bound.tracks
            if track.at(at_s, self._staleness.engine_s) is not None
        ]
