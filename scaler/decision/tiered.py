"""
The decision for one tier of a group: its share of the group's demand, then its own rules.

Each tier decides on the windows of all of them and comes to the same deal.
"""

import dataclasses

from scaler.said import Said

from .decision import Decision, Reason, Step
from .inference import RULES_OF_A_TIER, Basis, conclude
from .limits import bounds
from .policy import InferencePolicy
from .pool import Member, TierWindow, unheard
from .shared_gateway import count_held_once
from .tier_demand import Tier
from .tiers import share
from .window import Window


def decide_tier(group: TierWindow, policy: InferencePolicy) -> Decision:
    """Return the replicas of the tier that ``group`` is seen from."""
    group = dataclasses.replace(group, members=count_held_once(group.members))
    own = next(member for member in group.members if member.name == group.member)
    if own.window is None:
        return _silent(group, own)
    basis = Basis.of(own.window, policy)
    unknown = [one for one in group.members if one.policy is None or one.window is None]
    if unknown:
        detail = Said("nothing is known of {names}", names=unheard(unknown))
        step = Step(None, Reason.MEMBER_UNKNOWN, detail)
        return conclude(basis, (step,), panic=False)
    tiers = [
        tier
        for member in group.members
        if member.window is not None
        and member.policy is not None
        and (tier := _tier(member.name, member.window, member.policy)) is not None
    ]
    if len(tiers) < len(group.members):
        known = {tier.name for tier in tiers}
        blind = ", ".join(one.name for one in group.members if one.name not in known)
        detail = Said("{names}: no safe concurrency is known", names=blind)
        step = Step(None, Reason.NO_CAPACITY, detail)
        return conclude(basis, (step,), panic=False)
    answer = share(tiers, own.name, bucket_s=own.window.bucket_s)
    return conclude(basis, answer.steps, panic=answer.panic, rules=RULES_OF_A_TIER)


def _silent(group: TierWindow, own: Member) -> Decision:
    newest = [member.window.now_s for member in group.members if member.window is not None]
    step = Step(None, Reason.NO_DATA, Said("no fresh readings of {name}", name=own.name))
    return Decision(at_s=max(newest, default=own.silent_since_s or 0.0), steps=(step,))


def _tier(name: str, window: Window, policy: InferencePolicy) -> Tier | None:
    """Return a member as a tier; None: what one replica of it holds is not known."""
    basis = Basis.of(window, policy)
    if basis.safe is None:
        return None
    fine = basis.curve.points()
    least, most = bounds(window, policy)
    return Tier(
        name=name,
        policy=policy,
        capacity=float(basis.safe.requests),
        minimum=least,
        maximum=most,
        lead_time_s=basis.lead_time_s,
        points=fine,
        history=basis.long_curve().points()[: -len(fine)],
        unschedulable_s=_unschedulable_s(window),
    )


def _unschedulable_s(window: Window) -> float:
    since_s = window.latest.unschedulable_since_s
    return 0.0 if since_s is None else window.now_s - since_s
