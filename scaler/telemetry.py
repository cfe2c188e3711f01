"""
What kvtide says about itself: the metrics and log fields, named here and nowhere else.

What is said of an object is read from its latest answer at scrape time, so that nothing is kept
per object here: an object that is no longer served leaves no series behind, and ages are true at
the moment of the scrape.
"""

import dataclasses
import importlib.metadata
import math
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping

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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scaler.decision.decision import Decision
from scaler.errors import SOURCE_ERRORS, KvtideError
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The latest answer for one object, as metrics, log lines and the status page show it."""

    namespace: str
    scaled_object: str
    role: str
    """``inference``, ``training``, or ``unknown`` while the metadata is wrong."""
    decision: Decision | None
    """None: there was no answer, for ``reason``."""
    reason: str
    """One word: the decision's Reason, or what stands in its way."""
    detail: str
    """The sentence behind the reason."""
    newest_s: float | None
    """Time of the newest sample that was ever decided on, Unix seconds."""
    evaluated_s: float
    """When this answer was made, Unix seconds."""
    error: KvtideError | None = None
    """What stands in the way, where there is no decision."""
    bounds: tuple[int, int | None] | None = None
    """Least and most replicas (None: no limit), where they are known."""
    before: Decision | None = None
    """The last answer with a count, where this one has none."""
    units: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Training: units of the pool by what they are used for; empty: not known."""

    @property
    def key(self) -> str:
        """``namespace/scaledobject``."""
        return f"{self.namespace}/{self.scaled_object}"

    @property
    def held(self) -> bool:
        """Whether KEDA gets an error instead of a number, and so keeps what is."""
        return self.decision is None or self.decision.holds


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PagesRead:
    """How the pages of one object's pods were read between scrapes."""

    namespace: str
    scaled_object: str
    read: int
    """Pods whose page was read the last time."""
    unread: int
    """Pods that should have told something and did not."""
    newest_s: float | None
    """When all of them last were, Unix seconds; None: never so far."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How this process is, as probes and the status page ask."""

    ready: bool
    """The source was read through once, and nothing drains."""
    draining: bool
    failure: str | None
    """Why the last read of the source failed; None: it did not."""
    ticked_s: float
    """When the last round of reading and deciding ended, Unix seconds."""
    failure_kind: str | None = None
    """The kind of that failure: refused, timeout, http, format, partial, limit, …"""
    failure_detail: str = ""
    """The rest of what it says."""
    failing_since_s: float | None = None
    """Since when reads have failed, Unix seconds."""
    cluster: str | None = None
    """How the Kubernetes API is heard, in a sentence; None: it is of no concern here."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _ObjectGauge:
    """One gauge per object: its name, and its value in an Observation (None: no series)."""

    name: str
    help: str
    value: Callable[[Observation, float], float | None]
    label: str | None = None
    """A label beside namespace, scaledobject and role."""
    label_value: Callable[[Observation], str] = lambda _: ""


_OBJECT_GAUGES = (
    _ObjectGauge(
        name="kvtide_desired_replicas",
        help="Replicas (inference) or workers (training) that KEDA is told; absent while held.",
        value=lambda seen, _: seen.decision.replicas if seen.decision else None,
        label="reason",
        label_value=lambda seen: seen.reason,
    ),
    _ObjectGauge(
        name="kvtide_ready_replicas",
        help="Replicas ready to serve, as the decision saw them.",
        value=lambda seen, _: seen.decision.ready_replicas if seen.decision else None,
    ),
    _ObjectGauge(
        name="kvtide_load",
        help="Load of an inference workload in full replicas: 1 is one replica at its safe limit.",
        value=lambda seen, _: _of_role(seen, "inference", lambda decision: decision.load),
    ),
    _ObjectGauge(
        name="kvtide_safe_concurrency",
        help="Requests that one replica may safely hold, and which limit binds.",
        value=lambda seen, _: seen.decision.safe_concurrency if seen.decision else None,
        label="binding_limit",
        label_value=lambda seen: (seen.decision and seen.decision.binding_limit) or "",
    ),
    _ObjectGauge(
        name="kvtide_panic",
        help="1 while the panic window rules.",
        value=lambda seen, _: _of_role(seen, "inference", lambda decision: decision.panic),
    ),
    _ObjectGauge(
        name="kvtide_lent_workers",
        help="Training workers that may run on borrowed units; absent while held.",
        value=lambda seen, _: _of_role(seen, "training", lambda decision: decision.replicas),
    ),
    _ObjectGauge(
        name="kvtide_online_load",
        help="Online load of the pool that training borrows from, 0 to 1.",
        value=lambda seen, _: _of_role(seen, "training", lambda decision: decision.load),
    ),
    _ObjectGauge(
        name="kvtide_decision_age_seconds",
        help="Age of the newest sample that the latest decision rests on.",
        value=lambda seen, now_s: None if seen.newest_s is None else now_s - seen.newest_s,
    ),
    _ObjectGauge(
        name="kvtide_held",
        help="1 while there is no answer, so that KEDA keeps what is; the reason says why.",
        value=lambda seen, _: seen.held,
        label="reason",
        label_value=lambda seen: seen.reason if seen.held else "",
    ),
)


_UNITS = "kvtide_pool_units"


def _of_role(
    seen: Observation, role: str, value: Callable[[Decision], float | None]
) -> float | None:
    return value(seen.decision) if seen.decision is not None and seen.role == role else None


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
        self.registry.register(_ObjectCollector(observations, clock))

    def show_pages(
        self,
        outcomes: Callable[[], Mapping[str, int]],
        reads: Callable[[], Iterable[PagesRead]],
        clock: Callable[[], float],
    ) -> None:
        """Expose how the pods' own pages were read: in all by outcome, and lately by object."""
        self.registry.register(_PageCollector(outcomes, reads, clock))

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


class _ObjectCollector(Collector):
    """Reads the latest answers at scrape time."""

    def __init__(
        self, observations: Callable[[], Iterable[Observation]], clock: Callable[[], float]
    ) -> None:
        self._observations = observations
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one family per gauge of the table above, and the number of objects."""
        seen = tuple(self._observations())
        now_s = self._clock()
        yield GaugeMetricFamily(
            "kvtide_board_objects", "ScaledObjects that KEDA asked about.", value=len(seen)
        )
        for gauge in _OBJECT_GAUGES:
            yield _family(gauge, seen, now_s)
        yield _pool_units(seen)

    def describe(self) -> list[GaugeMetricFamily]:
        """Name the families without reading anything, as registration wants."""
        names = ("kvtide_board_objects", _UNITS, *(gauge.name for gauge in _OBJECT_GAUGES))
        return [GaugeMetricFamily(name, "") for name in names]


class _PageCollector(Collector):
    """Reads at scrape time how the pods' own pages were read."""

    def __init__(
        self,
        outcomes: Callable[[], Mapping[str, int]],
        reads: Callable[[], Iterable[PagesRead]],
        clock: Callable[[], float],
    ) -> None:
        self._outcomes = outcomes
        self._reads = reads
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield what became of all pages, then how it is with each object's."""
        family = CounterMetricFamily(
            "kvtide_direct_scrapes",
            "Pages of pods that were asked for between scrapes, by outcome: read, or what failed.",
            labels=["outcome"],
        )
        for outcome, count in sorted(self._outcomes().items()):
            family.add_metric([outcome], count)
        yield family
        pods = GaugeMetricFamily(
            "kvtide_direct_scrape_pods",
            "Pods whose pages are asked for between scrapes, by whether the last one was read.",
            labels=["namespace", "scaledobject", "state"],
        )
        age = GaugeMetricFamily(
            "kvtide_direct_scrape_age_seconds",
            "Seconds since all pages of an object's pods were read.",
            labels=["namespace", "scaledobject"],
        )
        for one in self._reads():
            pods.add_metric([one.namespace, one.scaled_object, "read"], one.read)
            pods.add_metric([one.namespace, one.scaled_object, "unread"], one.unread)
            if one.newest_s is not None:
                age.add_metric([one.namespace, one.scaled_object], self._clock() - one.newest_s)
        yield pods
        yield age


def _family(gauge: _ObjectGauge, seen: Iterable[Observation], now_s: float) -> GaugeMetricFamily:
    extra = [gauge.label] if gauge.label else []
    family = GaugeMetricFamily(
        gauge.name, gauge.help, labels=["namespace", "scaledobject", "role", *extra]
    )
    for one in seen:
        value = gauge.value(one, now_s)
        if value is not None:
            labels = [one.namespace, one.scaled_object, one.role]
            labels += [gauge.label_value(one)] if gauge.label else []
            family.add_metric(labels, float(value))
    return family


def _pool_units(seen: Iterable[Observation]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        _UNITS,
        "Units (GPUs, MIG slices) of the pool that training borrows from, by use.",
        labels=["namespace", "scaledobject", "role", "use"],
    )
    for one in seen:
        for use, count in one.units.items():
            family.add_metric([one.namespace, one.scaled_object, one.role, use], float(count))
    return family


def version() -> str:
    """Return the version of kvtide that runs."""
    return importlib.metadata.version("kvtide")


def decision_fields(seen: Observation) -> dict[str, object]:
    """Return the fields of the log line that is written when an answer changes."""
    decision = seen.decision
    return {
        "namespace": seen.namespace,
        "scaledobject": seen.scaled_object,
        "role": seen.role,
        "replicas": decision.replicas if decision else None,
        "reason": seen.reason,
        "detail": seen.detail,
        "load": decision.load if decision else None,
        "ready": decision.ready_replicas if decision else None,
        "panic": decision.panic if decision else None,
        "at": decision.at_s if decision else seen.newest_s,
    }
