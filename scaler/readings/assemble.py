"""
Series in, windows out: readings on the grid, one sample per bucket and workload.

A series' last point stands for the buckets after it until it is 2.5 of its exporter's intervals
old, and is then missing, never 0.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from scaler.decision.compose import fine_after_s
from scaler.decision.facts.record import Record, Recorded
from scaler.decision.history import MINUTE_S
from scaler.decision.pool import Node, Units
from scaler.decision.sample import Sample
from scaler.decision.window import Kept, Window
from scaler.errors import KvtideError
from scaler.source import Workload

from . import claims, cluster, dcgm, nodes
from .assembled import Assembler
from .attribution import Attribution, attribute, groups
from .cluster import ClusterFacts
from .copies import copying_labels
from .engines.known import KnownEngines
from .engines.profile import EngineProfile
from .gateways.known import KnownGateways
from .gateways.profile import GatewayProfile
from .kubernetes.known import KnownCluster
from .kubernetes.stated import Stated
from .lengths import LengthBook
from .newest import NewestBuckets
from .nodes import Nodes
from .refusals import refuse_crowd, refuse_rival, silence_s
from .samplers import Samplers
from .sampling import UP
from .series import Point, SeriesStore, Subject
from .timing import Intervals, Lateness, Timing, bucket_before
from .units import UnitsReader
from .wanted import Exporter, Wanted

logger = logging.getLogger("kvtide.readings")


class Merged(NamedTuple):
    """What a row was merged into."""

    namespace: str
    before_s: float | None
    """The instant of the series' newest point before; None: it is a new one."""


class Assembly:
    """Takes in rows of a source and assembles the windows of its workloads."""

    def __init__(
        self,
        *,
        profiles: Mapping[str, EngineProfile],
        timing: Timing,
        gateways: Mapping[str, GatewayProfile] | None = None,
        known: KnownCluster | None = None,
        copies: Collection[str] = (),
        max_series: int = 1_000_000,
    ) -> None:
        """
        Begin with nothing.

        Args:
            profiles: engines by name.
            timing: what is stated about the time of readings.
            gateways: gateways by name.
            known: what the Kubernetes API says, the fresher word on the cluster.
            copies: labels that tell copies of one series apart.
            max_series: more is an error.
        """
        self.store = SeriesStore(max_series=max_series)
        self.engines = KnownEngines(profiles, self.store)
        self.gateways = KnownGateways(gateways or {}, self.store, copies=copies)
        self.copies: tuple[str, ...] = tuple(copies)
        """Labels that tell copies of one series apart: stated ones, and those found."""
        self.intervals = Intervals(timing)
        self.lateness = Lateness(timing.ingestion_delay_s)
        self.lengths = LengthBook()
        self.pods: frozenset[Subject] = frozenset()
        """Every pod seen in the workloads' namespaces."""
        self._profiles = profiles
        self._gateway_profiles = gateways
        self._copies = copies
        self._timing = timing
        self._cluster = ClusterFacts(self.store)
        self._nodes = Nodes(self.store)
        self._units = UnitsReader(self.store)
        self._known = known or KnownCluster()
        self._stated = Stated(self._known)
        self._attribution = Attribution(pods={}, rivals={})
        self._samplers = Samplers(
            self.store,
            engines=self.engines,
            gateways=self.gateways,
            intervals=self.intervals,
            pods_of=self.pods_of,
        )
        self.newest = NewestBuckets(
            self._samplers,
            intervals=self.intervals,
            lateness=self.lateness,
            ingestion_delay_s=timing.ingestion_delay_s,
        )
        self._assembler = Assembler(
            self.store, samplers=self._samplers, intervals=self.intervals, pods_of=self.pods_of
        )

    def like(self) -> "Assembly":
        """Return an empty assembly that reads and times as this one does now."""
        timing = Timing(
            interval_s=self.intervals.known_s, ingestion_delay_s=self._timing.ingestion_delay_s
        )
        return Assembly(
            profiles=self._profiles,
            gateways=self._gateway_profiles,
            timing=timing,
            copies=self._copies,
        )

    def wanted(self, workloads: Collection[Workload]) -> tuple[Wanted, ...]:
        """Return everything to read for some workloads."""
        engines = self.engines.wanted(workloads)
        gateways = self.gateways.wanted(workloads)
        exporters = (*cluster.WANTED, *nodes.WANTED, *claims.WANTED, *dcgm.WANTED)
        # Of two that read one metric the last stands for it on a page that is read whole.
        return tuple(dict.fromkeys([*engines, *gateways, UP, *exporters]))

    def take(
        self, wanted: Wanted, row: Mapping[str, str], points: Sequence[Point]
    ) -> Merged | None:
        """
        Take in one row: its labels, ``__name__`` among them, and its points in time order.

        Returns what it was merged into; None: it does not say what it is about.

        Raises:
            SourceError: kind ``limit``, more series than may be kept.
        """
        labels = dict(row)
        metric = labels.pop("__name__")
        subject = wanted.subject(labels)
        if subject is None:
            return None
        if not wanted.once_a_minute:
            self.intervals.hear(wanted, points)
        before_s = self.store.merge(metric, subject, wanted.own(labels), points)
        return Merged(namespace=subject[0], before_s=before_s)

    async def hear(self, workloads: Collection[Workload], now_s: float) -> None:
        """
        Take in what the Kubernetes API says of the workloads' namespaces now.

        Raises:
            SourceError: kind ``limit``, more series than may be kept.
        """
        namespaces = {workload.namespace for workload in workloads}
        await self._stated.into(self.store, namespaces, now_s)

    def settle(self, workloads: Collection[Workload]) -> None:
        """After a round of reading: find out whose pods are whose, and how often they report."""
        with self.store.lock:
            self._settle(workloads)

    def _settle(self, workloads: Collection[Workload]) -> None:
        namespaces = {workload.namespace for workload in workloads}
        wanted = self.wanted(workloads)
        self.pods = frozenset(
            subject
            for one in wanted
            if one.about == "pod" and one.exporter is not Exporter.GPU
            for metric in one.metrics
            for subject in self.store.subjects(metric)
            if subject[0] in namespaces
        )
        self._attribution = attribute(
            self.pods,
            workloads,
            owner_of=self._cluster.owner_of,
            carries=lambda pod, workload: self.engines.carries(workload, pod),
            is_shown=lambda workload: self._known.has(workload) or self._cluster.shows(workload),
        )
        self.lengths.settle(self._attribution.pods)
        self.gateways.settle(workloads)
        self.intervals.measure(self.store, wanted)
        self._find_copies()
        self.store.next_round()  # what is assembled from here on has all of this round in it

    def _find_copies(self) -> None:
        stale_after_s = self.intervals.stale_after_s(Exporter.ENGINE)
        found = copying_labels(self.store, self.pods, stale_after_s) - set(self.copies)
        if found:
            self.copies = self.gateways.copies = (*self.copies, *sorted(found))
            logger.info("series are there twice, apart in %s: counted once", ", ".join(found))

    def assembling(self, workload: Workload, lookback_s: float, now_s: float) -> Iterator[None]:
        """
        Make what :meth:`window` is about to need, a bucket at a time.

        A workload of many pods takes long, and whoever asks for it may let others in between. What
        stands in the way is the window's to say.
        """
        with contextlib.suppress(KvtideError):
            refuse_rival(workload, self._attribution.rivals.get(workload.key))
            refuse_crowd(workload, len(self.pods_of(workload)))
            first, last, interval_s = self._span(workload, lookback_s, now_s)
            yield from self._assembler.assembling(workload, first, last, interval_s)

    def window(
        self, workload: Workload, lookback_s: float, now_s: float, *, silent_s: float = 0.0
    ) -> Window:
        """
        Return the window of a workload that ends in the newest bucket all have reported in.

        Its newest sample may have ended ``silent_s`` before that.

        It begins on a whole minute, so that what is older is history by whole minutes, and moves on
        with the minute of now: what is known of whole minutes stays the same until then.

        Raises:
            NoDataError: nothing is known of the newest bucket.
            ConfigurationError: another ScaledObject claims one of its pods.
        """
        refuse_rival(workload, self._attribution.rivals.get(workload.key))
        refuse_crowd(workload, len(self.pods_of(workload)))
        first, last, interval_s = self._span(workload, lookback_s, now_s)
        known = self._assembler.assemble(workload, first, last, interval_s)
        with self.store.lock:
            fine = known.record.until(known.ends_s(last + 1))
        samples = fine.samples
        age_s = silence_s(
            workload,
            samples,
            newest_s=last * interval_s,
            most_s=silent_s,
            stale_after_s=self.intervals.stale_after_s(Exporter.ENGINE),
        )
        with self.store.lock:
            history = self._assembler.history(workload, samples[0].at_s)
            window = self.window_of(workload, fine, history=history)
            read_s = self._samplers.of(workload).newest_s(min(now_s, samples[-1].at_s))
            return dataclasses.replace(window, read_s=read_s, silent_s=age_s)

    def _span(self, workload: Workload, lookback_s: float, now_s: float) -> tuple[int, int, float]:
        """Return the first and the last bucket of a window, and the seconds of a bucket."""
        interval_s = self.intervals.interval_s(Exporter.ENGINE)
        with self.store.lock:
            last = self.newest.of(workload, now_s)
        after_s = fine_after_s(last * interval_s, lookback_s)
        first = min(bucket_before(after_s, interval_s) + 1, last)
        return first, last, interval_s

    def window_of(
        self, workload: Workload, fine: Recorded, *, history: Recorded | None = None
    ) -> Window:
        """Return a window of samples, at least one, with what is known beside them."""
        samples, older = fine.samples, history or Record().until(fine.samples[0].at_s)
        return Window(
            samples=samples,
            interval_s=self.intervals.interval_s(Exporter.ENGINE),
            history=older.samples,
            kept=Kept(fine, older),
            lengths=self.lengths.of(workload.key),
            startup_s=self._cluster.startup_s(self.pods_of(workload)),
            reclaim_s=self._known.reclaim_s(workload),
            bounds=self._known.bounds(workload, self._cluster.bounds(workload)),
            allocates_up_front=self._profile(workload).allocates_up_front,
            gateway=self.gateways.origin(workload),
            gateway_silent=self.gateways.silent(
                workload,
                at_s=samples[-1].at_s,
                stale_after_s=self.intervals.stale_after_s(Exporter.GATEWAY),
            ),
        )

    async def between(self, workload: Workload, since_s: float, until_s: float) -> list[Sample]:
        """
        Return the samples of the buckets in ``(since, until]``, of which there may be none.

        Between two buckets what else is read has its turn: an hour of many pods takes seconds.
        Where nothing was read yet nothing is looked at: four days of a server that has a minute.
        """
        interval_s = self.intervals.interval_s(Exporter.ENGINE)
        # A counter that is new was 0 before it, as long as a reading stands.
        begun_s = self.store.oldest_s() - max(map(self.intervals.stale_after_s, Exporter))
        since_s = max(since_s, begun_s - interval_s)
        if since_s >= until_s:
            return []
        first, last = (bucket_before(at_s, interval_s) for at_s in (since_s, until_s))
        for _ in self._assembler.assembling(workload, first + 1, last, interval_s):
            await asyncio.sleep(0)
        known = self._assembler.assemble(workload, first + 1, last, interval_s)
        return list(known.record.samples)

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        """Return the nodes that have a resource, with what the online workloads' pods hold."""
        with self.store.lock:
            return self._nodes.at(
                resource,
                [pod for workload in online for pod in self.pods_of(workload)],
                at_s=now_s,
                stale_after_s=self.intervals.stale_after_s(Exporter.CLUSTER),
            )

    def units(self, resource: str | None, workload: Workload, now_s: float) -> Units:
        """Return what a workload's pods hold of a resource, else what their template asks for."""
        with self.store.lock:
            return self._units.of(
                resource,
                groups(workload, self.pods_of(workload)),
                template=lambda: self._known.template(workload),
                at_s=now_s,
                stale_after_s=self.intervals.stale_after_s(Exporter.CLUSTER),
            )

    def add_history(self, workload: Workload, samples: Sequence[Sample]) -> None:
        """Add thinned samples; what is known of an instant stays."""
        with self.store.lock:
            self._assembler.add_history(workload, samples)

    def forget(self, now_s: float, *, lookback_s: float, history_s: float) -> None:
        """Drop what is older than anybody looks back, and all of workloads that are gone."""
        longest_s = max(map(self.intervals.stale_after_s, Exporter))
        self.store.forget(now_s - lookback_s - longest_s - 2 * MINUTE_S)
        with self.store.lock:
            workloads = self._attribution.pods.keys()
            self._samplers.keep(workloads)
            self._assembler.forget(now_s - history_s, workloads, now_s)

    def _profile(self, workload: Workload) -> EngineProfile:
        return self.engines.profile(workload, self.pods_of(workload))

    def there(self, workload: Workload, now_s: float) -> tuple[tuple[Subject, ...], float | None]:
        """Return a workload's pods, and how many of its replicas are ready (None: not told)."""
        stale_after_s = self.intervals.stale_after_s(Exporter.CLUSTER)
        ready = self._cluster.ready(workload, at_s=now_s, stale_after_s=stale_after_s)
        return self.pods_of(workload), ready

    def pods_of(self, workload: Workload) -> tuple[Subject, ...]:
        """Return the pods that were found to be a workload's."""
        return self._attribution.pods.get(workload.key, ())
