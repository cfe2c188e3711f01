"""
One demand over several GPU types: cheap ones in the trough, fast ones at the peak.

The demand of the group goes through Knative's windows as a whole; what they ask for is dealt out to
the tiers in order, each up to its maximum. Every tier computes the whole deal and takes its own
share, so that shares sum to the demand. Two rules keep capacity while it moves: a tier shrinks only
by what the others have *ready*, and a tier that finds no nodes keeps one pending pod as a probe.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from scaler.said import Said

from .decision import Reason, Step
from .forecast import forecast
from .kpa import recommend
from .pace import pace_of
from .policy import InferencePolicy
from .tier_demand import UNITS, Group, Tier, is_peak, past_of, points_of


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierAnswer:
    """What one tier should have, step by step, and what the group is at."""

    steps: tuple[Step, ...]
    panic: bool = False
    peak: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the group asks for as a whole."""

    units: int
    reason: Reason
    panic: bool
    peak: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """How a demand is dealt out, replicas by the name of the tier."""

    planned: Mapping[str, int]
    """Each tier's share; one that finds no nodes has no more than what is ready."""
    kept: Mapping[str, int]
    """The plan, and what has to stay until others are ready."""
    missed: Mapping[str, int]
    """By a tier that finds no nodes: the share it would have if it found them."""


def share(tiers: Sequence[Tier], name: str, *, bucket_s: float) -> TierAnswer:
    """Return the replicas of the tier called ``name``, one of ``tiers`` (on grids of a bucket)."""
    group = Group.of(tiers)
    own = next(tier for tier in group.tiers if tier.name == name)
    if (unknown := _unknown(group, own)) is not None:
        return TierAnswer(steps=(unknown,))
    demand = _demand(group, bucket_s)
    if isinstance(demand, Step):
        return TierAnswer(steps=(demand,))
    order = group.ordered(peak=demand.peak)
    dealt = deal(group, order, demand.units)
    steps = _steps(group, own, demand, dealt)
    return TierAnswer(steps=steps, panic=demand.panic, peak=demand.peak)


def _unknown(group: Group, own: Tier) -> Step | None:
    """Hold while the tier itself is silent, or another's replicas are not known."""
    if own.is_silent:
        return Step(None, Reason.NO_DATA, Said("the load of this tier is not known"))
    unknown = ", ".join(tier.name for tier in group.tiers if tier.ready is None)
    if unknown:
        detail = Said("the ready replicas of {names} are not known", names=unknown)
        return Step(None, Reason.NO_DATA, detail)
    return None


def _demand(group: Group, bucket_s: float) -> Demand | Step:
    """Return what Knative's rules and the forecast make of the group's load; a step that holds."""
    policy, points = _policy(group), points_of(group, bucket_s)
    known = [tier.lead_time_s for tier in group.tiers if tier.lead_time_s is not None]
    lead_time_s = max(known, default=None)
    asked = recommend(points, policy, lead_time_s=lead_time_s, bucket_s=bucket_s)
    if asked.desired is None:
        return asked.steps[-1]
    seen = (*past_of(group, points[0].at_s), *points)
    ahead = forecast(seen, asked.desired, policy, lead_time_s=lead_time_s, bucket_s=bucket_s)
    pace = pace_of(policy, lead_time_s=lead_time_s, bucket_s=bucket_s)
    deciding = ahead or asked.steps[-1]
    return Demand(
        units=deciding.replicas or 0,
        reason=deciding.reason,
        panic=asked.panic,
        peak=is_peak(group, points, bucket_s, pace.panic_buckets),
    )


def _policy(group: Group) -> InferencePolicy:
    """Return the group's policy with counts of replicas as counts of units."""
    scale = group.policy.activation_scale * group.units(group.tiers[0])
    return dataclasses.replace(group.policy, activation_scale=scale)


def deal(group: Group, order: Sequence[Tier], units: int) -> Deal:
    """
    Deal ``units`` of demand out to the tiers of ``order``, first come first served.

    Minimums are there anyway and serve first; a silent tier keeps what it has and takes no more.
    """
    reached = {tier.name: _ceiling(tier) for tier in order}
    reached |= {
        tier.name: _at_most(_ready(tier), _ceiling(tier)) for tier in order if not tier.is_available
    }
    planned = _filled(group, order, units, reached)
    missed = {
        tier.name: _filled(group, order, units, {**reached, tier.name: _ceiling(tier)})[tier.name]
        for tier in order
        if not tier.is_available
    }
    kept = _kept(group, order, units, planned)
    return Deal(planned=planned, kept=kept, missed=missed)


def _ready(tier: Tier) -> int:
    return tier.ready or 0


def _ceiling(tier: Tier) -> int | None:
    """Return the most a tier may have; None: no limit."""
    return _at_most(_ready(tier), tier.maximum) if tier.is_silent else tier.maximum


def _at_most(count: int, limit: int | None) -> int:
    return count if limit is None else min(count, limit)


def _filled(
    group: Group, order: Sequence[Tier], units: int, ceilings: Mapping[str, int | None]
) -> dict[str, int]:
    """Fill the tiers up in order, from their minimums to their ceilings (None: no limit)."""
    counts = {}
    for tier in order:
        floor = _ready(tier) if tier.is_silent else tier.minimum
        counts[tier.name] = _at_most(floor, ceilings[tier.name])
    left = units - sum(counts[tier.name] * group.units(tier) for tier in order)
    for tier in order:
        needed = max(0, -(-left // group.units(tier)))
        more = _at_most(counts[tier.name] + needed, ceilings[tier.name]) - counts[tier.name]
        counts[tier.name] += more
        left -= more * group.units(tier)
    return counts


def _kept(
    group: Group, order: Sequence[Tier], units: int, planned: Mapping[str, int]
) -> dict[str, int]:
    """
    Let tiers that shrink keep what the demand still needs until what is planned is ready.

    Ready replicas are kept first, then loading ones in place of what the *other* tiers lack: those
    are ready before any that were asked for now. A tier that finds no nodes has none of them.
    While one that serves does not say what, nobody shrinks: what it took over may be missing from
    the demand, whose average is older than its replicas.
    """
    counts = dict(planned)
    if any(tier.is_silent for tier in order):
        return {
            tier.name: max(counts[tier.name], _at_most(_ready(tier), tier.maximum))
            for tier in order
        }
    serving = sum(min(_ready(tier), planned[tier.name]) * group.units(tier) for tier in order)
    lacking = {
        tier.name: max(0, planned[tier.name] - _ready(tier)) * group.units(tier) for tier in order
    }
    left = units - serving
    for tier in order:
        left -= _keep(group, tier, counts, held=_ready(tier), units=left)
    for tier in order:
        others = sum(lacking.values()) - lacking[tier.name]
        held = _ready(tier) + (tier.loading if tier.is_available else 0)
        left -= _keep(group, tier, counts, held=held, units=min(left, others))
    return counts


def _keep(group: Group, tier: Tier, counts: dict[str, int], *, held: int, units: int) -> int:
    """Raise a tier's count towards what it holds for ``units`` that lack; return those it keeps."""
    needed = max(0, -(-units // group.units(tier)))
    more = min(needed, max(0, _at_most(held, tier.maximum) - counts[tier.name]))
    counts[tier.name] += more
    return more * group.units(tier)


def _steps(group: Group, own: Tier, demand: Demand, dealt: Deal) -> tuple[Step, ...]:
    """Return the tier's share, what it keeps for the others, and its probe."""
    name = own.name
    told = {
        "needed": demand.units / UNITS,
        "reason": demand.reason,
        "shares": ", ".join(f"{tier.name} {dealt.planned[tier.name]}" for tier in group.tiers),
    }
    detail = Said(
        "the group needs {needed:.2f} of its smallest replicas ({reason}), the cheapest first:"
        " {shares}",
        **told,
    )
    if demand.peak:
        detail = Said(
            "the group needs {needed:.2f} of its smallest replicas ({reason}), the preferred"
            " first: {shares}",
            **told,
        )
    steps = [Step(dealt.planned[name], Reason.TIER_SHARE, detail)]
    if dealt.kept[name] > dealt.planned[name]:
        silent = ", ".join(tier.name for tier in group.tiers if tier.is_silent)
        kept = dealt.kept[name]
        detail = Said("{kept} stay until the others have their shares ready", kept=kept)
        if silent:
            detail = Said("{kept} stay until {silent} reports", kept=kept, silent=silent)
        steps.append(Step(dealt.kept[name], Reason.TIER_SHARE, detail))
    if dealt.missed.get(name, 0) > dealt.kept[name]:
        detail = Said(
            "a pod has found no node for {waited_s:.0f} s, longer than the lead time: {kept} and"
            " one that probes, of {missed}",
            waited_s=own.unschedulable_s,
            kept=dealt.kept[name],
            missed=dealt.missed[name],
        )
        steps.append(Step(dealt.kept[name] + 1, Reason.TIER_PROBE, detail))
    return tuple(steps)
