"""
One replica at an instant: engine and GPU readings of its pods, and whether the engine is stuck.

An engine that reports requests running while nothing it counts moves is frozen: its web server
still answers with the last values it had, so its readings are missing, not steady. Of several
servers that make up a replica none may be silent: the sum of the others is no reading of it.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scaler.decision.sample import Replica

from . import dcgm
from .buckets import BoundBuckets, buckets_of
from .engines.profile import COUNTERS, LIVE, EngineProfile
from .life import Life
from .plausible import within_unit
from .readings import Bound, server_of
from .series import SeriesStore, Subject, Track


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

    ``pods`` are its pods: engine readings are those of every one that serves, GPU readings are
    averaged over all. ``by_bucket`` are latencies (``itl``, ``ttft``) whose histograms are read.
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
        by_bucket: Sequence[str] = (),
    ) -> None:
        self._name, self._store, self._pods = name, store, pods
        self._staleness = staleness
        self._gauges_leave = profile.gauges_leave
        self._engine = {
            field: reading.bind(store, pods, selector)
            for field, reading in profile.readings.items()
        }
        self._scraped = [
            self._engine[field]
            for field, reading in profile.readings.items()
            if reading.label is None
        ]
        self._counters = {
            field: bound
            for field, bound in self._engine.items()
            if field in COUNTERS and any(bound.tracks)
        }
        self._ups = [track for pod in pods for track in store.tracks("up", pod)]
        self._awake = profile.awake.bind(store, pods, selector) if profile.awake else None
        signs = [sign.bind(store, pods, selector) for sign in profile.progress]
        self._life = Life(
            running=self._engine["requests_running"].tracks,
            counters=_series(self._counters.values()),
            moving=_series(signs),
            still=self._awake.tracks if self._awake else (),
            interval_s=staleness.interval_s,
            stale_after_s=staleness.engine_s,
            stated_s=profile.refresh_s,
        )
        self._gpus = dcgm.GpuReader(store, pods)
        self._buckets = {
            of: bound
            for of in by_bucket
            if (bound := _bound_buckets(of, profile, store, pods, selector)) is not None
        }

    @property
    def engine_tracks(self) -> Iterator[Track]:
        """
        The series that engine readings come from, and whether their targets are up.

        Not those that are read once a minute, for what is in a label: no bucket waits for them.
        """
        for bound in self._scraped:
            yield from bound.tracks
        yield from self._ups

    @property
    def gpu_tracks(self) -> Iterator[Track]:
        """The series that GPU readings come from."""
        return self._gpus.tracks

    def at(self, at_s: float) -> Replica | None:
        """Return the replica at an instant, None if no engine series of it is fresh then."""
        engine = self._read(at_s)
        if engine is None:
            return None
        if engine.get("requests_running") and self._life.is_frozen(at_s):
            engine = {}
        stale_after_s = self._staleness.engine_s
        awake = self._awake.at(at_s, stale_after_s) if self._awake else None
        gpus = self._gpus.at(at_s, self._staleness.gpu_s)
        fields = within_unit({**engine, **gpus})
        self._store.refuse(self._pods[0], at_s, len(engine) + len(gpus) - len(fields))
        buckets = {
            of: bound.at(at_s, stale_after_s)
            for of, bound in self._buckets.items()
            if f"{of}_count" in fields
        }
        return Replica(
            name=self._name,
            sleeping=awake == 0,
            itl_buckets=buckets.get("itl"),
            ttft_buckets=buckets.get("ttft"),
            **fields,
        )

    def _read(self, at_s: float) -> dict[str, float] | None:
        """Return the engine's fields; none while one of its servers is silent."""
        engine = {
            field: value
            for field, bound in self._engine.items()
            if (value := bound.at(at_s, self._staleness.engine_s)) is not None
        }
        if not any(field in engine for field in LIVE):
            if not self._is_idle(at_s):
                return None
            engine.update(dict.fromkeys(LIVE, 0.0))
        if self._life.is_partial(at_s):
            return {}
        for field, bound in self._counters.items():
            if field not in engine and self._is_unborn(bound, at_s):
                engine[field] = 0.0
            elif self._breaks(bound, at_s):
                engine.pop(field, None)
        return engine

    def _is_idle(self, at_s: float) -> bool:
        """
        Whether a page without its gauges says that nothing runs.

        Some engines show no row of a gauge before their first request, and some take it away after
        the last one. While counters move, or where they moved and the gauge was never seen, its
        absence means nothing; nor does it where the cache is in use.
        """
        usage = self._engine.get("kv_cache_usage")
        if usage and usage.at(at_s, self._staleness.engine_s):
            return False
        is_known = (
            self._gauges_leave
            or not self._life.has_counted(at_s)
            or any(track.first_s <= at_s for field in LIVE for track in self._engine[field].tracks)
        )
        return is_known and self._life.is_quiet(at_s)

    def _is_unborn(self, bound: Bound, at_s: float) -> bool:
        """Whether a counter is about to appear on a page that is up: until then it is 0."""
        first = min(bound.tracks, key=lambda track: track.first_s)
        born_s = first.first_s
        if not born_s - self._staleness.engine_s < at_s < born_s:
            return False
        return self._life.is_fresh(at_s, server_of(first)) or any(
            up.at(at_s, self._staleness.engine_s)
            for up in self._ups
            if server_of(up) == server_of(first)
        )

    def _breaks(self, bound: Bound, at_s: float) -> bool:
        """
        Whether some of a counter's series fell or left while others went on.

        Their sum then says nothing of what happened: it is no counter that began anew.
        """
        tracks = tuple(bound.tracks)
        if len(tracks) < 2:
            return False
        before_s, stale_s = at_s - self._staleness.interval_s, self._staleness.engine_s
        goes_on = breaks = False
        for track in tracks:
            before, now = track.at(before_s, stale_s), track.at(at_s, stale_s)
            if before is None:
                breaks |= now is not None and not self._life.is_fresh(before_s, server_of(track))
            else:
                goes_on |= now is not None and now >= before
                breaks |= now is None or now < before
        return goes_on and breaks


def _bound_buckets(
    of: str,
    profile: EngineProfile,
    store: SeriesStore,
    pods: Sequence[Subject],
    selector: Mapping[str, str],
) -> BoundBuckets | None:
    """Return the histogram of a latency (``itl``, ``ttft``); None: the engine has none of it."""
    count, total = (profile.readings.get(field) for field in (f"{of}_count", f"{of}_sum_s"))
    buckets = buckets_of(count)
    scale = 1.0 if total is None else total.scale
    return None if buckets is None else BoundBuckets(buckets, store, pods, selector, scale=scale)


def _series(readings: Iterable[Bound]) -> Iterator[Track]:
    return (track for bound in readings for track in bound.tracks)
