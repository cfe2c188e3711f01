"""Counters and histograms of one process, and the registry that everything is scraped from."""

import importlib.metadata
import math
import platform
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from scaler.errors import SOURCE_ERRORS
from scaler.telemetry.objects import ObjectCollector, PageCollector
from scaler.telemetry.observed import Observation, PagesRead
from scaler.tracing import NO_TRACER, Tracer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What :meth:`Telemetry.exposition` returns, for the HTTP header."""

RECLAIM_BUCKETS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Seconds: a suspend takes two, a checkpoint half a minute, a stuck pod its grace period."""

FAST_BUCKETS_S = (0.25, 0.5, 1, 2, 4, 8, 15, 30)
"""Seconds: a tick or two; from 15 on the HPA would have been as fast."""

RPC_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
"""Seconds: 10 ms is promised, 1 s is the most that a first call may take."""

LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds: 50 ms is promised for 99 of 100 turns, and KEDA waits three seconds for a poll."""

TICK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)


class Telemetry:
    """Counters and histograms of one process, and the registry they are scraped from."""

    def __init__(self, tracer: Tracer = NO_TRACER) -> None:
        self.span = tracer.span
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        self._source_errors = Counter(
            "kvtide_source_errors",
            "Reads of a source that failed, by kind of failure.",
            ["kind"],
            registry=self.registry,
        )
        for kind in SOURCE_ERRORS:  # from 0 on, or nobody sees the first one's increase
            self._source_errors.labels(kind)
        self._refused = Counter(
            "kvtide_readings_refused",
            "Samples that no reading can be: below zero, or beyond what the unit allows.",
            registry=self.registry,
        )
        self._asked_apart = Gauge(
            "kvtide_namespaces_asked_apart",
            "Namespaces that a server is slow for, or that are too much for it: they alone wait.",
            registry=self.registry,
        )
        self._rpcs = Histogram(
            "kvtide_rpc_seconds",
            "Time to answer an RPC; streams are not counted.",
            ["method", "code"],
            buckets=RPC_BUCKETS_S,
            registry=self.registry,
        )
        self._ticks = Histogram(
            "kvtide_tick_seconds",
            "Time to read the source (phase read) and to decide on every object (phase decide).",
            ["phase"],
            buckets=TICK_BUCKETS_S,
            registry=self.registry,
        )
        self._lag = Histogram(
            "kvtide_event_loop_lag_seconds",
            "How late the event loop that answers RPCs and probes comes to a timer.",
            buckets=LAG_BUCKETS_S,
            registry=self.registry,
        )
        self._reclaims = Histogram(
            "kvtide_reclaim_seconds",
            "From the sample that ended lending until no worker was left.",
            ["namespace", "scaledobject"],
            buckets=RECLAIM_BUCKETS_S,
            registry=self.registry,
        )
        self._fast_scales = Histogram(
            "kvtide_fast_scale_seconds",
            "From the instant that a decision rests on until it was written ahead of the HPA.",
            ["namespace", "scaledobject"],
            buckets=FAST_BUCKETS_S,
            registry=self.registry,
        )
        self._certificate: tuple[Gauge, Gauge] | None = None
        """Its end, and whether its files are unusable; None: the server speaks without TLS."""
        build = Gauge(
            "kvtide_build_info",
            "Always 1; the labels say what runs.",
            ["version", "python"],
            registry=self.registry,
        )
        build.labels(version(), platform.python_version()).set(1)

    def show_objects(
        self, observations: Callable[[], Iterable[Observation]], clock: Callable[[], float]
    ) -> None:
        """Expose the latest answer of each object, as ``observations`` returns them."""
        self.registry.register(ObjectCollector(observations, clock))

    def show_pages(
        self,
        outcomes: Callable[[], Mapping[str, int]],
        reads: Callable[[], Iterable[PagesRead]],
        clock: Callable[[], float],
    ) -> None:
        """Expose how the pods' own pages were read: in all by outcome, and lately by object."""
        self.registry.register(PageCollector(outcomes, reads, clock))

    def show_tasks(self, count: Callable[[], int]) -> None:
        """Expose how many tasks the event loop has, as ``count`` says at scrape time."""
        Gauge(
            "kvtide_event_loop_tasks",
            "Tasks of the event loop that answers: a few that are always there, and open RPCs.",
            registry=self.registry,
        ).set_function(count)

    def show_streams(self, count: Callable[[], int]) -> None:
        """Expose how many gRPC streams are open, as ``count`` says at scrape time."""
        Gauge(
            "kvtide_open_streams",
            "Streams of gRPC clients: KEDA opens one for each push trigger.",
            registry=self.registry,
        ).set_function(count)

    def count_source_error(self, kind: str) -> None:
        self._source_errors.labels(kind).inc()

    def count_refused(self, samples: int) -> None:
        self._refused.inc(samples)

    def tell_asked_apart(self, namespaces: int) -> None:
        self._asked_apart.set(namespaces)

    def observe_rpc(self, *, method: str, code: str, seconds: float) -> None:
        self._rpcs.labels(method, code).observe(seconds)

    def observe_tick(self, *, phase: str, seconds: float) -> None:
        self._ticks.labels(phase).observe(seconds)

    def observe_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def show_certificate(self, *, expires_s: float | None, failed: bool) -> None:
        """Show when the gRPC server's certificate ends, and whether its files cannot be used."""
        if self._certificate is None:
            self._certificate = (
                Gauge(
                    "kvtide_tls_expiry_timestamp_seconds",
                    "End of the gRPC server's certificate, Unix time; 0: it does not hold now.",
                    registry=self.registry,
                ),
                Gauge(
                    "kvtide_tls_files_unusable",
                    "1 while the TLS files cannot be used: what they held before is served.",
                    registry=self.registry,
                ),
            )
        ends, unusable = self._certificate
        ends.set(math.nan if expires_s is None else expires_s)
        unusable.set(failed)

    def may_reclaim(self, *, namespace: str, scaled_object: str) -> None:
        """Show the reclaims of a borrower from the first one on, none so far included."""
        self._reclaims.labels(namespace, scaled_object)

    def observe_reclaim(self, *, namespace: str, scaled_object: str, seconds: float) -> None:
        self._reclaims.labels(namespace, scaled_object).observe(seconds)

    def observe_fast_scale(self, *, namespace: str, scaled_object: str, seconds: float) -> None:
        self._fast_scales.labels(namespace, scaled_object).observe(seconds)

    def forget(self, *, namespace: str, scaled_object: str) -> None:
        """Drop the series of an object that is no longer served."""
        self._reclaims.remove_by_labels({"namespace": namespace, "scaledobject": scaled_object})

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def version() -> str:
    """Return the version of kvtide that runs."""
    return importlib.metadata.version("kvtide")
