"""How KEDA uses an answer: its own bounds, fallback, caches and other triggers."""

from collections.abc import Iterator

from scaler.sources.documents.names import INFERENCE_KINDS, ScaleTarget

from .finding import METADATA, Finding, error, warning
from .scaled_object import MAX_REPLICAS, POLLING_INTERVAL_S
from .seen import Seen


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


def unstated_target(seen: Seen) -> Iterator[Finding]:
    """Yield a target that the scaler cannot guess: it is told metadata, and not the object."""
    target = seen.object.spec.scale_target_ref.target
    guess = ScaleTarget("Deployment", seen.object.name)
    if target == guess or target.kind == "Job":
        return
    if {"workload", "selector"} & seen.spec.metadata.keys():
        return
    told = f"kvtide is not told the target and takes {guess}. State workload: {target}"
    if seen.is_training:
        yield warning(f"{METADATA}workload", f"{told}, or it does not know how many workers run")
    elif target.kind in INFERENCE_KINDS:
        yield error(f"{METADATA}workload", f"{told}, or it finds no engine of yours")


def kind_of_metric(seen: Seen) -> Iterator[Finding]:
    stated = seen.spec.metric_type
    if stated not in {None, "AverageValue"}:
        yield error(
            "spec.triggers.metricType",
            f"{stated}: kvtide answers a count of replicas, which the HPA reads exactly only as "
            "AverageValue; Value multiplies it by the ready pods (and scales down while pods "
            "load), Utilization is refused by KEDA. Leave metricType out",
        )


def cached_metrics(seen: Seen) -> Iterator[Finding]:
    if seen.spec.use_cached_metrics:
        polling = seen.object.spec.polling_interval or POLLING_INTERVAL_S
        yield warning(
            "spec.triggers.useCachedMetrics",
            f"true: the HPA then acts on a count up to {polling} s old; kvtide answers from "
            "memory, so that asking costs nothing. Leave it out",
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
    for name in seen.object.annotations:
        if name.startswith("autoscaling.keda.sh/paused"):
            yield warning(f"metadata.annotations.{name}", "the object is paused: nothing scales")


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
    unstated_target,
    kind_of_metric,
    cached_metrics,
    replicas_in_order,
    other_triggers,
    modified_scaling,
    paused,
    fallback,
)
