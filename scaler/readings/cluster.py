"""
What the cluster says of a workload, as kube-state-metrics has it: replicas, owners, readiness.

Read from the same Prometheus as everything else, so that it has a history. Every fact is None
where the exporter does not tell it; none is ever guessed from another.
Names: github.com/kubernetes/kube-state-metrics, docs/metrics.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from scaler.decision.window import ScaleBounds
from scaler.source import Workload

from .attribution import Owner, replica_of
from .promql import Matcher
from .series import SeriesStore, Subject, Track
from .spoken import is_api, spoken, word
from .wanted import Exporter, Wanted


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Names of a kind's replica counts, and the label that names the object."""

    label: str
    spec: str
    exist: str
    ready: str


_DEPLOYMENT = Counts(
    label="deployment",
    spec="kube_deployment_spec_replicas",
    exist="kube_deployment_status_replicas",
    ready="kube_deployment_status_replicas_ready",
)
_STATEFUL_SET = Counts(
    label="statefulset",
    spec="kube_statefulset_replicas",
    exist="kube_statefulset_status_replicas",
    ready="kube_statefulset_status_replicas_ready",
)
COUNTS: Mapping[str, Counts] = {
    "Deployment": _DEPLOYMENT,
    "StatefulSet": _STATEFUL_SET,
    # The leaders of a LeaderWorkerSet are a StatefulSet of its name, and a group counts when its
    # leader does (sigs.k8s.io/lws, pkg/controllers/leaderworkerset_controller.go).
    "LeaderWorkerSet": _STATEFUL_SET,
    "ReclaimableJob": Counts(
        label="reclaimablejob",
        spec="kube_reclaimablejob_spec_replicas",
        exist="kube_reclaimablejob_status_replicas",
        ready="kube_reclaimablejob_status_replicas_ready",
    ),
    "Rollout": Counts(
        label="rollout",
        spec="kube_rollout_spec_replicas",
        exist="kube_rollout_status_replicas",
        ready="kube_rollout_status_replicas_ready",
    ),
}
"""By kind of scale target. Of ReclaimableJobs and of Argo's Rollouts only the API tells."""

CREATED = "kube_pod_created"
READY_TIME = "kube_pod_status_ready_time"
READY = "kube_pod_status_ready"
UNSCHEDULABLE = "kube_pod_status_unschedulable"
DELETION = "kube_pod_deletion_timestamp"
POD_OWNER = "kube_pod_owner"
_SET_OWNER = "kube_replicaset_owner"
_TARGET = ("kind", "name")
_HPA_INFO = "kube_horizontalpodautoscaler_info"
_HPA_MIN = "kube_horizontalpodautoscaler_spec_min_replicas"
_HPA_MAX = "kube_horizontalpodautoscaler_spec_max_replicas"


def _wanted(metric: str, about: str, *where: Matcher, once_a_minute: bool = False) -> Wanted:
    return Wanted(
        metrics=(metric,),
        exporter=Exporter.CLUSTER,
        about=about,
        where=where,
        once_a_minute=once_a_minute,
    )


WANTED = (
    *(
        _wanted(metric, counts.label)
        for counts in (_DEPLOYMENT, _STATEFUL_SET)
        for metric in (counts.spec, counts.exist, counts.ready)
    ),
    _wanted(UNSCHEDULABLE, "pod"),
    _wanted(DELETION, "pod"),
    _wanted(READY, "pod", ("condition", "=", "true")),
    _wanted(CREATED, "pod", once_a_minute=True),
    _wanted(READY_TIME, "pod", once_a_minute=True),
    _wanted(POD_OWNER, "pod", once_a_minute=True),
    _wanted(_SET_OWNER, "replicaset", once_a_minute=True),
    _wanted(_HPA_INFO, "horizontalpodautoscaler", once_a_minute=True),
    _wanted(_HPA_MIN, "horizontalpodautoscaler", once_a_minute=True),
    _wanted(_HPA_MAX, "horizontalpodautoscaler", once_a_minute=True),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What the cluster tells at one instant; the fields are those of a Sample."""

    spec_replicas: int | None = None
    ready_replicas: int | None = None
    loading_replicas: int | None = None
    terminating_replicas: int | None = None
    unschedulable_since_s: float | None = None


PROBES = (_DEPLOYMENT.spec, _STATEFUL_SET.spec, CREATED)
"""One of these is there for every workload, where there is kube-state-metrics."""

SILENT = Scale()
"""The cluster tells nothing."""


def keda_hpa(scaled_object: str) -> str:
    """Return what KEDA calls the HPA of a ScaledObject that names none."""
    return f"keda-hpa-{scaled_object}"


class ClusterFacts:
    """Reads a workload's facts off the store."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._hpas: tuple[int, dict[tuple[str, ...], set[Subject]]] = (-1, {})
        """HPAs by namespace, kind and name of what they scale, and the series they are told by."""

    def at(
        self, workload: Workload, pods: Sequence[Subject], *, at_s: float, stale_after_s: float
    ) -> Scale:
        """Return what the cluster tells of a workload at an instant."""
        counts = self._counts(workload, at_s, stale_after_s)
        exist, ready = counts.get("exist"), counts.get("ready")
        return Scale(
            spec_replicas=_whole(counts.get("spec")),
            ready_replicas=_whole(ready),
            loading_replicas=(
                None if exist is None or ready is None else int(max(0.0, exist - ready))
            ),
            terminating_replicas=(
                len(self._leaving(workload, pods, at_s, stale_after_s)) if counts else None
            ),
            unschedulable_since_s=self._unschedulable_since(pods, at_s, stale_after_s),
        )

    def ready(self, workload: Workload, *, at_s: float, stale_after_s: float) -> float | None:
        """Return how many replicas of a workload are ready at an instant; None: not told."""
        return self._counts(workload, at_s, stale_after_s).get("ready")

    def none_is_ready(self, workload: Workload, *, at_s: float, stale_after_s: float) -> bool:
        """Whether the API itself says, of all who tell of it last, that no replica is ready."""
        names = COUNTS.get(workload.kind)
        target = (workload.namespace, workload.name)
        told = spoken(self._store, names.ready, target, at_s, stale_after_s) if names else []
        return bool(told) and all(is_api(labels) and value == 0 for labels, value in told)

    def tracks(self, workload: Workload) -> Iterable[Track]:
        """Return the series that say how many replicas a workload is to have."""
        names = COUNTS.get(workload.kind)
        target = (workload.namespace, workload.name)
        return self._store.tracks(names.spec, target) if names else ()

    def about(self, workload: Workload) -> Iterable[Subject]:
        """Return the subject whose series say how many replicas there are."""
        return ((workload.namespace, workload.name),)

    def owner_of(self, pod: Subject) -> Owner | None:
        """Return the controller of a pod; where that is a ReplicaSet, the set's where known."""
        owner = self._owner(POD_OWNER, pod)
        if owner is None or owner.kind != "ReplicaSet":
            return owner
        return self._owner(_SET_OWNER, (pod[0], owner.name)) or owner

    def startup_s(self, pods: Iterable[Subject]) -> tuple[float, ...]:
        """
        Return the seconds from creation to first ready of the pods that became ready, in order.

        ``kube_pod_status_ready_time`` is the last transition, so the earliest value seen counts;
        without it, the scrape that first showed a pod ready which had been seen not to be.
        """
        found = []
        for pod in pods:
            created_s = self._earliest(CREATED, pod)
            ready_s = self._earliest(READY_TIME, pod)
            if ready_s is None:
                ready_s = self._seen_ready_s(pod)
            if created_s is not None and ready_s is not None and ready_s >= created_s > 0:
                found.append((created_s, ready_s - created_s))
        return tuple(seconds for _, seconds in sorted(found))

    def bounds(self, workload: Workload) -> ScaleBounds:
        """
        Return the bounds that the HPA carries, KEDA's for this ScaledObject.

        KEDA gives its HPA a minimum of 1 for a ScaledObject's 0 and 1 alike, so 1 is not known. Of
        an HPA kube-state-metrics tells not whose it is but what it scales; where it does not tell
        that either, it is the one of KEDA's name.
        """
        hpa = self._hpa_of(workload) or (workload.namespace, keda_hpa(workload.scaled_object))
        lowest, highest = (self._newest(metric, hpa) for metric in (_HPA_MIN, _HPA_MAX))
        return ScaleBounds(
            min_replicas=int(lowest) if lowest is not None and lowest > 1 else None,
            max_replicas=int(highest) if highest is not None else None,
        )

    def shows(self, workload: Workload) -> bool:
        """Whether there is an HPA of KEDA's name for this ScaledObject, on its target."""
        hpa = (workload.namespace, keda_hpa(workload.scaled_object))
        return hpa in self._hpas_on(workload)

    def _hpa_of(self, workload: Workload) -> Subject | None:
        """Return the HPA that scales a workload's target; of several none can be told."""
        hpas = self._hpas_on(workload)
        return next(iter(hpas)) if len(hpas) == 1 else None

    def _hpas_on(self, workload: Workload) -> set[Subject]:
        """Return the HPAs that scale a workload's target, where that is told."""
        shape = self._store.shape(_HPA_INFO)
        if self._hpas[0] != shape:
            found: dict[tuple[str, ...], set[Subject]] = {}
            for subject in self._store.subjects(_HPA_INFO):
                for row in self._store.tracks(_HPA_INFO, subject):
                    named = (row.labels.get(f"scaletargetref_{part}", "") for part in _TARGET)
                    found.setdefault((subject[0], *named), set()).add(subject)
            self._hpas = (shape, found)
        target = (workload.namespace, workload.kind, workload.name)
        return self._hpas[1].get(target, set())

    def _counts(self, workload: Workload, at_s: float, stale_after_s: float) -> dict[str, float]:
        names = COUNTS.get(workload.kind)
        if names is None:
            return {}
        target = (workload.namespace, workload.name)
        found = {
            field: word(self._store, metric, target, at_s, stale_after_s)
            for field, metric in (
                ("spec", names.spec),
                ("exist", names.exist),
                ("ready", names.ready),
            )
        }
        return {field: value for field, value in found.items() if value is not None}

    def _leaving(
        self, workload: Workload, pods: Iterable[Subject], at_s: float, stale_after_s: float
    ) -> set[str]:
        """Return the replicas of which a pod is on its way out."""
        return {
            replica_of(workload, pod[1])
            for pod in pods
            if word(self._store, DELETION, pod, at_s, stale_after_s)
        }

    def _unschedulable_since(
        self, pods: Iterable[Subject], at_s: float, stale_after_s: float
    ) -> float | None:
        """Return when the oldest pod without a node was created: it has waited since then."""
        since = [
            created_s
            for pod in pods
            if word(self._store, UNSCHEDULABLE, pod, at_s, stale_after_s)
            and (created_s := self._newest(CREATED, pod)) is not None
            and created_s <= at_s
        ]
        return min(since, default=None)

    def _seen_ready_s(self, pod: Subject) -> float | None:
        for track in self._store.tracks(READY, pod):
            points = zip(track.times, track.values, strict=True)
            for (_, before), (at_s, now) in itertools.pairwise(points):
                if now > 0 and not before:
                    return at_s
        return None

    def _owner(self, metric: str, subject: Subject) -> Owner | None:
        for track in self._store.tracks(metric, subject):
            kind, name = track.labels.get("owner_kind"), track.labels.get("owner_name")
            if track.labels.get("owner_is_controller", "true") == "true" and kind and name:
                # kube-state-metrics writes <none> for a pod that nobody owns.
                return Owner(kind=kind, name=name)
        return None

    def _newest(self, metric: str, subject: Subject) -> float | None:
        return self._store.value(metric, subject, math.inf, math.inf)

    def _earliest(self, metric: str, subject: Subject) -> float | None:
        return min(
            (min(track.values) for track in self._store.tracks(metric, subject) if track.times),
            default=None,
        )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
