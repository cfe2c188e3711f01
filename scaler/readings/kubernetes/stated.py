"""
What the API says, as readings: under kube-state-metrics' names, at the time it was heard.

So everything that reads the cluster's state reads both alike, and whoever spoke last is right
(:mod:`scaler.readings.spoken`). A reading is repeated every few seconds while its watch stands;
when that is lost it grows old like any other, and what kube-state-metrics says counts again.
"""

import asyncio
import functools
from collections.abc import Callable, Collection, Iterator, Mapping

from scaler.readings import claims, cluster, nodes, offered
from scaler.readings.accelerators import exporter_name
from scaler.readings.series import SeriesStore, Subject
from scaler.readings.spoken import API

from .claims import ResourceClaim, ResourceSlice
from .known import KnownCluster
from .objects import Counts, NodeState, Pod

REPEAT_S = 5.0
_AT_ONCE = 25
"""Objects that are stated before an RPC is let in between: about a millisecond's worth."""

Row = tuple[str, Subject, Mapping[str, str], float]
"""Metric, what it is about, labels, value."""

Told = tuple[str, Subject, object, Callable[[], Iterator[Row]]]
"""Kind, subject and value of an object, and its rows."""

_GONE = {cluster.DELETION: 0.0, cluster.UNSCHEDULABLE: 0.0, nodes.PHASE: 1.0}
"""What is true of a pod that is there no more, until kube-state-metrics has stopped to show it."""


class Stated:
    """States what is known into one store."""

    def __init__(self, known: KnownCluster) -> None:
        self._known = known
        self._said: dict[tuple[str, Subject], tuple[object, float]] = {}
        """By kind and subject: the object, and when it was said last."""
        self._pods: set[Subject] = set()

    async def into(self, store: SeriesStore, namespaces: Collection[str], now_s: float) -> None:
        """
        State what is known of some namespaces, and of the nodes.

        Raises:
            SourceError: kind ``limit``, more series than may be kept.
        """
        said: dict[tuple[str, Subject], tuple[object, float]] = {}
        stated = 0
        for kind, subject, one, rows in list(self._objects(namespaces)):
            before = self._said.get((kind, subject))
            if before is not None and before[0] is one and now_s - before[1] < REPEAT_S:
                said[kind, subject] = before
                continue
            for metric, about, labels, value in rows():
                store.merge(metric, about, {**labels, **API}, [(now_s, value)])
            said[kind, subject] = (one, now_s)
            stated += 1
            if stated % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self._said = said

    def _objects(self, namespaces: Collection[str]) -> Iterator[Told]:
        for kind, counted in self._known.counts.items():
            if counted.is_current:
                for subject, counts in counted.listed.items():
                    if subject[0] in namespaces:
                        rows = functools.partial(_of_counts, kind, subject, counts)
                        yield kind, subject, counts, rows
        if self._known.pods.is_current:
            yield from self._of_pods(namespaces)
        yield from self._of_claims(namespaces)
        if self._known.nodes.is_current:
            offering = {
                node for one in self._known.slices.listed.values() for node, _ in one.devices
            }
            for subject, node in self._known.nodes.listed.items():
                rows = functools.partial(_of_node, subject, node, offers=subject[1] in offering)
                yield "Node", subject, node, rows
        yield from self._of_slices()

    def _of_slices(self) -> Iterator[Told]:
        """Yield the slices of each pool's newest generation: others are what there was."""
        if self._known.slices.is_current:
            listed = self._known.slices.listed
            newest: dict[tuple[str, str], int] = {}
            for one in listed.values():
                pool = (one.driver, one.pool)
                newest[pool] = max(one.generation, newest.get(pool, one.generation))
            for subject, one in listed.items():
                if one.generation == newest[one.driver, one.pool]:
                    yield "ResourceSlice", subject, one, functools.partial(_of_slice, one)

    def _of_claims(self, namespaces: Collection[str]) -> Iterator[Told]:
        if self._known.claims.is_current:
            for subject, claim in self._known.claims.listed.items():
                if subject[0] in namespaces:
                    rows = functools.partial(_of_claim, subject, claim)
                    yield "ResourceClaim", subject, claim, rows

    def _of_pods(self, namespaces: Collection[str]) -> Iterator[Told]:
        listed = self._known.pods.listed
        there = {key for key in listed if key[0] in namespaces}
        for subject in there:
            yield (
                "Pod",
                subject,
                listed[subject],
                functools.partial(_of_pod, subject, listed[subject]),
            )
        for subject in self._pods - there:
            yield "Pod", subject, None, functools.partial(_of_gone, subject)
        self._pods = there


def _of_gone(subject: Subject) -> Iterator[Row]:
    for metric, value in _GONE.items():
        yield metric, subject, {}, value


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
        labels = {"resource": exporter_name(resource), "node": pod.node or ""}
        yield nodes.REQUESTS, subject, labels, float(units)
    for one in pod.claims:
        named = {
            "claim_name": one.name,
            "resourceclaim_name": one.claim or "",
            "resourceclaim_template_name": one.template or "",
        }
        yield claims.OF_POD, subject, named, 1.0


def _of_claim(subject: Subject, claim: ResourceClaim) -> Iterator[Row]:
    for pod in claim.pods:
        yield claims.RESERVED, subject, {"consumer_resource": "pods", "consumer_name": pod}, 1.0
    for driver, pool, device in claim.devices:
        yield claims.DEVICE, subject, {"driver": driver, "pool": pool, "device": device}, 1.0


def _of_slice(one: ResourceSlice) -> Iterator[Row]:
    for node, (driver, pool, device) in one.devices:
        labels = {"driver": driver, "pool": pool, "device": device}
        yield offered.OFFERED, ("", node), labels, 1.0


def _of_node(subject: Subject, node: NodeState, *, offers: bool) -> Iterator[Row]:
    for resource, units in node.units.items():
        labels = {"resource": exporter_name(resource)}
        yield nodes.ALLOCATABLE, subject, labels, float(units)
    if node.units or offers:
        yield nodes.CORDONED, subject, {}, float(node.cordoned)
        ready = {"condition": "Ready", "status": "true"}
        yield nodes.CONDITION, subject, ready, float(node.ready)
        if node.leaving is not None:
            yield nodes.TAINT, subject, {"key": node.leaving}, 1.0
