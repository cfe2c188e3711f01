"""
The nodes that a pool's units are on: how many each has, whether it takes pods, what is in use.

As kube-state-metrics has it (docs/metrics/cluster/node-metrics.md), or a DRA driver offers it. A
node that is cordoned, not ready, or about to be taken away by its cloud or autoscaler takes no
worker.
"""

import math
from collections.abc import Collection

from scaler.decision.pool import Node

from .accelerators import Device, device_units, exporter_name, offered_units
from .claims import Claims
from .cluster import DELETION, READY
from .offered import Offered
from .promql import Matcher, any_of
from .series import SeriesStore, Subject
from .spoken import spoken, word
from .wanted import Exporter, Wanted

ALLOCATABLE = "kube_node_status_allocatable"
CORDONED = "kube_node_spec_unschedulable"
CONDITION = "kube_node_status_condition"
TAINT = "kube_node_spec_taint"
REQUESTS = "kube_pod_container_resource_requests"
PHASE = "kube_pod_status_phase"

LEAVING_TAINTS = frozenset(
    {
        "ToBeDeletedByClusterAutoscaler",
        "DeletionCandidateOfClusterAutoscaler",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
        "aws-node-termination-handler/spot-itn",
        "aws-node-termination-handler/scheduled-maintenance",
        "aws-node-termination-handler/asg-lifecycle-termination",
        "aws-node-termination-handler/rebalance-recommendation",
        "cloud.google.com/impending-node-termination",
        "node.cloudprovider.kubernetes.io/shutdown",
    }
)
"""Taints of a node that its cloud or its autoscaler is about to take away."""


_EXTENDED: Matcher = ("resource", "!~", "cpu|memory|pods|ephemeral_storage|hugepages.*")
"""Extended resources: the only ones that a pool may be made of."""


def _of_nodes(metric: str, *where: Matcher) -> Wanted:
    return Wanted(
        metrics=(metric,),
        exporter=Exporter.CLUSTER,
        about="node",
        where=where,
        namespaced=False,
    )


WANTED = (
    _of_nodes(ALLOCATABLE, _EXTENDED),
    _of_nodes(CORDONED),
    _of_nodes(CONDITION, ("condition", "=", "Ready"), ("status", "=", "true")),
    _of_nodes(TAINT, ("key", "=~", any_of(LEAVING_TAINTS))),
    # Every round, unlike what else a pod has for life: the units of a pod that is gone are free.
    Wanted(metrics=(REQUESTS,), exporter=Exporter.CLUSTER, where=(_EXTENDED,)),
    Wanted(
        metrics=(PHASE,),
        exporter=Exporter.CLUSTER,
        where=(("phase", "=~", "Failed|Succeeded"),),
        once_a_minute=True,
    ),
)


class Nodes:
    """Reads nodes off the store."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._claims = Claims(store)

    def at(
        self,
        resource: str,
        pods: Collection[Subject],
        *,
        at_s: float,
        stale_after_s: float,
    ) -> tuple[Node, ...]:
        """
        Return the nodes that have an extended resource (``nvidia.com/gpu``), in order of name.

        Those that a driver offers it on (DRA) are among them. ``pods`` are those of the online
        workloads: what they ask for or claim is in use until they are gone, terminating or not.
        """
        name = exporter_name(resource)
        offered = Offered(self._store, at_s, stale_after_s)
        ending = [pod for pod in pods if word(self._store, DELETION, pod, at_s, stale_after_s)]
        starting = [
            pod
            for pod in pods
            if pod not in ending and word(self._store, READY, pod, at_s, stale_after_s) == 0
        ]
        in_use, by_ending, by_starting = (
            self._in_use(resource, some, offered, at_s, stale_after_s)
            for some in (pods, ending, starting)
        )
        return tuple(
            Node(
                name=subject[1],
                units=units,
                schedulable=self._is_schedulable(subject, at_s, stale_after_s),
                units_in_use=in_use.get(subject[1], 0),
                units_starting=by_starting.get(subject[1], 0),
                units_ending=by_ending.get(subject[1], 0),
            )
            for subject in sorted({*self._store.subjects(ALLOCATABLE), *offered.nodes()})
            if (
                units := self._units(subject, name, at_s, stale_after_s)
                or offered_units(offered.of(subject), resource)
            )
            > 0
        )

    def _in_use(
        self,
        resource: str,
        pods: Collection[Subject],
        offered: Offered,
        at_s: float,
        stale_after_s: float,
    ) -> dict[str, int]:
        """
        Return the units that pods hold on each node: requested, or claimed, or both.

        A claim that no pod names was made for a request, and is no further unit.
        """
        asked: dict[str, float] = {}
        claimed: dict[tuple[str, bool], set[Device]] = {}
        reserved = self._claims.reserved(at_s, stale_after_s)
        for pod in pods:
            held = self._held(pod, exporter_name(resource), at_s, stale_after_s)
            for (node, _), units in held.items():
                asked[node] = asked.get(node, 0.0) + units
            if word(self._store, PHASE, pod, at_s, math.inf):
                continue
            for claim in self._claims.of(pod, reserved, at_s, stale_after_s):
                for device in self._claims.devices(claim, at_s):
                    on = (offered.node_of(device) or "", claim.named)
                    claimed.setdefault(on, set()).add(device)
        found = {}
        for node in {*asked, *(node for node, _ in claimed)}:
            named, made = (
                device_units(claimed.get((node, is_named), ()), resource) or 0
                for is_named in (True, False)
            )
            found[node] = max(int(asked.get(node, 0)), made) + named
        return found

    def _units(self, node: Subject, resource: str, at_s: float, stale_after_s: float) -> int:
        rows = spoken(self._store, ALLOCATABLE, node, at_s, stale_after_s)
        of_it = (units for labels, units in rows if labels.get("resource") == resource)
        return int(max(of_it, default=0))

    def _held(
        self, pod: Subject, resource: str, at_s: float, stale_after_s: float
    ) -> dict[tuple[str, str], float]:
        """Return what a pod's containers hold, by node and container; a finished pod nothing."""
        if word(self._store, PHASE, pod, at_s, math.inf):
            return {}
        return {
            (labels["node"], labels.get("container", "")): units
            for labels, units in spoken(self._store, REQUESTS, pod, at_s, stale_after_s)
            if labels.get("resource") == resource and labels.get("node")
        }

    def _is_schedulable(self, node: Subject, at_s: float, stale_after_s: float) -> bool:
        cordoned = word(self._store, CORDONED, node, at_s, stale_after_s)
        ready = [
            value
            for labels, value in spoken(self._store, CONDITION, node, at_s, stale_after_s)
            if (labels.get("condition"), labels.get("status")) == ("Ready", "true")
        ]
        leaving = any(
            labels.get("key") in LEAVING_TAINTS
            for labels, _ in spoken(self._store, TAINT, node, at_s, stale_after_s)
        )
        return not cordoned and min(ready, default=1.0) > 0 and not leaving
