"""
Series in, windows out: readings on the grid, one sample per bucket and workload.

A bucket is the engines' scrape interval, aligned to multiples of it in Unix time. A series' last
point stands for the buckets after it until it is 2.5 of its exporter's intervals old, and is then
missing, never 0. A sample is a function of the points and its bucket alone: when it is asked for
does not matter, so two scalers that read the same Prometheus assemble the same window.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from scaler.decision.pool import Node
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Window
from scaler.errors import ConfigurationError, NoDataError, Problem

from . import cluster, dcgm
from .attribution import Attribution, attribute, replica_of
from .cluster import ClusterFacts
from .engines.profile import LIVE, EngineProfile
from .history import MINUTE_S, thinned
from .replicas import ReplicaReader, Staleness
from .series import Point, SeriesStore, Subject, Track
from .source import Workload
from .wanted import Exporter, Wanted

STALE_INTERVALS = 2.5
_DEFAULT_INTERVAL_S = 15.0
"""Until two points of a series have been seen and where nothing is stated."""

UP = Wanted(metrics=("up",), exporter=Exporter.ENGINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When readings are made and how late they come."""

    interval_s: Mapping[Exporter, float] = dataclasses.field(default_factory=dict)
    """Stated scrape intervals; others are the median gap of the exporter's timestamps."""
    ingestion_delay_s: float = 0.0
    """How long a reading may take from its scrape until it can be read."""


@dataclasses.dataclass(slots=True)
class _Assembled:
    """What has been assembled of one workload."""

    interval_s: float
    pods: tuple[Subject, ...]
    first: int
    """The bucket of the oldest sample asked for so far."""
    next: int
    """The bucket to go on with."""
    round: int
    samples: dict[int, Sample] = dataclasses.field(default_factory=dict)
    history: list[Sample] = dataclasses.field(default_factory=list)
    """What left ``samples``, thinned."""

    def leave(self, first: int) -> None:
        """Move the samples before a bucket, which begins a minute, to history."""
        gone = [self.samples.pop(bucket) for bucket in sorted(self.samples) if bucket < first]
        self.history += thinned(gone)
        self.first = first


class Assembly:
    """Takes in rows of a source and assembles the windows of its workloads."""

    def __init__(
        self,
        *,
        profiles: Mapping[str, EngineProfile],
        timing: Timing,
        max_series: int = 500_000,
    ) -> None:
        self.store = SeriesStore(max_series=max_series)
        self._cluster = ClusterFacts(self.store)
        self._profiles = profiles
        self._timing = timing
        self._intervals: dict[Exporter, float] = dict(timing.interval_s)
        self._attribution = Attribution(pods={}, rivals={})
        self._assembled: dict[str, _Assembled] = {}

    def wanted(self, workloads: Collection[Workload]) -> tuple[Wanted, ...]:
        """Return everything to read for some workloads."""
        found = [*cluster.WANTED, *dcgm.WANTED, UP]
        for name in sorted({workload.engine for workload in workloads}):
            for profile in self._profiles_named(name):
                found += [
                    Wanted(
                        metrics=reading.metrics,
                        exporter=Exporter.ENGINE,
                        once_a_minute=reading.label is not None,
                    )
                    for reading in profile.all_readings
                ]
        return tuple(dict.fromkeys(found))

    def take(self, wanted: Wanted, row: Mapping[str, str], points: Sequence[Point]) -> None:
        """
        Take in one row: its labels, ``__name__`` among them, and its points in time order.

        Raises:
            SourceError: kind ``limit``, more series than may be kept.
        """
        labels = dict(row)
        metric = labels.pop("__name__")
        subject = wanted.subject(labels)
        if subject is not None:
            self.store.merge(metric, subject, labels, points)

    def settle(self, workloads: Collection[Workload]) -> None:
        """After a round of reading: find out whose pods are whose, and how often they report."""
        namespaces = {workload.namespace for workload in workloads}
        pods = {
            subject
            for wanted in self.wanted(workloads)
            if wanted.about == "pod" and wanted.exporter is not Exporter.GPU
            for metric in wanted.metrics
            for subject in self.store.subjects(metric)
            if subject[0] in namespaces
        }
        self._attribution = attribute(
            pods, workloads, owner_of=self._cluster.owner_of, carries=self._carries
        )
        for exporter in Exporter:
            if exporter not in self._timing.interval_s:
                self._measure(exporter, workloads)

    def interval_s(self, exporter: Exporter) -> float:
        """Return an exporter's scrape interval: stated, measured, or the engines' one."""
        fallback = self._intervals.get(Exporter.ENGINE, _DEFAULT_INTERVAL_S)
        return max(1.0, self._intervals.get(exporter, fallback))

    def stale_after_s(self, exporter: Exporter) -> float:
        """Return how long a reading of an exporter stands."""
        return STALE_INTERVALS * self.interval_s(exporter)

    def window(self, workload: Workload, lookback_s: float, now_s: float) -> Window:
        """
        Return the window of a workload that ends in the bucket of now, less the ingestion delay.

        Raises:
            NoDataError: nothing is known of the newest bucket.
            ConfigurationError: another ScaledObject claims one of its pods.
        """
        self._refuse_rivals(workload)
        interval_s = self.interval_s(Exporter.ENGINE)
        last = bucket_of(now_s - self._timing.ingestion_delay_s, interval_s)
        start_s = math.floor((last * interval_s - lookback_s) / MINUTE_S) * MINUTE_S
        first = min(math.floor(start_s / interval_s + 1e-9) + 1, last)
        assembled = self._assemble(workload, first, last, interval_s)
        samples = assembled.samples
        newest = max((bucket for bucket in samples if bucket <= last), default=None)
        if newest is None:
            raise NoDataError(f"{workload.key}: no readings of {self._what(workload)} yet")
        if newest < last:
            age_s = (last - newest) * interval_s
            raise NoDataError(
                f"{workload.key}: no fresh readings of {self._what(workload)}; the newest ended"
                f" {age_s:.0f} s ago (engine readings stand for"
                f" {self.stale_after_s(Exporter.ENGINE):g} s)",
                newest_s=newest * interval_s,
            )
        return Window(
            samples=tuple(samples[bucket] for bucket in sorted(samples) if bucket <= last),
            interval_s=interval_s,
            history=tuple(assembled.history),
            startup_s=self._cluster.startup_s(self._pods(workload)),
            bounds=self._cluster.bounds(workload),
            allocates_up_front=self._profile(workload).allocates_up_front,
        )

    def forget(self, now_s: float, *, lookback_s: float, history_s: float) -> None:
        """Drop what is older than anybody looks back, and all of workloads that are gone."""
        longest_s = max(map(self.stale_after_s, Exporter))
        self.store.forget(now_s - lookback_s - longest_s - 2 * MINUTE_S)
        for key, assembled in list(self._assembled.items()):
            if key not in self._attribution.pods:
                del self._assembled[key]
            assembled.history = [s for s in assembled.history if s.at_s > now_s - history_s]

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        """Return the nodes that have a resource, with what the online workloads' pods hold."""
        return self._cluster.nodes(
            resource,
            [pod for workload in online for pod in self._pods(workload)],
            at_s=now_s,
            stale_after_s=self.stale_after_s(Exporter.CLUSTER),
        )

    def _assemble(self, workload: Workload, first: int, last: int, interval_s: float) -> _Assembled:
        """Bring the samples of a workload up to date; only what may have changed is made anew."""
        known = self._assembled.get(workload.key)
        pods = self._pods(workload)
        if (
            known is None
            or known.interval_s != interval_s
            or known.first > first
            or not set(known.pods) <= set(pods)
        ):
            older = [s for s in known.history if s.at_s < first * interval_s] if known else []
            known = _Assembled(
                interval_s=interval_s, pods=(), first=first, next=first, round=-1, history=older
            )
            self._assembled[workload.key] = known
        changed_s = min(
            self.store.changed_since(subject, known.round)
            for subject in (*pods, *self._cluster.about(workload))
        )
        begin = min(known.next, last)
        if changed_s < begin * interval_s:
            begin = max(first, bucket_of(changed_s, interval_s) if changed_s > -math.inf else first)
        make = self._maker(workload, pods)
        for bucket in range(begin, last + 1):
            sample = make(bucket * interval_s, known.samples.get(bucket - 1))
            if sample is None:
                known.samples.pop(bucket, None)
            else:
                known.samples[bucket] = sample
        known.leave(first)
        known.pods, known.next, known.round = pods, last + 1, self.store.round
        return known

    def _maker(
        self, workload: Workload, pods: Sequence[Subject]
    ) -> Callable[[float, Sample | None], Sample | None]:
        """Return what makes the sample of one instant, given the sample before it."""
        groups: dict[str, list[Subject]] = {}
        for pod in pods:
            groups.setdefault(replica_of(workload, pod[1]), []).append(pod)
        readers = {name: self._reader(workload, group) for name, group in groups.items()}

        def make(at_s: float, before: Sample | None) -> Sample | None:
            found = [
                replica
                for name, group in sorted(groups.items())
                if (replica := readers[name].at(name, group, at_s)) is not None
            ]
            scale = self._cluster.at(
                workload, pods, at_s=at_s, stale_after_s=self.stale_after_s(Exporter.CLUSTER)
            )
            if not found and scale == cluster.SILENT:
                return None
            return Sample(
                at_s=at_s,
                replicas=_shared(found, before),
                spec_replicas=scale.spec_replicas,
                ready_replicas=scale.ready_replicas,
                loading_replicas=scale.loading_replicas,
                terminating_replicas=scale.terminating_replicas,
                unschedulable_since_s=scale.unschedulable_since_s,
                targets_up=self._targets_up(pods, at_s),
            )

        return make

    def _targets_up(self, pods: Iterable[Subject], at_s: float) -> int | None:
        stale_after_s = self.stale_after_s(Exporter.ENGINE)
        ups = [
            max(values)
            for pod in pods
            if (
                values := [
                    value
                    for track in self.store.tracks("up", pod)
                    if (value := track.at(at_s, stale_after_s)) is not None
                ]
            )
        ]
        return sum(1 for up in ups if up > 0) if ups else None

    def _reader(self, workload: Workload, pods: Sequence[Subject]) -> ReplicaReader:
        return ReplicaReader(
            store=self.store,
            profile=self._profile(workload, pods),
            selector=dict(workload.selector),
            staleness=Staleness(
                interval_s=self.interval_s(Exporter.ENGINE),
                engine_s=self.stale_after_s(Exporter.ENGINE),
                gpu_s=self.stale_after_s(Exporter.GPU),
            ),
        )

    def _profile(self, workload: Workload, pods: Sequence[Subject] | None = None) -> EngineProfile:
        """Return the profile of a workload's engine; ``auto``: the first whose metrics it has."""
        profiles = self._profiles_named(workload.engine)
        of = self._pods(workload) if pods is None else pods
        return next((profile for profile in profiles if self._speaks(profile, of)), profiles[0])

    def _speaks(self, profile: EngineProfile, pods: Sequence[Subject]) -> bool:
        return any(
            rows.of(self.store, pods) for field in LIVE for rows in profile.readings[field].rows
        )

    def _carries(self, pod: Subject, workload: Workload) -> bool:
        """Whether a pod has an engine series with every label of a workload's selector."""
        selector = dict(workload.selector)
        return any(
            selector.items() <= track.labels.items()
            for profile in self._profiles_named(workload.engine)
            for field in LIVE
            for rows in profile.readings[field].rows
            for track in rows.of(self.store, (pod,))
        )

    def _profiles_named(self, name: str) -> list[EngineProfile]:
        if name == "auto":
            return list(self._profiles.values())
        if name not in self._profiles:
            known = ", ".join(sorted([*self._profiles, "auto"]))
            raise ConfigurationError(Problem(field="engine", got=name, allowed=known))
        return [self._profiles[name]]

    def _pods(self, workload: Workload) -> tuple[Subject, ...]:
        return self._attribution.pods.get(workload.key, ())

    def _refuse_rivals(self, workload: Workload) -> None:
        rival = self._attribution.rivals.get(workload.key)
        if rival is not None:
            other, pod = rival
            raise ConfigurationError(
                Problem(
                    field="workload",
                    got=f"{self._what(workload)}, whose pod {pod} the ScaledObject {other} claims",
                    allowed="each pod in one ScaledObject",
                )
            )

    def _what(self, workload: Workload) -> str:
        return f"{workload.kind}/{workload.name}"

    def _measure(self, exporter: Exporter, workloads: Collection[Workload]) -> None:
        """Take the median gap of some of an exporter's series for its scrape interval."""
        gaps = [
            gap
            for wanted in self.wanted(workloads)
            if wanted.exporter is exporter and not wanted.once_a_minute
            for metric in wanted.metrics[:1]
            for track in _some(self.store.all_tracks(metric))
            for gap in track.gaps()
        ]
        if gaps:
            self._intervals[exporter] = max(1.0, float(round(statistics.median(gaps))))


def bucket_of(at_s: float, interval_s: float) -> int:
    """Return the number of the bucket that an instant is in: bucket k ends at k intervals."""
    return math.ceil(at_s / interval_s - 1e-9)


def _some(tracks: Iterable[Track], most: int = 8) -> list[Track]:
    return [track for track, _ in zip(tracks, range(most), strict=False)]


def _shared(replicas: Sequence[Replica], before: Sample | None) -> tuple[Replica, ...]:
    """Return the replicas; one that reads as it did a bucket ago is the same object."""
    earlier = {replica.name: replica for replica in before.replicas} if before else {}
    return tuple(
        same if (same := earlier.get(replica.name)) == replica and same is not None else replica
        for replica in replicas
    )
