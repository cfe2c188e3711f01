"""What the HPA adds to an answer whose windows, rates and delays are decided already."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from scaler.autoscaling import MAX_REPLICAS

from .finding import Finding, warning
from .scaled_object import ScalingRules
from .seen import Seen

BEHAVIOR = "spec.advanced.horizontalPodAutoscalerConfig.behavior"


def inherited_windows(seen: Seen) -> Iterator[Finding]:
    """Double windows: what the HPA adds to rates and delays that are decided already."""
    behavior = seen.object.behavior
    if behavior is None:
        yield warning(
            BEHAVIOR,
            "not stated: the HPA then waits 300 s before any scale-down, on top of scaleDownDelay, "
            "and at most doubles (or reaches 4) per sync, which slows a panic. State scaleDown."
            "stabilizationWindowSeconds: 0 and a wide scaleUp policy",
        )
        return
    down, up = behavior.scale_down or ScalingRules(), behavior.scale_up or ScalingRules()
    waits = down.stabilization_window_seconds
    if waits != 0:
        amount = "not stated: the HPA's default of 300 s" if waits is None else f"{waits} s"
        yield warning(
            f"{BEHAVIOR}.scaleDown.stabilizationWindowSeconds",
            f"{amount} comes after kvtide's own scaleDownDelay. State 0",
        )
    if up.stabilization_window_seconds:
        yield warning(
            f"{BEHAVIOR}.scaleUp.stabilizationWindowSeconds",
            f"{up.stabilization_window_seconds} s delays every scale-up, panic too. State 0",
        )
    yield from _narrow("scaleUp", up)
    if down.select_policy == "Disabled":
        yield warning(f"{BEHAVIOR}.scaleDown.selectPolicy", "Disabled: the HPA never scales down")


def _narrow(direction: str, rules: ScalingRules) -> Iterator[Finding]:
    """Yield what limits a scale-up to less than a surge may need."""
    field = f"{BEHAVIOR}.{direction}"
    if not rules.policies:
        yield warning(
            f"{field}.policies",
            "not stated: the HPA's default is 4 pods or 100 % per 15 s. State a Percent policy of "
            "900 per 15 s; kvtide's maxScaleUpRate limits already",
        )
    elif rules.select_policy in {"Min", "Disabled"}:
        yield warning(f"{field}.selectPolicy", f"{rules.select_policy}: a panic cannot scale out")
    elif not any(
        policy.value >= (100 if policy.type == "Percent" else 4) and policy.period_seconds <= 15
        for policy in rules.policies
    ):
        yield warning(
            f"{field}.policies",
            "narrower than the HPA's default of 4 pods or 100 % per 15 s: a panic waits for it",
        )


def dead_band(seen: Seen) -> Iterator[Finding]:
    most = seen.object.spec.max_replica_count or MAX_REPLICAS
    if seen.object.behavior is None or most < 10:
        return
    for direction in ("scale_up", "scale_down"):
        rules = getattr(seen.object.behavior, direction)
        if rules is None or not _is_zero(rules.tolerance):
            key = "scaleUp" if direction == "scale_up" else "scaleDown"
            yield warning(
                f"{BEHAVIOR}.{key}.tolerance",
                "not 0: from ten replicas up the HPA's 10 % tolerance swallows a step of one. "
                'State tolerance: "0" (Kubernetes before 1.35 drops it; kvtide then answers '
                "around the dead band, see hpaTolerance)",
            )


def _is_zero(quantity: str | None) -> bool:
    try:
        return quantity is not None and Decimal(quantity.rstrip("mnu")) == 0
    except InvalidOperation:
        return False


RULES = (
    inherited_windows,
    dead_band,
)
