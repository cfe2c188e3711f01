"""
What a ScaledObject with the fast path scales, within which bounds, and what forbids it now.

Whoever paused an object, or told its HPA otherwise, has the last word: anything that would let the
HPA arrive at another count than the scaler's forbids the fast path.
"""

import dataclasses
from collections.abc import Iterator

from scaler.autoscaling import MAX_REPLICAS
from scaler.controller.seen import Json
from scaler.readings.kubernetes.manifest import Manifest, at_path
from scaler.readings.kubernetes.objects import (
    EXTERNAL,
    FALSE,
    PAUSED,
    PAUSED_REPLICAS,
    PAUSED_SCALE_OUT,
    is_switched,
)

SWITCHES = (PAUSED, PAUSED_SCALE_OUT)
"""Annotations that a Go boolean switches; anything but a false one counts."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a ScaledObject with ``fastPath`` scales."""

    api_version: str
    kind: str
    name: str
    min_replicas: int
    max_replicas: int
    hindrance: str | None = None
    """Why its scale must not be written now; None: it may be."""


def target(scaled_object: Json) -> Target | None:
    """Return what a ScaledObject scales; None: it does not ask for the fast path."""
    trigger = _fast_trigger(scaled_object)
    if trigger is None:
        return None
    spec = scaled_object["spec"]
    scaled = spec["scaleTargetRef"]
    return Target(
        api_version=scaled.get("apiVersion") or "apps/v1",
        kind=scaled.get("kind") or "Deployment",
        name=scaled["name"],
        min_replicas=spec.get("minReplicaCount") or 0,
        max_replicas=spec.get("maxReplicaCount", MAX_REPLICAS),
        hindrance=next(_hindrances(scaled_object, trigger), None),
    )


def _fast_trigger(scaled_object: Json) -> Manifest | None:
    """Return the trigger that may ask for the fast path; what its value means the scaler says."""
    for trigger in scaled_object["spec"].get("triggers") or ():
        metadata = trigger.get("metadata") or {}
        asks = metadata.get("fastPath", "false") not in FALSE or "fastPathFromEnv" in metadata
        if trigger.get("type") in EXTERNAL and asks:
            found: Manifest = trigger
            return found
    return None


def _hindrances(scaled_object: Json, trigger: Json) -> Iterator[str]:
    yield from _paused(scaled_object["metadata"])
    if not _is_ready(scaled_object):
        yield "it is not Ready"
    advanced = at_path(scaled_object, ("spec", "advanced"), {})
    if at_path(advanced, ("scalingModifiers", "formula")):
        yield "scalingModifiers: the HPA follows the formula"
    if trigger.get("metricType", "AverageValue") != "AverageValue":
        yield f"metricType {trigger['metricType']}: the HPA arrives at another count"
    scale_up = ("horizontalPodAutoscalerConfig", "behavior", "scaleUp", "selectPolicy")
    if at_path(advanced, scale_up) == "Disabled":
        yield "behavior.scaleUp.selectPolicy Disabled"


def _paused(metadata: Json) -> Iterator[str]:
    if "deletionTimestamp" in metadata:
        yield "it is being deleted"
    notes = metadata.get("annotations") or {}
    if PAUSED_REPLICAS in notes:
        yield f"annotation {PAUSED_REPLICAS}"
    for switch in SWITCHES:
        if is_switched(notes, switch):
            yield f"annotation {switch}"


def _is_ready(scaled_object: Json) -> bool:
    conditions = at_path(scaled_object, ("status", "conditions"), ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
