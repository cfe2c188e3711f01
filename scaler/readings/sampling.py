"""
One workload at one instant, read off the store.

A function of the points alone: a sample does not depend on when, how often or in which order its
points were read.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scaler.decision.sample import Replica, Sample
from scaler.source import Workload

from . import cluster
from .attribution import groups
from .cluster import ClusterFacts
from .engines.profile import EngineProfile
from .gateways.known import AtGateway, KnownGateways
from .replicas import ReplicaReader, Staleness
from .series import SeriesStore, Subject, Track
from .sleepers import sleepers_as_loading
from .spoken import is_api
from .timing import Intervals
from .wanted import Exporter, Wanted

UP = Wanted(metrics=("up",), exporter=Exporter.ENGINE)

YOUNG_SCRAPES = 2
"""Scrapes of the engines within which a ready replica may have had none yet."""


class Sampler:
    """Makes the samples of one workload with these pods, by the series that there are of them."""

    def __init__(
        self,
        workload: Workload,
        pods: Sequence[Subject],
        *,
        store: SeriesStore,
        profile: EngineProfile,
        gateways: KnownGateways,
        intervals: Intervals,
    ) -> None:
        self._workload = workload
        self._pods = pods
        self._store = store
        self._cluster = ClusterFacts(store)
        self._gateways = gateways
        self._intervals = intervals
        staleness = Staleness(
            interval_s=intervals.interval_s(Exporter.ENGINE),
            engine_s=intervals.stale_after_s(Exporter.ENGINE),
            gpu_s=intervals.stale_after_s(Exporter.GPU),
        )
        read = {"itl": workload.itl_buckets, "ttft": workload.ttft_buckets}
        self._replicas = [
            ReplicaReader(
                name,
                group,
                store=store,
                profile=profile,
                selector=dict(workload.selector),
                staleness=staleness,
                by_bucket=tuple(of for of, is_read in read.items() if is_read),
            )
            for name, group in sorted(groups(workload, pods).items())
        ]
        self._tracks = self._tracks_by_exporter()

    def _tracks_by_exporter(self) -> Mapping[Exporter, tuple[Track, ...]]:
        readers = self._replicas
        ups = itertools.chain(*(self._store.tracks("up", pod) for pod in self._pods))
        return {
            Exporter.ENGINE: (*itertools.chain(*(one.engine_tracks for one in readers)), *ups),
            Exporter.GPU: tuple(itertools.chain(*(one.gpu_tracks for one in readers))),
            Exporter.GATEWAY: tuple(self._gateways.tracks(self._workload)),
            Exporter.CLUSTER: tuple(self._cluster.tracks(self._workload)),
        }

    def hears_engines(self, at_s: float) -> bool:
        """Whether an engine of the workload has reported lately."""
        stale_after_s = self._intervals.stale_after_s(Exporter.ENGINE)
        engines = self._tracks[Exporter.ENGINE]
        return any(track.at(at_s, stale_after_s) is not None for track in engines)

    def is_at_zero(self, at_s: float) -> bool:
        """Whether the API says, which tells of a change when it happens, that there is no pod."""
        stale_after_s = self._intervals.stale_after_s(Exporter.CLUSTER)
        return self._cluster.none_is_ready(
            self._workload, at_s=at_s, stale_after_s=stale_after_s
        ) and not any(
            self._store.fresh(cluster.CREATED, pod, at_s, stale_after_s) for pod in self._pods
        )

    def awaits_first(self, at_s: float) -> bool:
        """Whether more replicas are ready than have any series, even of their target, lately."""
        ready = self._cluster.ready(
            self._workload,
            at_s=at_s,
            stale_after_s=self._intervals.stale_after_s(Exporter.CLUSTER),
        )
        stale_after_s = self._intervals.stale_after_s(Exporter.ENGINE)
        there = sum(
            any(track.at(at_s, stale_after_s) is not None for track in one.engine_tracks)
            for one in self._replicas
        )
        return (ready or 0) > there

    def reports(self, at_s: float) -> Iterator[tuple[float, tuple[Track, ...]]]:
        """
        Yield the series that an instant's samples are made of, by how often they are scraped.

        What the API tells comes when it happens, and in place of what kube-state-metrics does.
        """
        for exporter, tracks in self._tracks.items():
            told = (track for track in tracks if is_api(track.labels))
            stale_after_s = self._intervals.stale_after_s(exporter)
            if not any(track.at(at_s, stale_after_s) is not None for track in told):
                yield self._intervals.interval_s(exporter), tracks

    def newest_s(self, at_s: float) -> float | None:
        """Return the time of the newest reading up to an instant; None: there is none."""
        points = (track.last(at_s) for tracks in self._tracks.values() for track in tracks)
        return max((point[0] for point in points if point is not None), default=None)

    def at(self, at_s: float, before: Sample | None) -> Sample | None:
        """Return the sample of an instant, None if nothing is known; ``before`` is the last one."""
        replicas = [one for reader in self._replicas if (one := reader.at(at_s)) is not None]
        scale = self._cluster.at(
            self._workload,
            self._pods,
            at_s=at_s,
            stale_after_s=self._intervals.stale_after_s(Exporter.CLUSTER),
        )
        scale = self._young_as_loading(scale, replicas, at_s)
        before_it = self._gateways.at(
            self._workload,
            at_s=at_s,
            stale_after_s=self._intervals.stale_after_s(Exporter.GATEWAY),
        )
        if replicas:
            before_it = dataclasses.replace(before_it, arrivals_total=self._counted(before_it))
        if not replicas and scale == cluster.SILENT and before_it == AtGateway():
            return None
        sample = Sample(
            at_s=at_s,
            replicas=_shared(replicas, before),
            spec_replicas=scale.spec_replicas,
            ready_replicas=scale.ready_replicas,
            loading_replicas=scale.loading_replicas,
            terminating_replicas=scale.terminating_replicas,
            unschedulable_since_s=scale.unschedulable_since_s,
            gateway_in_flight=before_it.gateway_in_flight,
            gateway_waiting=before_it.gateway_waiting,
            arrivals_total=before_it.arrivals_total,
            targets_up=self._targets_up(at_s, is_watched=before_it != AtGateway()),
        )
        return sleepers_as_loading(sample)

    def _young_as_loading(
        self, scale: cluster.Scale, replicas: Sequence[Replica], at_s: float
    ) -> cluster.Scale:
        """
        Count as loading what became ready within two scrapes and does not report yet.

        Its first scrape may still be to come: it is not a replica whose readings are missing.
        """
        speaking = sum(one.requests_running is not None and not one.sleeping for one in replicas)
        silent = (scale.ready_replicas or 0) - speaking
        if silent <= 0:
            return scale
        then = self._cluster.at(
            self._workload,
            self._pods,
            at_s=at_s - YOUNG_SCRAPES * self._intervals.interval_s(Exporter.ENGINE),
            stale_after_s=self._intervals.stale_after_s(Exporter.CLUSTER),
        )
        if then.ready_replicas is None:
            return scale
        young = min(silent, max(0, (scale.ready_replicas or 0) - then.ready_replicas))
        return dataclasses.replace(
            scale,
            ready_replicas=(scale.ready_replicas or 0) - young,
            loading_replicas=(scale.loading_replicas or 0) + young,
        )

    def _counted(self, found: AtGateway) -> float | None:
        """
        Return what the gateway counted, for a bucket in which engines report as well.

        A gateway that is scraped less often than the engines says nothing about most of their
        buckets, and too much about one. What the engines count is right then.
        """
        seldom = self._intervals.interval_s(Exporter.GATEWAY) > self._intervals.interval_s(
            Exporter.ENGINE
        )
        return None if seldom and self._workload.arrival_query is None else found.arrivals_total

    def _targets_up(self, at_s: float, *, is_watched: bool) -> int | None:
        """Count pods whose target is up; where a gateway reads, none is a fact and no silence."""
        stale_after_s = self._intervals.stale_after_s(Exporter.ENGINE)
        found = (self._store.value("up", pod, at_s, stale_after_s) for pod in self._pods)
        ups = [up for up in found if up is not None]
        return sum(1 for up in ups if up > 0) if ups or is_watched else None


def _shared(replicas: Iterable[Replica], before: Sample | None) -> tuple[Replica, ...]:
    """Return the replicas; one that reads as it did a bucket ago is the same object."""
    earlier = {replica.name: replica for replica in before.replicas} if before else {}
    return tuple(
        same if (same := earlier.get(replica.name)) == replica and same is not None else replica
        for replica in replicas
    )
