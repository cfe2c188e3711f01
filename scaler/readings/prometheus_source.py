"""
Readings of many workloads from one Prometheus, a few queries for all of them.

Raw samples with their own timestamps, merged as they come. How many queries that takes depends on
metrics and on shards (sets of namespaces), never on the number of workloads. A shard that fails
blinds its own namespaces and no other; what was read before stays, and grows old.
"""

import asyncio
import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from scaler.configuration import PrometheusServer
from scaler.decision.pool import Node, Units
from scaler.decision.window import Window
from scaler.errors import NoDataError, SourceError
from scaler.said import Said, joined
from scaler.source import Workload
from scaler.tracing import NO_TRACER, Tracer

from .arrivals import ArrivalQueries
from .asks import MINUTE_S
from .assemble import Assembly
from .clocks import Clock, Clocks
from .engines.profile import EngineProfile
from .examination import Examination, ServerFacts, examine
from .following import Following
from .gateways.profile import GatewayProfile
from .kubernetes.known import KnownCluster
from .lengths_read import LengthsRead
from .lookout import Lookout
from .past import Past, read_recording
from .reader import Reader
from .timing import Timing
from .wanted import Exporter

logger = logging.getLogger("kvtide.prometheus")

ABSENT_S = 10.0
"""An exporter that was not there is looked for again so soon: a Prometheus may just have begun."""
_BEGINNING_S = 300.0
"""For so long; then once a minute, as all of them."""

BESIDE_S = 2.0
"""So long a round waits, once its readings are in, for what changes slowly: token lengths, history,
what is there in place of readings. Where that takes longer the next round goes on beside it."""

SLOW_S = 1.0
"""A server whose queries take so long is named as slow where readings are missing."""


class PrometheusSource:
    """Reads one server for all workloads that name it."""

    def __init__(
        self,
        server: PrometheusServer,
        *,
        profiles: Mapping[str, EngineProfile],
        gateways: Mapping[str, GatewayProfile] | None = None,
        queries: Mapping[str, str] | None = None,
        known: KnownCluster | None = None,
        clock: Clock | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """
        Read a server; nothing is asked of it before the first refresh.

        Args:
            server: where it is and how it is asked.
            profiles: engines by name.
            gateways: gateways by name.
            queries: named queries that count arrivals.
            known: what the Kubernetes API says, the fresher word on the cluster.
            clock: whose seconds :meth:`refresh` is given; None: no clock's, of a past, which is
                read in whole before a refresh ends.
            tracer: measures each query.
        """
        self._url = server.shown_url
        self._reader = Reader(server, tracer)
        self._clocks = Clocks(clock, self._reader.ahead_s)
        self._of_a_past = clock is None
        self._timing = timing_of(server)
        self._known = known or KnownCluster()
        self._assembly = Assembly(
            profiles=profiles,
            gateways=gateways,
            timing=self._timing,
            known=self._known,
            copies=server.replica_labels,
        )
        self._profiles, self._gateways = profiles, gateways
        self._copies = server.replica_labels
        self._arrivals = ArrivalQueries(queries or {})
        self._following = Following(
            self._reader,
            self._assembly,
            self._arrivals,
            url=server.shown_url,
            delay_s=self._timing.ingestion_delay_s,
            learns=clock is not None,
        )
        self._lookout = Lookout(
            self._reader, self._assembly, profiles=profiles, gateways=gateways or {}
        )
        self._past = Past(self._reader, self._assembly, self._arrivals)
        self._lengths = LengthsRead(self._reader, self._assembly, url=server.shown_url)
        self._began_s = math.inf
        self._probed_s = self._looked_s = -math.inf
        self._beside: asyncio.Task[None] | None = None

    async def refresh(
        self,
        workloads: Collection[Workload],
        lookback_s: float,
        now_s: float,
        *,
        history_s: float = 0.0,
    ) -> None:
        """
        Read what is new; see :class:`~scaler.source.Source`.

        Raises:
            SourceError: the server did not answer, or no engine reading of any namespace.
        """
        if not workloads:
            self._past.is_complete = True
            return
        workloads = [self._known.resolved(workload) for workload in workloads]
        await self._clocks.compare(self._url)
        if self._began_s == math.inf:
            await self._probe(workloads, now_s)
        self._assembly.store.next_round()
        await self._assembly.hear(workloads, now_s)
        await self._following.read(workloads, now_s=now_s, lookback_s=lookback_s)
        if shared := self._following.shared(workloads):
            await self._read_beside(
                shared, now_s, until_s=now_s - lookback_s, since_s=now_s - history_s
            )
        self._assembly.forget(now_s, lookback_s=lookback_s, history_s=history_s)

    async def _read_beside(
        self, workloads: Sequence[Workload], now_s: float, *, until_s: float, since_s: float
    ) -> None:
        """Read what changes slowly; the next readings wait for it no longer than a budget."""
        if self._of_a_past:
            await self._read_slowly(workloads, now_s, until_s=until_s, since_s=since_s)
            return
        if self._beside is None:
            self._beside = asyncio.create_task(
                self._read_slowly(workloads, now_s, until_s=until_s, since_s=since_s)
            )
        await asyncio.wait({self._beside}, timeout=BESIDE_S)
        if self._beside.done():
            done, self._beside = self._beside, None
            done.result()

    async def _read_slowly(
        self, workloads: Sequence[Workload], now_s: float, *, until_s: float, since_s: float
    ) -> None:
        round_ = self._reader.begin()
        with contextlib.suppress(SourceError):  # what is known stands, and the next round asks
            await self._probe_again(workloads, now_s)
        await self._lengths.read(workloads, round_, now_s)
        await self._lookout.look(workloads, round_, now_s)
        self._following.learn(round_, workloads, now_s)
        if self._of_a_past:
            await self._past.read_all(workloads, until_s=until_s, since_s=since_s)
        else:
            past = self._reader.begin()
            await self._past.read_some(workloads, past, until_s=until_s, since_s=since_s)
            self._following.learn(past, workloads, now_s)

    @property
    def is_complete(self) -> bool:
        """Whether the whole history was read that the last refresh asked for."""
        return self._past.is_complete

    @property
    def refused(self) -> int:
        """How many samples so far were no readings; of those of a history nobody counts."""
        return self._assembly.store.refused

    @property
    def asked_apart(self) -> int:
        """For how many namespaces alone the server is slow, so that they are asked apart."""
        return self._following.asked_apart

    async def recording(self, workload: Workload, *, since_s: float, until_s: float) -> Window:
        """
        Return all that is known of a workload between two instants, as fine samples.

        For what looks back over recorded load; it touches nothing that :meth:`refresh` reads.

        Raises:
            SourceError: some of it could not be read.
            NoDataError: there is nothing in it.
        """
        workload = self._known.resolved(workload)
        assembly = Assembly(
            profiles=self._profiles,
            gateways=self._gateways,
            timing=self._timing,
            copies=self._copies,
        )
        engines = assembly.engines.sign_metrics([workload])
        await self._reader.probe(engines, {workload.namespace}, until_s)
        return await read_recording(
            self._reader, assembly, self._arrivals, workload, span_s=(since_s, until_s)
        )

    def assembling(self, workload: Workload, lookback_s: float, now_s: float) -> Iterator[None]:
        """Make what a window needs; see :class:`~scaler.source.Source`."""
        return self._assembly.assembling(self._known.resolved(workload), lookback_s, now_s)

    def window(
        self, workload: Workload, lookback_s: float, now_s: float, *, silent_s: float = 0.0
    ) -> Window:
        """
        Return what was read of a workload; see :class:`~scaler.source.Source`.

        Raises:
            NoDataError: with why its namespace could not be read, where that is the cause.
        """
        workload = self._known.resolved(workload)
        why = self._why_silent(workload)
        try:
            window = self._assembly.window(workload, lookback_s, now_s, silent_s=silent_s)
        except NoDataError as error:
            if why is None:
                raise
            raise NoDataError(joined("; ", (error.said, why)), newest_s=error.newest_s) from None
        at_gateway = self._lookout.of_gateway(workload)
        if window.gateway_silent is not None and at_gateway is not None:
            silent = joined("; ", (window.gateway_silent, at_gateway))
            window = dataclasses.replace(window, gateway_silent=silent)
        return window if why is None else dataclasses.replace(window, instead=why)

    def _why_silent(self, workload: Workload) -> str | None:
        """Return what would explain that an engine's readings are missing; None: nothing known."""
        trouble = self._following.trouble_of(workload.namespace)
        if trouble is not None:
            return trouble
        if self._following.slowest_s >= SLOW_S:
            return Said(
                "{url} is slow: the last queries took up to {slowest_s:.1f} s",
                url=self._url,
                slowest_s=self._following.slowest_s,
            )
        return self._lookout.of(workload)

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        """Return the nodes that have a resource; see :class:`~scaler.source.Source`."""
        resolved = [self._known.resolved(workload) for workload in online]
        return self._assembly.nodes(resource, resolved, now_s)

    def units(self, resource: str | None, workload: Workload, now_s: float) -> Units:
        """Return what a workload's pods hold; see :class:`~scaler.source.Source`."""
        return self._assembly.units(resource, self._known.resolved(workload), now_s)

    def examine(self, workload: Workload, now_s: float) -> Examination:
        """
        Return what there is of a workload, as it was read last.

        Raises:
            ConfigurationError: it names an engine or a gateway that nobody knows.
        """
        workload = self._known.resolved(workload)
        return examine(
            self._assembly,
            workload,
            now_s,
            instead=self._lookout.of(workload),
            gateway_instead=self._lookout.of_gateway(workload),
        )

    async def about_server(self, clock: Callable[[], float]) -> ServerFacts:
        """
        Return what is known of the server; of its exporters what the last refresh found.

        Raises:
            SourceError: it did not answer.
        """
        kind, skew_s = await self._reader.about_server(clock)
        return ServerFacts(
            kind=kind,
            clock_ahead_s=skew_s,
            exact_names=self._reader.asks_exact_names,
            has_cluster=self._reader.has(Exporter.CLUSTER),
            has_gpus=self._reader.has(Exporter.GPU),
            objects_served=await self._reader.objects_served(clock()),
            pages_read=await self._reader.pages_read(clock()),
        )

    async def newest_s(self, workload: Workload, now_s: float) -> float | None:
        """
        Return the time of the newest sample of a workload's engine in its namespace.

        Raises:
            SourceError: the server did not answer.
        """
        metrics = self._assembly.engines.sign_metrics([workload])
        back_s = self._assembly.intervals.stale_after_s(Exporter.ENGINE)
        return await self._reader.newest_s(metrics, workload.namespace, now_s, back_s)

    async def close(self) -> None:
        """Drop the connections."""
        self._reader.close()

    async def _probe_again(self, workloads: Collection[Workload], now_s: float) -> None:
        """Find out what has come or gone, where it was not looked for a while."""
        if now_s - self._probed_s >= MINUTE_S:
            await self._probe(workloads, now_s)
            return
        begins = now_s - self._began_s < _BEGINNING_S and not self._reader.found_all
        if begins and now_s - self._looked_s >= ABSENT_S:
            await self._probe(workloads, now_s, absent_only=True)

    async def _probe(
        self, workloads: Collection[Workload], now_s: float, *, absent_only: bool = False
    ) -> None:
        """Find out what is there to be read; without an answer there is nothing to go on with."""
        namespaces = {workload.namespace for workload in workloads}
        engines = self._assembly.engines.sign_metrics(workloads)
        try:
            await self._reader.probe(engines, namespaces, now_s, absent_only=absent_only)
        except SourceError as error:
            self._following.fail(namespaces, error)
            raise
        self._looked_s = now_s
        if not absent_only:
            self._probed_s = now_s
        self._began_s = min(self._began_s, now_s)


def timing_of(server: PrometheusServer) -> Timing:
    """Return the stated scrape intervals and the ingestion delay of a server."""
    stated = {
        Exporter.ENGINE: server.scrape_interval.engine_s,
        Exporter.GPU: server.scrape_interval.gpu_s,
        Exporter.CLUSTER: server.scrape_interval.cluster_s,
        Exporter.GATEWAY: server.scrape_interval.gateway_s,
    }
    return Timing(
        interval_s={exporter: value for exporter, value in stated.items() if value is not None},
        ingestion_delay_s=server.ingestion_delay_s,
    )
