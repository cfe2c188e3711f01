"""
Whether KEDA may take replicas away that nobody wants gone.

KEDA drops the scalers of an object at every error, and makes them anew. A poll that holds the
dropped ones meanwhile reads "inactive", not "error" (since 2.20.0, pkg/scaling/scale_handler.go:
ErrCacheClosed is passed by), and with nothing to wait for it scales to zero, or to the idle count,
while kvtide only said that it does not know. It takes an error that the HPA asked for during a
poll, which happens: on a real cluster 6 of 24 objects went to zero in two minutes of errors.
"""

from collections.abc import Iterator

from .finding import Finding, error, warning
from .seen import Seen

SAFE_COOLDOWN_S = 60
"""The shortest cooldownPeriod with which a real cluster lost nothing in two minutes of errors."""


def zero_by_accident(seen: Seen) -> Iterator[Finding]:
    """Yield a wait before zero that a single misread poll is enough for."""
    spec, cooldown = seen.object.spec, seen.object.cooldown_s
    if not seen.object.can_fall or seen.spec.use_cached_metrics or cooldown >= SAFE_COOLDOWN_S:
        return
    low = f"minReplicaCount {spec.min_replica_count or 0}"
    if spec.idle_replica_count is not None:
        low = f"idleReplicaCount {spec.idle_replica_count}"
    why = (
        f"{cooldown} with {low}: KEDA 2.20 may read one answer without data as inactive, and then "
        f"scales down at once. State cooldownPeriod: {SAFE_COOLDOWN_S} or more, or "
        "useCachedMetrics: true in the trigger"
    )
    yield (error if cooldown == 0 else warning)("spec.cooldownPeriod", why)


def cached_metrics(seen: Seen) -> Iterator[Finding]:
    """Yield a cache that makes the HPA slower and guards nothing."""
    if seen.spec.use_cached_metrics and not seen.object.can_fall:
        yield warning(
            "spec.triggers.useCachedMetrics",
            f"true: the HPA then acts on a count up to {seen.object.polling_s} s old; kvtide "
            "answers from memory, so that asking costs nothing. It guards the step to zero, which "
            f"minReplicaCount {seen.object.floor} never takes. Leave it out",
        )


RULES = (
    zero_by_accident,
    cached_metrics,
)
