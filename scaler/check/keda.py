"""How KEDA uses an answer: its own bounds, fallback, caches and other triggers."""

from collections.abc import Iterator

from scaler.autoscaling import MAX_REPLICAS
from scaler.documents.names import INFERENCE_KINDS, ScaleTarget
from scaler.readings.kubernetes.objects import (
    PAUSED,
    PAUSED_REPLICAS,
    PAUSED_SCALE_IN,
    PAUSED_SCALE_OUT,
    is_switched,
)

from .finding import METADATA, Finding, error, warning
from .scaled_object import APPS
from .seen import Seen

HOMES = {
    "LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1",
    "Rollout": "argoproj.io/v1alpha1",
    "ReclaimableJob": "kvtide.io/v1alpha1",
}
"""Where kinds that are known here are at home: certain of the group, usual of the version."""
_PAUSES = {
    PAUSED: "the object is paused: nothing scales",
    PAUSED_REPLICAS: "the object is paused: nothing scales",
    PAUSED_SCALE_IN: "scale-in is paused: the HPA never scales down and KEDA not to zero, so that "
    "nothing is saved, and what is lent does not come back through KEDA",
    PAUSED_SCALE_OUT: "scale-out is paused: the HPA never scales up and KEDA not from zero",
}
"""What an annotation of KEDA's does (controllers/keda/hpa.go, scale_scaledobjects.go)."""
SLOW_POLLING_S = 60
IN_APPS = ("Deployment", "StatefulSet", "ReplicaSet")
"""What can be scaled of apps/v1; other groups may have kinds of these names as well."""


def scaled_kind(seen: Seen) -> Iterator[Finding]:
    target = seen.object.spec.scale_target_ref.target
    field = "spec.scaleTargetRef.kind"
    if target.kind == "Job":
        yield error(
            field,
            "Job: KEDA accepts it and never scales it, since a Job has no scale subresource. "
            "Refer to the ReclaimableJob whose jobRef names it",
        )
    elif (
        not seen.is_training
        and target.kind not in INFERENCE_KINDS
        and not {"workload", "selector"} & seen.spec.metadata.keys()
    ):
        yield error(
            field,
            f"{target.kind}: its pods cannot be told by their names. Add a selector for the "
            f"engine's series to the trigger (names suffice for {', '.join(INFERENCE_KINDS)})",
        )


def home_of_kind(seen: Seen) -> Iterator[Finding]:
    """Yield a kind that KEDA looks for where there is none: unstated, that is apps/v1."""
    ref = seen.object.spec.scale_target_ref
    if ref.kind in {*IN_APPS, "Job"}:
        return
    home = HOMES.get(ref.kind)
    if ref.group != "apps" if home is None else ref.group == home.partition("/")[0]:
        return
    got = ref.api_version or f"not stated: KEDA takes {APPS}"
    state = "State the group and version of its kind" if home is None else f"State {home}"
    yield error(
        "spec.scaleTargetRef.apiVersion",
        f"{got}, which has no {ref.kind} to scale: KEDA refuses the object. {state}",
    )


def unstated_target(seen: Seen) -> Iterator[Finding]:
    """Yield a target that KEDA does not tell, since it sends metadata and not the object."""
    target = seen.object.spec.scale_target_ref.target
    guess = ScaleTarget("Deployment", seen.object.name)
    if target == guess or target.kind == "Job":
        return
    if {"workload", "selector"} & seen.spec.metadata.keys():
        return
    if not seen.is_training and target.kind not in INFERENCE_KINDS:
        return
    harm = "does not know how many workers run" if seen.is_training else "finds no engine of yours"
    yield warning(
        f"{METADATA}workload",
        f"not stated: without the Kubernetes API kvtide is not told the target, takes {guess} and "
        f"{harm}. State workload: {target}",
    )


def kind_of_metric(seen: Seen) -> Iterator[Finding]:
    stated = seen.spec.metric_type
    if stated not in {None, "AverageValue"}:
        yield error(
            "spec.triggers.metricType",
            f"{stated}: kvtide answers a count of replicas, which the HPA reads exactly only as "
            "AverageValue; Value multiplies it by the ready pods (and scales down while pods "
            "load), Utilization is refused by KEDA. Leave metricType out",
        )


def slow_polling(seen: Seen) -> Iterator[Finding]:
    """Yield a pollingInterval that is longer than what lending and waking are meant to take."""
    polling = seen.object.spec.polling_interval
    if polling is not None and polling > SLOW_POLLING_S:
        late = "lent workers grow" if seen.is_training else "a workload wakes or goes to zero"
        yield warning(
            "spec.pollingInterval",
            f"{polling} s: by polls alone {late} only every {polling} s. State 5 to 30",
        )


def replicas_in_order(seen: Seen) -> Iterator[Finding]:
    spec = seen.object.spec
    low, high = spec.min_replica_count or 0, spec.max_replica_count or MAX_REPLICAS
    if low > high:
        yield error("spec.minReplicaCount", f"{low} is above maxReplicaCount ({high})")
    idle = spec.idle_replica_count
    if idle is not None and idle >= low:
        yield error(
            "spec.idleReplicaCount",
            f"{idle}: KEDA refuses it unless it is below minReplicaCount ({low})",
        )


def other_triggers(seen: Seen) -> Iterator[Finding]:
    triggers = seen.object.spec.triggers
    if len(seen.object.our_triggers) > 1:
        yield error(
            "spec.triggers",
            f"{len(seen.object.our_triggers)} external triggers: one ScaledObject has one policy, "
            "and the HPA would take the larger answer. Keep one",
        )
    elif len(triggers) > 1:
        yield warning(
            "spec.triggers",
            f"{len(triggers)} triggers: the HPA takes the largest answer of them, and an error of "
            "one lets KEDA cut the object to zero at the next quiet poll of the other",
        )


def modified_scaling(seen: Seen) -> Iterator[Finding]:
    advanced = seen.object.spec.advanced
    if advanced is not None and advanced.scaling_modifiers:
        yield warning(
            "spec.advanced.scalingModifiers",
            "a formula changes the count that kvtide explains; its target must stay 1",
        )


def paused(seen: Seen) -> Iterator[Finding]:
    notes = seen.object.annotations
    for name, why in _PAUSES.items():
        if name in notes and (name == PAUSED_REPLICAS or is_switched(notes, name)):
            yield warning(f"metadata.annotations.{name}", why)


def fallback(seen: Seen) -> Iterator[Finding]:
    stated = seen.object.spec.fallback
    if stated is None:
        return
    if seen.is_training:
        yield error(
            "spec.fallback",
            "on a training object: with a short cooldown one failed poll zeroes (replicas 0) or "
            "starts (replicas above 0) training. Without it KEDA keeps what is while kvtide has no "
            "data, and kvtide itself reclaims after blindReclaimAfter. Leave it out",
        )
    elif not stated.replicas:
        yield error(
            "spec.fallback.replicas",
            "0 on inference: at the first failed poll KEDA falls through to zero after the "
            "cooldown, whatever failureThreshold says. Leave fallback out (replicas then freeze) "
            "or state a safe count",
        )
    elif stated.behavior in {None, "static"}:
        yield warning(
            "spec.fallback",
            f"while kvtide has no data a larger fleet shrinks to {stated.replicas} and one at zero "
            "wakes; without fallback KEDA keeps what is. Leave it out, or state behavior: "
            "currentReplicasIfHigher",
        )


RULES = (
    scaled_kind,
    home_of_kind,
    unstated_target,
    kind_of_metric,
    slow_polling,
    replicas_in_order,
    other_triggers,
    modified_scaling,
    paused,
    fallback,
)
