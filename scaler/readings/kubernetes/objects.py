"""
What is kept of the API's objects: the few fields that a decision may rest on.

Parsed once, when an object comes in, so that thousands of pods cost kilobytes each and not more.
A field that an object does not carry is None, never a guess.
"""

import dataclasses
import datetime as dt
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from scaler.autoscaling import MAX_REPLICAS, TOLERANCE
from scaler.readings.attribution import Owner
from scaler.readings.cluster import keda_hpa
from scaler.readings.nodes import LEAVING_TAINTS

from .claims import PodClaim, pod_claims
from .manifest import Manifest, at_path

KEDA = "autoscaling.keda.sh"
PAUSED = f"{KEDA}/paused"
PAUSED_REPLICAS = f"{KEDA}/paused-replicas"
PAUSED_SCALE_IN = f"{KEDA}/paused-scale-in"
PAUSED_SCALE_OUT = f"{KEDA}/paused-scale-out"
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""What Go's strconv.ParseBool reads as false; KEDA takes anything else for a pause."""
_PATH = re.compile(r"(/[A-Za-z0-9._~-]{1,63}){1,8}/?")
EXTERNAL = frozenset({"external", "external-push"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObject:
    """What a ScaledObject scales, within which bounds, and by which triggers."""

    kind: str
    name: str
    """Of the scale target."""
    hpa: str
    """Name of the HPA that KEDA keeps for it."""
    min_replicas: int
    max_replicas: int
    paused: bool
    """KEDA leaves its replicas alone, or holds them at a stated count."""
    scale_in_paused: bool
    """Its HPA never scales down, and KEDA not to zero."""
    scale_out_paused: bool
    """Its HPA never scales up, and KEDA not from zero."""
    triggers: tuple[Mapping[str, str], ...]
    """Metadata of its external triggers, as written."""
    uid: str = ""
    leaving: bool = False
    """It was deleted, and KEDA has not let go of it yet."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaler:
    """An HPA: whose it is, and its dead band as the API kept it (before 1.35 it drops it)."""

    tolerance: float
    owner: Owner | None = None
    target: Owner | None = None
    """What it scales."""
    desired: int | None = None
    """Replicas that it wants of it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Replicas of a scale target."""

    spec: int
    exist: int
    ready: int
    units: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Extended resources that a pod of its template asks for."""
    claims: tuple[PodClaim, ...] = ()
    """ResourceClaims that its template names."""
    reclaim_s: float | None = None
    """How long it takes to take its workers back, seconds; None: not known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod."""

    created_s: float
    """Unix seconds."""
    ready_since_s: float | None
    """None: it is not ready."""
    unschedulable: bool
    leaving: bool
    """It is being deleted."""
    ended: bool
    """Its containers have ended: what it asked for is free."""
    owner: Owner | None
    node: str | None
    units: Mapping[str, int]
    """Extended resources that its containers ask for."""
    claims: tuple[PodClaim, ...] = ()
    """ResourceClaims that it names."""
    address: str | None = None
    """Its own IP; None: it has none, or shares its node's."""
    metrics_path: str = "/metrics"
    """Where its page is, by the annotation that scrape configurations read."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """One node."""

    units: Mapping[str, int]
    """Allocatable extended resources."""
    cordoned: bool
    ready: bool
    leaving: str | None
    """The taint by which its cloud or autoscaler is about to take it away."""


def scaled_object(manifest: Manifest) -> ScaledObject:
    """Parse a ScaledObject."""
    spec, meta = manifest["spec"], manifest["metadata"]
    target = spec["scaleTargetRef"]
    config = at_path(spec, ("advanced", "horizontalPodAutoscalerConfig"), {})
    triggers = (one for one in spec.get("triggers") or () if one.get("type") in EXTERNAL)
    notes = meta.get("annotations") or {}
    return ScaledObject(
        kind=target.get("kind") or "Deployment",
        name=target["name"],
        hpa=config.get("name") or keda_hpa(meta["name"]),
        min_replicas=spec.get("minReplicaCount") or 0,
        max_replicas=spec.get("maxReplicaCount") or MAX_REPLICAS,
        paused=PAUSED_REPLICAS in notes or is_switched(notes, PAUSED),
        scale_in_paused=is_switched(notes, PAUSED_SCALE_IN),
        scale_out_paused=is_switched(notes, PAUSED_SCALE_OUT),
        triggers=tuple(one.get("metadata") or {} for one in triggers),
        uid=meta.get("uid") or "",
        leaving="deletionTimestamp" in meta,
    )


def is_switched(notes: Mapping[str, str], annotation: str) -> bool:
    """Return whether KEDA takes an annotation for a yes: it is there, and not false."""
    return notes.get(annotation, "false") not in FALSE


def autoscaler(manifest: Manifest) -> Autoscaler:
    """Parse an HPA: whose it is, what it scales, and the larger dead band of its directions."""
    stated = (
        at_path(manifest, ("spec", "behavior", direction, "tolerance"))
        for direction in ("scaleUp", "scaleDown")
    )
    target = at_path(manifest, ("spec", "scaleTargetRef"))
    return Autoscaler(
        tolerance=max(TOLERANCE if one is None else quantity(one) for one in stated),
        owner=_owner(manifest["metadata"]),
        target=None if target is None else Owner(kind=target["kind"], name=target["name"]),
        desired=at_path(manifest, ("status", "desiredReplicas")),
    )


def counts(manifest: Manifest) -> Counts:
    """Parse a Deployment, a StatefulSet or a Rollout; what its status leaves out is 0."""
    status = manifest.get("status") or {}
    template = at_path(manifest, ("spec", "template", "spec"), {})
    return Counts(
        spec=at_path(manifest, ("spec", "replicas"), 1),
        exist=status.get("replicas") or 0,
        ready=status.get("readyReplicas") or 0,
        units=_asked_for(template),
        claims=pod_claims(template, {}),
    )


def workers(manifest: Manifest) -> Counts:
    """Parse a ReclaimableJob: a worker that exists holds its GPUs, ready or not."""
    exist = at_path(manifest, ("status", "replicas"), 0)
    took = at_path(manifest, ("status", "reclaimSeconds"), ())
    grace_s = at_path(manifest, ("spec", "checkpointGracePeriodSeconds"))
    return Counts(
        spec=at_path(manifest, ("spec", "replicas"), 0),
        exist=exist,
        ready=exist,
        reclaim_s=max(map(float, took), default=None if grace_s is None else float(grace_s)),
    )


def pod(manifest: Manifest) -> Pod:
    """Parse a pod."""
    meta, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    ready = _condition(status, "Ready")
    since = ready.get("lastTransitionTime") if ready.get("status") == "True" else None
    return Pod(
        created_s=_seconds(meta["creationTimestamp"]),
        ready_since_s=None if since is None else _seconds(since),
        unschedulable=_condition(status, "PodScheduled").get("reason") == "Unschedulable",
        leaving="deletionTimestamp" in meta,
        ended=status.get("phase") in {"Succeeded", "Failed"},
        owner=_owner(meta),
        node=spec.get("nodeName"),
        units=_asked_for(spec),
        claims=pod_claims(spec, status),
        address=None if spec.get("hostNetwork") else _own_address(status.get("podIP")),
        metrics_path=_path((meta.get("annotations") or {}).get("prometheus.io/path")),
    )


def _own_address(text: str | None) -> str | None:
    """Return the address of a pod; one that is nobody's in particular is none."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    strange = (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
    )
    return None if strange else str(address)


def _path(text: str | None) -> str:
    return text if text and _PATH.fullmatch(text) else "/metrics"


def node(manifest: Manifest) -> NodeState:
    """Parse a node."""
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    taints = (one["key"] for one in spec.get("taints") or ())
    return NodeState(
        units=_extended(status.get("allocatable") or {}),
        cordoned=bool(spec.get("unschedulable")),
        ready=_condition(status, "Ready").get("status") == "True",
        leaving=next((key for key in taints if key in LEAVING_TAINTS), None),
    )


def _asked_for(spec: Mapping[str, Any]) -> dict[str, int]:
    """Return what containers ask for; in a template a limit alone stands for the request too."""
    asked: dict[str, int] = {}
    for container in spec.get("containers") or ():
        resources = container.get("resources") or {}
        both = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, units in _extended(both).items():
            asked[name] = asked.get(name, 0) + units
    return asked


def _extended(amounts: Mapping[str, Any]) -> dict[str, int]:
    """Return the extended resources of a list: those with a domain, which are whole numbers."""
    return {name: int(quantity(amount)) for name, amount in amounts.items() if "/" in name}


def _owner(meta: Mapping[str, Any]) -> Owner | None:
    for one in meta.get("ownerReferences") or ():
        if one.get("controller"):
            return Owner(kind=one["kind"], name=one["name"])
    return None


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    listed = status.get("conditions") or ()
    return next((one for one in listed if one.get("type") == kind), {})


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


_SUFFIXES = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    **{letter: 1000.0**power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)},
}


def quantity(text: object) -> float:
    """Read a Kubernetes quantity such as ``100m``, ``8`` or ``2k``."""
    written = str(text)
    suffix = written.lstrip("+-.0123456789")
    if suffix and suffix in _SUFFIXES:
        return float(written.removesuffix(suffix)) * _SUFFIXES[suffix]
    return float(written)  # 8, or 1e3
