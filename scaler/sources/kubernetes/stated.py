"""
What the API says, as readings: under kube-state-metrics' names, at the time it was heard.

So everything that reads the cluster's state reads both alike, and whoever spoke last is right
(:mod:`scaler.sources.spoken`). A reading is repeated every few seconds while its watch stands; when
that is lost it grows old like any other, and what kube-state-metrics says counts again.
"""

from collections.abc import Collection, Iterator, Mapping

from scaler.sources import cluster, nodes
from scaler.sources.series import SeriesStore, Subject
from scaler.sources.spoken import API

from .known import KnownCluster
from .objects import Counts, NodeState, Pod

REPEAT_S = 5.0

Row = tuple[str, Subject, Mapping[str, str], float]
"""Metric, what it is about, labels, value."""

_GONE = {cluster.DELETION: 0.0, cluster.UNSCHEDULABLE: 0.0, nodes.PHASE: 1.0}
"""What is true of a pod that is there no more, until kube-state-metrics has stopped to show it."""


class Stated:
    """States what is known into one store."""

    def __init__(self, known: KnownCluster) -> None:
        self._known = known
        self._said: dict[tuple[str, Subject, str], tuple[float, float]] = {}
        """By metric, subject and labels: the value, and when it was said last."""
        self._pods: set[Subject] = set()

    def into(self, store: SeriesStore, namespaces: Collection[str], now_s: float) -> None:
        """
        State what is known of some namespaces, and of the nodes.

        Raises:
            SourceError: kind ``limit``, more series than may be kept.
        """
        said: dict[tuple[str, Subject, str], tuple[float, float]] = {}
        for metric, subject, labels, value in self._rows(namespaces):
            key = (metric, subject, repr(labels))
            before = self._said.get(key)
            if before is not None and before[0] == value and now_s - before[1] < REPEAT_S:
                said[key] = before
                continue
            store.merge(metric, subject, {**labels, **API}, [(now_s, value)])
            said[key] = (value, now_s)
        self._said = said

    def _rows(self, namespaces: Collection[str]) -> Iterator[Row]:
        for kind, heard in self._known.counts.items():
            if heard.is_current:
                for subject, counts in heard.listed.items():
                    if subject[0] in namespaces:
                        yield from _of_counts(kind, subject, counts)
        if self._known.pods.is_current:
            yield from self._of_pods(namespaces)
        if self._known.nodes.is_current:
            for (_, name), node in self._known.nodes.listed.items():
                yield from _of_node(("", name), node)

    def _of_pods(self, namespaces: Collection[str]) -> Iterator[Row]:
        there = {key for key in self._known.pods.listed if key[0] in namespaces}
        for subject in there:
            yield from _of_pod(subject, self._known.pods.listed[subject])
        for subject in self._pods - there:
            yield from ((metric, subject, {}, value) for metric, value in _GONE.items())
        self._pods = there


def _of_counts(kind: str, subject: Subject, counts: Counts) -> Iterator[Row]:
    names = cluster.COUNTS[kind]
    yield names.spec, subject, {}, float(counts.spec)
    yield names.exist, subject, {}, float(counts.exist)
    yield names.ready, subject, {}, float(counts.ready)


def _of_pod(subject: Subject, pod: Pod) -> Iterator[Row]:
    yield cluster.CREATED, subject, {}, pod.created_s
    if pod.ready_since_s is not None:
        yield cluster.READY_TIME, subject, {}, pod.ready_since_s
    yield cluster.UNSCHEDULABLE, subject, {}, float(pod.unschedulable)
    yield cluster.DELETION, subject, {}, float(pod.leaving)
    yield nodes.PHASE, subject, {}, float(pod.ended)
    if pod.owner is not None:
        owner = {"owner_kind": pod.owner.kind, "owner_name": pod.owner.name}
        yield cluster.POD_OWNER, subject, owner, 1.0
    for resource, units in pod.units.items():
        labels = {"resource": nodes.exporter_name(resource), "node": pod.node or ""}
        yield nodes.REQUESTS, subject, labels, float(units)


def _of_node(subject: Subject, node: NodeState) -> Iterator[Row]:
    for resource, units in node.units.items():
        labels = {"resource": nodes.exporter_name(resource)}
        yield nodes.ALLOCATABLE, subject, labels, float(units)
    if node.units:
        yield nodes.CORDONED, subject, {}, float(node.cordoned)
        ready = {"condition": "Ready", "status": "true"}
        yield nodes.CONDITION, subject, ready, float(node.ready)
        if node.leaving is not None:
            yield nodes.TAINT, subject, {"key": node.leaving}, 1.0
