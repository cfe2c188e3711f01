"""
Whether KEDA may take replicas away that nobody wants gone.

KEDA drops the scalers of an object at every error, and makes them anew. A poll that holds the
dropped ones meanwhile reads "inactive", not "error" (since 2.20.0, pkg/scaling/scale_handler.go:
ErrCacheClosed is passed by), and with nothing to wait for it scales to zero, or to the idle count,
while kvtide only said that it does not know. It takes an error that the HPA asked for during a
poll, which happens: on a real cluster 6 of 24 objects went to zero in two minutes of errors. A
cooldownPeriod does not help for longer than it lasts, since errors keep it from beginning anew:
with 60 s and useCachedMetrics 5 of 24 went, from the second minute on. So errors have to be rare.
"""

from collections.abc import Iterator

from .finding import METADATA, Finding, error, warning
from .seen import Seen

SAFE_COOLDOWN_S = 60
"""The shortest cooldownPeriod with which nothing goes to zero within a minute of errors."""
LONG_HOLD_S = 600.0
"""A holdFor that outlasts most outages: until it is over there is no error to misread."""


def zero_by_accident(seen: Seen) -> Iterator[Finding]:
    """Yield a wait before zero that a single misread poll is enough for."""
    spec, cooldown = seen.object.spec, seen.object.cooldown_s
    if not seen.object.can_fall or seen.spec.use_cached_metrics or cooldown >= SAFE_COOLDOWN_S:
        return
    low = f"minReplicaCount {spec.min_replica_count or 0}"
    if spec.idle_replica_count is not None:
        low = f"idleReplicaCount {spec.idle_replica_count}"
    state = f"State cooldownPeriod: {SAFE_COOLDOWN_S} or more"
    if seen.is_training:  # a borrowing Deployment comes back by KEDA alone: fewer errors, at least
        state += ", or useCachedMetrics: true in the trigger, which makes it rarer"
    why = (
        f"{cooldown} with {low}: KEDA 2.20 may read one answer without data as inactive, and then "
        f"scales down at once. {state}"
    )
    yield (error if cooldown == 0 else warning)("spec.cooldownPeriod", why)


def short_hold(seen: Seen) -> Iterator[Finding]:
    """Yield inference that KEDA may take to zero once an outage outlasts what guards it."""
    unguarded = seen.object.cooldown_s == 0 and not seen.spec.use_cached_metrics
    if seen.inference is None or not seen.object.can_fall or unguarded:
        return
    policy, _ = seen.inference
    if policy.hold_for_s < LONG_HOLD_S:
        yield warning(
            f"{METADATA}holdFor",
            f"{policy.hold_for_s:g} s: once readings are gone for that long and cooldownPeriod "
            f"({seen.object.cooldown_s}) besides, KEDA 2.20 may scale to zero what is in use. "
            "State holdFor: 30m, or minReplicaCount: 1",
        )


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
    short_hold,
    cached_metrics,
)
