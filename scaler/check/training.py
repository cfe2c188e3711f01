"""Whether lent GPUs come back: all of them, and soon."""

from collections.abc import Iterator

from scaler.decision.policy import LendingPolicy

from .finding import METADATA, Finding, error, warning
from .scaled_object import COOLDOWN_S, POLLING_INTERVAL_S
from .seen import Seen

SLOW_RECLAIM_S = 15
"""pollingInterval + cooldownPeriod beyond which lent units come back noticeably late."""


def reclaim_time(seen: Seen) -> Iterator[Finding]:
    if not seen.is_training:
        return
    spec = seen.object.spec
    polling = POLLING_INTERVAL_S if spec.polling_interval is None else spec.polling_interval
    cooldown = COOLDOWN_S if spec.cooldown_period is None else spec.cooldown_period
    if polling + cooldown > SLOW_RECLAIM_S:
        yield warning(
            "spec.cooldownPeriod",
            f"KEDA alone takes up to {polling + cooldown} s (pollingInterval {polling} + "
            f"cooldownPeriod {cooldown}) to reach zero, since it ignores a pushed false. State "
            "pollingInterval: 5 and cooldownPeriod: 0",
        )


def training_reaches_zero(seen: Seen) -> Iterator[Finding]:
    if seen.is_training and seen.object.floor > 0:
        yield error(
            "spec.minReplicaCount",
            f"{seen.object.floor}: lent GPUs would never all come back. State 0, or for a gang "
            "idleReplicaCount: 0 beside minReplicaCount",
        )


def whole_gang(seen: Seen) -> Iterator[Finding]:
    """Yield a minimum that lends more workers than fit: the HPA raises every answer to it."""
    if seen.trigger is None or not isinstance(seen.trigger.policy, LendingPolicy):
        return
    least, fewest = seen.object.spec.min_replica_count or 0, seen.trigger.policy.min_workers
    if least > fewest:
        yield error(
            f"{METADATA}minWorkers",
            f"{fewest} is below minReplicaCount ({least}): the HPA raises an answer of {fewest} to "
            f"{least} workers, whether they fit or not. State minWorkers: {least}",
        )


def pool_of_itself(seen: Seen) -> Iterator[Finding]:
    if seen.trigger is not None and seen.object.key in seen.trigger.pool_members:
        yield error(
            f"{METADATA}poolWorkloads",
            f"{seen.object.key} is the borrower itself: name the online workloads",
        )


RULES = (
    reclaim_time,
    training_reaches_zero,
    whole_gang,
    pool_of_itself,
)
