"""
Metrics of each object, read from its latest answer at scrape time.

Nothing is kept per object here: an object that is no longer served leaves no series behind, and
ages are true at the moment of the scrape.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scaler.decision.decision import Decision
from scaler.telemetry.observed import Observation, PagesRead


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


class ObjectCollector(Collector):
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


class PageCollector(Collector):
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
