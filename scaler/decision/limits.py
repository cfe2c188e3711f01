"""The last steps of the chain: the dead band of the HPA, and the bounds that a user set."""

import math

from scaler.autoscaling import TOLERANCE
from scaler.said import Said

from .decision import Reason, Step
from .policy import InferencePolicy
from .window import Window

MILLI = 0.001
"""KEDA passes three decimals on."""


def bounds(window: Window, policy: InferencePolicy) -> tuple[int, int | None]:
    """
    Return the least and the most replicas: the policy's, else the ScaledObject's, else 0, ∞.

    A paused object counts as what it is, since nobody changes it. One whose scale-in or scale-out
    is paused counts as no less or no more than that; from beyond its bounds the HPA moves it all
    the same (kubernetes, podautoscaler/horizontal.go, reconcileAutoscaler).
    """
    spec, seen = window.latest.spec_replicas, window.bounds
    if seen.paused and spec is not None:
        return spec, spec
    least = (seen.min_replicas if policy.min_replicas is None else policy.min_replicas) or 0
    most = seen.max_replicas if policy.max_replicas is None else policy.max_replicas
    if spec is None or (most is not None and most < least):
        return least, most
    inside = max(least, spec if most is None else min(spec, most))
    return (
        inside if seen.scale_in_paused else least,
        inside if seen.scale_out_paused else most,
    )


def within_bounds(count: int, window: Window, policy: InferencePolicy) -> Step | None:
    """Clamp to the bounds; with crossed ones (stated in two places) the maximum wins."""
    (least, most), seen = bounds(window, policy), window.bounds
    if most is not None and count > most:
        detail = Said("the maximum is {most}", most=most)
        if seen.paused:
            detail = Said("the object is paused: its maximum is {most}", most=most)
        elif seen.scale_out_paused:
            detail = Said("scale-out is paused: the maximum is {most}", most=most)
        return Step(most, Reason.TOO_MANY_REPLICAS, detail)
    if count < least and (most is None or least <= most):
        detail = Said("the minimum is {least}", least=least)
        if seen.paused:
            detail = Said("the object is paused: its minimum is {least}", least=least)
        elif seen.scale_in_paused:
            detail = Said("scale-in is paused: the minimum is {least}", least=least)
        return Step(least, Reason.TOO_FEW_REPLICAS, detail)
    return None


def tolerance(window: Window, policy: InferencePolicy) -> float:
    """Return the HPA's dead band: stated, read back, else Kubernetes' default."""
    if policy.hpa_tolerance is not None:
        return policy.hpa_tolerance
    return TOLERANCE if window.bounds.tolerance is None else window.bounds.tolerance


def past_dead_band(count: int, window: Window, policy: InferencePolicy) -> Step | None:
    """
    Raise a count that the HPA would ignore to the first one that it acts on.

    With AverageValue and target 1 the HPA keeps the current replicas while
    ``count / current ≤ 1 + tolerance`` (kubernetes, podautoscaler/replica_calculator.go).
    """
    current, dead_band = window.latest.spec_replicas, tolerance(window, policy)
    if not current or count <= current or count > current * (1 + dead_band):
        return None
    acted_on = math.floor(current * (1 + dead_band)) + 1
    detail = Said(
        "an HPA with {tolerance:g} % tolerance keeps {current} for less than {acted_on}",
        tolerance=100 * dead_band,
        current=current,
        acted_on=acted_on,
    )
    return Step(acted_on, Reason.TOLERANCE, detail)


def reported_value(count: int, window: Window, policy: InferencePolicy) -> float | None:
    """
    Return what to report in place of a lower count that the HPA would ignore; None: the count.

    The HPA rounds the value up, so anything above ``count − 1`` still means ``count``; it acts when
    the value falls below ``current × (1 − tolerance)``. Where both cannot be had the HPA stays.
    """
    current, dead_band = window.latest.spec_replicas, tolerance(window, policy)
    if not current or not 0 < count < current or count < current * (1 - dead_band):
        return None
    acted_on = math.floor(current * (1 - dead_band) / MILLI - 1) * MILLI
    return round(acted_on, 3) if acted_on > count - 1 else None
