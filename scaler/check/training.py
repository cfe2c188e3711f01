"""Whether lent GPUs come back: all of them, and soon."""

from collections.abc import Iterator

from scaler.decision.policy import LendingPolicy

from .finding import METADATA, Finding, error, warning
from .seen import Seen
from .zero import SAFE_COOLDOWN_S

SLOW_RECLAIM_S = 15
"""pollingInterval + cooldownPeriod beyond which lent units come back noticeably late."""
SLOW_BACKUP_S = 330
"""The same for a ReclaimableJob, which the controller takes back at once, without KEDA."""
OUTLASTS_BLINDNESS_S = 300
"""A cooldownPeriod as long as blindReclaimAfter is by default: no error lasts longer than it."""


def reclaim_time(seen: Seen) -> Iterator[Finding]:
    if not seen.is_training:
        return
    one = seen.object
    polling, cooldown = one.polling_s, one.cooldown_s
    followed = one.spec.scale_target_ref.kind in {"ReclaimableJob", "Job"}
    if polling + cooldown <= (SLOW_BACKUP_S if followed else SLOW_RECLAIM_S):
        return
    state = (
        f"cooldownPeriod: {OUTLASTS_BLINDNESS_S}"
        if followed
        else "cooldownPeriod: 0 with useCachedMetrics: true"
    )
    yield warning(
        "spec.cooldownPeriod",
        f"KEDA alone takes up to {polling + cooldown} s (pollingInterval {polling} + "
        f"cooldownPeriod {cooldown}) to reach zero, since it ignores a pushed false. State "
        f"pollingInterval: 5 and {state}",
    )


def outlasted_wait(seen: Seen) -> Iterator[Finding]:
    """Yield a wait that an outage outlasts where KEDA's way to zero is not needed for a reclaim."""
    if seen.trigger is None or not isinstance(seen.trigger.policy, LendingPolicy):
        return
    cooldown, blind_s = seen.object.cooldown_s, seen.trigger.policy.blind_reclaim_after_s
    followed = seen.object.spec.scale_target_ref.kind == "ReclaimableJob"
    if followed and SAFE_COOLDOWN_S <= cooldown < blind_s:
        yield warning(
            "spec.cooldownPeriod",
            f"{cooldown}: without readings, and without the Kubernetes API, kvtide has no answer "
            f"for up to {blind_s:g} s (blindReclaimAfter), and once errors outlast the cooldown "
            "KEDA 2.20 may stop what runs. The controller takes back without KEDA. "
            f"State cooldownPeriod: {blind_s:.0f}",
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
    outlasted_wait,
    training_reaches_zero,
    whole_gang,
    pool_of_itself,
)
