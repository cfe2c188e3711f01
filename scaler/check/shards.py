"""
Whether what is decided on together is asked of one scaler.

A pool reads its members' workloads, a tier those of its group: a scaler knows only what KEDA asks
it about. Where a ``scalerAddress`` names another shard, nothing is lent, and every tier holds.
"""

from collections.abc import Iterator, Sequence

from .finding import METADATA, Finding, error
from .scaled_object import ScaledObject
from .seen import Seen
from .tiers import Tier

_FIELD = f"{METADATA}scalerAddress"


def of_pools(seen: Sequence[Seen]) -> Iterator[tuple[ScaledObject, Finding]]:
    """Yield pools whose members another scaler is asked about."""
    by_key = {one.object.key: one for one in seen}
    for pool in seen:
        members = () if pool.trigger is None else pool.trigger.pool_members
        for member in (by_key[name].object for name in members if name in by_key):
            if _host(member) != _host(pool.object):
                yield (
                    pool.object,
                    error(
                        _FIELD,
                        f"{_address(pool.object)}, and of its member {member.key} KEDA asks "
                        f"{_address(member)}: nothing is lent. Members of a pool share its scaler",
                    ),
                )


def of_tiers(tiers: Sequence[Tier]) -> Iterator[tuple[ScaledObject, Finding]]:
    """Yield tiers of one group that another scaler is asked about than the cheapest."""
    cheapest = tiers[0].object
    for tier in tiers[1:]:
        if _host(tier.object) != _host(cheapest):
            yield (
                tier.object,
                error(
                    _FIELD,
                    f"{_address(tier.object)}, and of {cheapest.name} of the same tierGroup KEDA "
                    f"asks {_address(cheapest)}: both hold. Tiers of a group share one scaler",
                ),
            )


def _address(scaled: ScaledObject) -> str:
    return str(scaled.our_triggers[0].metadata.get("scalerAddress", ""))


def _host(scaled: ScaledObject) -> str:
    """Return an address as DNS has it: the cluster's own end of a name says nothing more."""
    host, colon, port = _address(scaled).lower().rpartition(":")
    return host.removesuffix(".cluster.local").removesuffix(".svc") + colon + port
