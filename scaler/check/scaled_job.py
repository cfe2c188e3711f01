"""
ScaledJobs with a trigger of ours: KEDA accepts them, and no answer of kvtide's fits them.

KEDA reads an answer as the length of a queue, starts Jobs for it at each poll and never ends one
(pkg/scaling/executor/scale_jobs.go, RequestJobScale): what was started ends when it ends. kvtide
answers how many replicas there should be, and lowers that.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scaler.source import Role

from .finding import Finding, Level
from .scaled_object import OURS, key_of, objects_of

_HARM = {
    Role.INFERENCE: "the fleet never shrinks. Scale a Deployment, by a ScaledObject",
    Role.TRAINING: "GPUs come back only as Jobs end, however much inference needs them. Scale a "
    "ReclaimableJob, by a ScaledObject",
}


def findings(documents: Iterable[Any], origin: str) -> Iterator[Finding]:
    """Yield an error for each ScaledJob of a file's documents that an external scaler answers."""
    for node in objects_of(documents, "ScaledJob"):
        metadata = _external(node)
        if metadata is None:
            continue
        role = Role.TRAINING if metadata.get("role") == Role.TRAINING else Role.INFERENCE
        yield Finding(
            level=Level.ERROR,
            field="kind",
            why="ScaledJob: KEDA takes the count of replicas for the length of a queue, starts "
            "Jobs until so many run (with scalingStrategy accurate or eager so many more at each "
            f"poll) and never ends one: {_HARM[role]}",
            object=key_of(node),
            origin=origin,
        )


def _external(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the metadata of an object's first external trigger; None: it has none."""
    spec = node.get("spec")
    triggers = spec.get("triggers") if isinstance(spec, dict) else None
    for trigger in triggers if isinstance(triggers, list) else ():
        if isinstance(trigger, dict) and trigger.get("type") in OURS:
            metadata = trigger.get("metadata")
            return metadata if isinstance(metadata, dict) else {}
    return None
