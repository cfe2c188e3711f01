"""
Whether the tiers of one demand measure it alike.

Tiers are several ScaledObjects with one ``tierGroup`` in one namespace; each counts requests, and
the cheapest says for all when the peak begins.
"""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from scaler.decision.policy import InferencePolicy

from .finding import METADATA, Finding, warning
from .scaled_object import ScaledObject
from .seen import Seen


@dataclasses.dataclass(frozen=True, slots=True)
class Tier:
    """One ScaledObject of a group."""

    object: ScaledObject
    policy: InferencePolicy

    @property
    def service_s(self) -> float | None:
        """Seconds per token of a request in a full replica; None: not stated."""
        cost, running = self.policy.step_cost, self.policy.max_concurrency
        return None if cost is None or running is None else cost.a_s + cost.b_s * running


def groups_of(seen: Iterable[Seen]) -> tuple[tuple[Tier, ...], ...]:
    """Return the groups of tiers among some objects, the cheapest tier of each first."""
    groups: dict[tuple[str, str], list[Tier]] = collections.defaultdict(list)
    for one in seen:
        if one.inference is not None and (group := one.inference[0].tier_group) is not None:
            groups[one.object.namespace, group].append(Tier(one.object, one.inference[0]))
    return tuple(
        tuple(sorted(tiers, key=lambda tier: tier.policy.tier_cost or 0.0))
        for tiers in groups.values()
    )


def findings(tiers: Sequence[Tier]) -> Iterator[tuple[ScaledObject, Finding]]:
    """Yield what is unwise in one group, with the object it is told of."""
    yield from _turning_back(tiers)
    yield from _unused_thresholds(tiers)


def _turning_back(tiers: Sequence[Tier]) -> Iterator[tuple[ScaledObject, Finding]]:
    """Yield thresholds closer together than the same traffic looks on the tiers' GPUs."""
    known = [service_s for tier in tiers if (service_s := tier.service_s) is not None]
    if not known:
        return
    cheapest, ratio = tiers[0], max(known) / min(known)
    above, below = cheapest.policy.tier_peak_above, cheapest.policy.tier_peak_below
    if ratio <= above / below:
        return
    yield (
        cheapest.object,
        warning(
            f"{METADATA}tierPeakBelow",
            f"by their stepCost a request stays {ratio:.1f} times as long on the slowest tier as "
            f"on the fastest, and as many fewer are seen once the fast one takes over: below "
            f"{below:g} at the traffic that rose above {above:g}, so that the order turns back. "
            f"State less than {above / ratio:.2f}, or maxConcurrency in proportion to what the "
            "GPUs complete",
        ),
    )


def _unused_thresholds(tiers: Sequence[Tier]) -> Iterator[tuple[ScaledObject, Finding]]:
    cheapest = tiers[0]
    ruling = (cheapest.policy.tier_peak_above, cheapest.policy.tier_peak_below)
    for tier in tiers[1:]:
        stated = {"tierPeakAbove", "tierPeakBelow"} & tier.object.our_triggers[0].metadata.keys()
        own = (tier.policy.tier_peak_above, tier.policy.tier_peak_below)
        if stated and own != ruling:
            yield (
                tier.object,
                warning(
                    f"{METADATA}{min(stated)}",
                    f"not read: the cheapest tier ({cheapest.object.name}) says for the group when "
                    f"the peak begins and ends ({ruling[0]:g} and {ruling[1]:g})",
                ),
            )
