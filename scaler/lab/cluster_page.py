"""
What kube-state-metrics would say of the simulated cluster: Deployments, pods, nodes and HPAs.

Names and labels: github.com/kubernetes/kube-state-metrics, docs/metrics. As there, a Deployment's
replicas leave out pods that are being deleted, and an unschedulable pod's row exists only while it
is unschedulable.
"""

import dataclasses
import uuid
from collections.abc import Iterable

from scaler.simulation.cluster import Cluster
from scaler.simulation.fleet import Phase
from scaler.simulation.training import WorkerPhase

from .exposition import Labels, Page

RESOURCE = "nvidia_com_gpu"
"""``nvidia.com/gpu`` as kube-state-metrics writes it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HpaBounds:
    """What an HPA in the cluster says."""

    namespace: str
    name: str
    min_replicas: int
    max_replicas: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Pod:
    """One pod, whoever's; times in seconds of the simulation."""

    namespace: str
    owner: str
    name: str
    container: str
    node: str | None
    units: int
    created_s: float
    ready_s: float | None
    leaving_s: float | None

    @property
    def labels(self) -> dict[str, str]:
        uid = str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))
        return {"namespace": self.namespace, "pod": self.name, "uid": uid}


def cluster_page(cluster: Cluster, hpas: Iterable[HpaBounds], *, started_s: float) -> str:
    """Return the page; ``started_s`` is the Unix time at which the simulation began."""
    page = Page()
    pods = [*_replicas(cluster), *_workers(cluster)]
    _deployments(page, cluster, pods)
    _pods(page, pods, started_s)
    _owners(page, pods)
    _nodes(page, cluster)
    hpas = tuple(hpas)
    for bound in ("min", "max"):
        page.family(
            f"kube_horizontalpodautoscaler_spec_{bound}_replicas",
            "gauge",
            *(
                (
                    {"namespace": hpa.namespace, "horizontalpodautoscaler": hpa.name},
                    getattr(hpa, f"{bound}_replicas"),
                )
                for hpa in hpas
            ),
        )
    return page.text


def _replicas(cluster: Cluster) -> list[_Pod]:
    return [
        _Pod(
            namespace=fleet.config.namespace,
            owner=fleet.config.name,
            name=replica.name,
            container="vllm",
            node=replica.node,
            units=fleet.config.units_per_replica,
            created_s=replica.created_s,
            ready_s=replica.ready_s if replica.phase is Phase.READY else None,
            leaving_s=replica.deleted_s,
        )
        for fleet in cluster.fleets.values()
        for replica in fleet.replicas.values()
    ]


def _workers(cluster: Cluster) -> list[_Pod]:
    pods = []
    for job in cluster.jobs.values():
        for worker in job.workers.values():
            ready_s = None
            if worker.phase is WorkerPhase.RUNNING and worker.scheduled_s is not None:
                ready_s = worker.scheduled_s + job.config.startup_s
            pods.append(
                _Pod(
                    namespace=job.config.namespace,
                    owner=job.config.name,
                    name=worker.name,
                    container="trainer",
                    node=worker.node,
                    units=job.config.units_per_worker,
                    created_s=worker.created_s,
                    ready_s=None if ready_s is None or ready_s > cluster.now_s else ready_s,
                    leaving_s=worker.stopped_s,
                )
            )
    return pods


def _deployments(page: Page, cluster: Cluster, pods: list[_Pod]) -> None:
    specs = {
        **{(f.config.namespace, f.config.name): f.spec_replicas for f in cluster.fleets.values()},
        **{(j.config.namespace, j.config.name): j.spec_workers for j in cluster.jobs.values()},
    }
    rows: dict[str, list[tuple[Labels, float]]] = {"spec": [], "status": [], "ready": []}
    for (namespace, name), spec in specs.items():
        labels = {"namespace": namespace, "deployment": name}
        living = [
            pod
            for pod in pods
            if (pod.namespace, pod.owner) == (namespace, name) and pod.leaving_s is None
        ]
        rows["spec"].append((labels, spec))
        rows["status"].append((labels, len(living)))
        rows["ready"].append((labels, sum(1 for pod in living if pod.ready_s is not None)))
    page.family("kube_deployment_spec_replicas", "gauge", *rows["spec"])
    page.family("kube_deployment_status_replicas", "gauge", *rows["status"])
    page.family("kube_deployment_status_replicas_ready", "gauge", *rows["ready"])


def _pods(page: Page, pods: list[_Pod], started_s: float) -> None:
    def at(seconds: float) -> int:
        return round(started_s + seconds)

    page.family("kube_pod_created", "gauge", *((pod.labels, at(pod.created_s)) for pod in pods))
    page.family(
        "kube_pod_status_ready",
        "gauge",
        *(
            ({**pod.labels, "condition": condition}, int((pod.ready_s is not None) == is_met))
            for pod in pods
            if pod.node is not None  # before a node is found there is no such condition
            for condition, is_met in (("true", True), ("false", False))
        ),
    )
    page.family(
        "kube_pod_status_ready_time",
        "gauge",
        *((pod.labels, at(pod.ready_s)) for pod in pods if pod.ready_s is not None),
    )
    page.family(
        "kube_pod_deletion_timestamp",
        "gauge",
        *((pod.labels, at(pod.leaving_s)) for pod in pods if pod.leaving_s is not None),
    )
    page.family(
        "kube_pod_status_unschedulable",
        "gauge",
        *((pod.labels, 1) for pod in pods if pod.node is None),
    )
    page.family(
        "kube_pod_container_resource_requests",
        "gauge",
        *(
            (
                {
                    **pod.labels,
                    "container": pod.container,
                    "node": pod.node or "",
                    "resource": RESOURCE,
                    "unit": "integer",
                },
                pod.units,
            )
            for pod in pods
        ),
    )


def _owners(page: Page, pods: list[_Pod]) -> None:
    controller = {"owner_is_controller": "true"}
    page.family(
        "kube_pod_owner",
        "gauge",
        *(
            (
                {
                    **pod.labels,
                    "owner_kind": "ReplicaSet",
                    "owner_name": pod.name.rpartition("-")[0],
                    **controller,
                },
                1,
            )
            for pod in pods
        ),
    )
    sets = {(pod.namespace, pod.name.rpartition("-")[0]): pod.owner for pod in pods}
    page.family(
        "kube_replicaset_owner",
        "gauge",
        *(
            (
                {
                    "namespace": namespace,
                    "replicaset": name,
                    "owner_kind": "Deployment",
                    "owner_name": owner,
                    **controller,
                },
                1,
            )
            for (namespace, name), owner in sets.items()
        ),
    )


def _nodes(page: Page, cluster: Cluster) -> None:
    nodes = cluster.nodes.configs
    page.family(
        "kube_node_status_allocatable",
        "gauge",
        *(
            ({"node": node.name, "resource": RESOURCE, "unit": "integer"}, node.units)
            for node in nodes
        ),
    )
    page.family("kube_node_spec_unschedulable", "gauge", *(({"node": n.name}, 0) for n in nodes))
    page.family(
        "kube_node_status_condition",
        "gauge",
        *(
            ({"node": node.name, "condition": "Ready", "status": status}, status == "true")
            for node in nodes
            for status in ("true", "false", "unknown")
        ),
    )
