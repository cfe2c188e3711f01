"""A parser of metadata and a decision that a test reads at a glance."""

from collections.abc import Mapping

from scaler.decision.decision import Decision, Reason, Step
from scaler.decision.policy import InferencePolicy, LendingPolicy, Policy
from scaler.decision.pool import PoolWindow, TierWindow
from scaler.decision.window import Window
from scaler.errors import ConfigurationError, Problem
from scaler.source import Role, Trigger, Workload

KNOWN = {"scalerAddress", "role", "tierGroup", "pool", "target", "crash", "fastPath"}


def parse(namespace: str, name: str, metadata: Mapping[str, str]) -> Trigger:
    """Read ``role``, ``target``, ``tierGroup``, ``fastPath`` and ``pool`` (members, by commas)."""
    if "crash" in metadata:
        raise ZeroDivisionError(metadata["crash"])
    problems = [
        Problem(field=key, got=metadata[key], allowed=", ".join(sorted(KNOWN)))
        for key in metadata
        if key not in KNOWN
    ]
    if problems:
        raise ConfigurationError(*problems)
    workload = Workload(namespace=namespace, scaled_object=name, name=metadata.get("target", name))
    if metadata.get("role") == "training":
        members = tuple(metadata.get("pool", "prod/llm").split(","))
        policy: Policy = LendingPolicy(pool_units=8)
        return Trigger(
            role=Role.TRAINING,
            workload=workload,
            policy=policy,
            pool_members=members,
            pool_resource="nvidia.com/gpu",
        )
    group = metadata.get("tierGroup")
    policy = InferencePolicy(
        tier_group=group, tier_cost=1.0 if group else None, fast_path="fastPath" in metadata
    )
    return Trigger(role=Role.INFERENCE, workload=workload, policy=policy)


def decide(subject: Window | PoolWindow | TierWindow, policy: Policy) -> Decision:
    """
    Ask for as many replicas as requests run.

    A negative number of running requests holds, and 13 is a fault. A pool lends what its
    members leave of eight units, 0 when one is silent, and holds for one never heard of.
    """
    if isinstance(subject, PoolWindow):
        return _lend(subject)
    if isinstance(subject, TierWindow):
        return _count(sum(_running(one.window) for one in subject.members), subject.member)
    return _count(_running(subject), "running", at_s=subject.now_s)


def _running(window: Window | None) -> int:
    if window is None:
        return 0
    return int(sum(replica.requests_running or 0 for replica in window.latest.replicas))


def _count(running: int, detail: str, at_s: float = 0.0) -> Decision:
    if running == 13:
        raise ZeroDivisionError("thirteen")
    if running < 0:
        steps = (
            Step(3, Reason.DEMAND, "three would do"),
            Step(None, Reason.NO_HISTORY, "30 s of 60 s"),
        )
        return Decision(at_s=at_s, steps=steps)
    return Decision(at_s=at_s, steps=(Step(running, Reason.DEMAND, f"{running} {detail}"),))


def _lend(pool: PoolWindow) -> Decision:
    unknown = [one.name for one in pool.members if one.policy is None]
    if unknown:
        steps = (Step(None, Reason.MEMBER_UNKNOWN, ", ".join(unknown)),)
        return Decision(at_s=pool.at_s, steps=steps)
    silent = [one.silent_since_s for one in pool.members if one.window is None]
    if silent:
        steps = (Step(0, Reason.BLIND_RECLAIM, f"silent since {silent}"),)
        return Decision(at_s=pool.at_s, steps=steps)
    free = max(0, 8 - sum(_running(one.window) for one in pool.members))
    reason = Reason.LENT if free else Reason.RECLAIMED
    return Decision(at_s=pool.at_s, steps=(Step(free, reason, f"{free} of 8"),))
