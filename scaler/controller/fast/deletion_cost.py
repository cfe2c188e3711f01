"""
Which replica goes first: the pod-deletion-cost of each pod is its requests in flight.

A ReplicaSet, a Deployment's or a Rollout's, removes the cheapest of its ready pods first. Each
annotation is a write to the API server, and Kubernetes advises against many of them, so a cost is
written only once it is off by a step, or when a pod falls idle or gets its first request, and once
in PAUSE_S at most.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost
"""

import dataclasses
from collections.abc import Mapping

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
OWNERS = frozenset({"Deployment", "Rollout", "ReplicaSet"})
"""Kinds whose pods a ReplicaSet removes; a StatefulSet goes by ordinal, whatever is written."""
PAUSE_S = 10.0
STEP = 4
"""Requests; of a busier pod a quarter of what it had."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The cost that a pod was given last, and when (Unix seconds)."""

    cost: int
    at_s: float


def due(
    in_flight: Mapping[str, int], written: Mapping[str, Written], now_s: float
) -> dict[str, int]:
    """Return the pods whose cost is to be written now; none where there is nothing to choose."""
    if len(in_flight) < 2:
        return {}
    return {
        pod: count
        for pod, count in sorted(in_flight.items())
        if _is_due(count, written.get(pod), now_s)
    }


def _is_due(count: int, before: Written | None, now_s: float) -> bool:
    if before is None:
        return True
    if now_s - before.at_s < PAUSE_S:
        return False
    idle_changed = (count == 0) != (before.cost == 0)
    return idle_changed or abs(count - before.cost) >= max(STEP, before.cost / 4)
