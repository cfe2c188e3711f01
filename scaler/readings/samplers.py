"""What makes the samples of each workload: kept, and made anew where there are other series."""

from collections.abc import Callable, Collection

from scaler.source import Workload

from .cluster import ClusterFacts
from .engines.known import KnownEngines
from .gateways.known import KnownGateways
from .sampling import Sampler
from .series import SeriesStore, Subject
from .timing import Intervals
from .wanted import Exporter

PodsOf = Callable[[Workload], tuple[Subject, ...]]
"""The pods that were found to be a workload's."""


class Samplers:
    """A sampler a workload."""

    def __init__(
        self,
        store: SeriesStore,
        *,
        engines: KnownEngines,
        gateways: KnownGateways,
        intervals: Intervals,
        pods_of: PodsOf,
    ) -> None:
        self._store = store
        self._engines = engines
        self._gateways = gateways
        self._intervals = intervals
        self._pods_of = pods_of
        self._cluster = ClusterFacts(store)
        self._kept: dict[str, tuple[object, Sampler]] = {}
        """By workload: what makes its samples, and what it was made for."""

    def read_from(self, workload: Workload) -> tuple[Subject, ...]:
        """Return everything whose series a workload's samples are made of."""
        return (
            *self._pods_of(workload),
            *self._cluster.about(workload),
            *self._gateways.about(workload),
        )

    def of(self, workload: Workload) -> Sampler:
        """Return what makes a workload's samples now."""
        made_for = (
            workload,
            tuple((subject, self._store.shape(subject)) for subject in self.read_from(workload)),
            tuple(self._intervals.interval_s(exporter) for exporter in Exporter),
        )
        known = self._kept.get(workload.key)
        if known is None or known[0] != made_for:
            pods = self._pods_of(workload)
            sampler = Sampler(
                workload,
                pods,
                store=self._store,
                profile=self._engines.profile(workload, pods),
                gateways=self._gateways,
                intervals=self._intervals,
            )
            known = self._kept[workload.key] = (made_for, sampler)
        return known[1]

    def keep(self, workloads: Collection[str]) -> None:
        """Drop all but some workloads', given by their keys."""
        for key in self._kept.keys() - set(workloads):
            del self._kept[key]
