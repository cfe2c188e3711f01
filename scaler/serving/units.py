"""
Who holds which unit of a pool: GPUs, MIG slices or shares, over the whole pool and node by node.

Counting, nothing else: what is shown adds up to the units there are, and what the cluster does not
tell is shown as unknown rather than as free.
"""

import dataclasses
import enum
from collections.abc import Mapping, Sequence

from scaler.decision.decision import Decision
from scaler.decision.policy import LendingPolicy, Policy
from scaler.decision.pool import Member, Node, PoolWindow


class Use(enum.StrEnum):
    """What a unit is used for; the order is the one in which units are drawn."""

    SERVING = "serving"
    LOADING = "loading"
    LENT = "lent"
    RECLAIMING = "reclaiming"
    RESERVED = "reserved"
    FREE = "free"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Units that are drawn side by side: a node's, or the whole pool's."""

    name: str
    """The node; empty: the whole pool."""
    uses: tuple[tuple[Use, int], ...]
    """Units by use, none of them zero, in the order of :class:`Use`."""
    schedulable: bool = True

    @property
    def units(self) -> int:
        """All units of the strip."""
        return sum(count for _, count in self.uses)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A pool at one instant."""

    whole: Strip
    nodes: tuple[Strip, ...]
    """Empty: the cluster does not tell."""


def picture(
    pool: PoolWindow,
    policy: LendingPolicy,
    decision: Decision | None,
    lent_on: Sequence[Node] = (),
) -> Picture:
    """
    Return who holds what; ``lent_on`` are the nodes with what the borrower's pods hold there.

    Units are reserved while they are free and may not be lent. A node's are reclaiming where all
    workers are to go; of some of them nobody knows here which those are.
    """
    wanted = None if decision is None else decision.replicas
    borrowed = Use.RECLAIMING if wanted == 0 else Use.LENT
    of_borrower = {node.name: node.units_in_use for node in lent_on}
    return Picture(
        whole=_whole(pool, policy, wanted),
        nodes=tuple(_node(node, of_borrower, borrowed, known=bool(lent_on)) for node in pool.nodes),
    )


def units_by_use(subject: object, policy: Policy, decision: Decision) -> dict[str, int]:
    """Return a borrower's pool as a count for every use, zero included; {}: it is no borrower."""
    if not isinstance(subject, PoolWindow) or not isinstance(policy, LendingPolicy):
        return {}
    counts = dict(_whole(subject, policy, decision.replicas).uses)
    return {use.value: counts.get(use, 0) for use in Use}


def _whole(pool: PoolWindow, policy: LendingPolicy, wanted: int | None) -> Strip:
    held = [_held(member) for member in pool.members]
    known = [one for one in held if one is not None]
    serving, loading = sum(s for s, _ in known), sum(b for _, b in known)
    workers = None if pool.workers is None else pool.workers * policy.units_per_worker
    stay = None if wanted is None else wanted * policy.units_per_worker
    lent = workers or 0
    leaving = max(0, lent - stay) if stay is not None else 0
    free = max(0, policy.pool_units - serving - loading - lent)
    is_known = workers is not None and len(known) == len(held)
    reserved = min(free, max(0, policy.reserved_units - serving - loading)) if is_known else 0
    return _strip(
        "",
        {
            Use.SERVING: serving,
            Use.LOADING: loading,
            Use.LENT: lent - leaving,
            Use.RECLAIMING: leaving,
            Use.RESERVED: reserved,
            Use.FREE if is_known else Use.UNKNOWN: free - reserved,
        },
    )


def _held(member: Member) -> tuple[int, int] | None:
    """Return the units that serve and those that start or end; None: not known."""
    if member.window is None:
        return None
    now, each = member.window.latest, member.units_per_replica
    if now.ready is None or each is None:
        return None
    moving = (now.loading_replicas or 0) + (now.terminating_replicas or 0)
    return now.ready * each, moving * each


def _node(node: Node, of_borrower: Mapping[str, int], borrowed: Use, *, known: bool) -> Strip:
    lent = of_borrower.get(node.name, 0)
    rest = max(0, node.units - node.units_in_use - lent)
    uses = {
        Use.SERVING: node.units_in_use,
        borrowed: lent,
        Use.FREE if known and node.schedulable else Use.UNKNOWN: rest,
    }
    return _strip(node.name, uses, schedulable=node.schedulable)


def _strip(name: str, uses: Mapping[Use, int], *, schedulable: bool = True) -> Strip:
    told = tuple((use, uses[use]) for use in Use if uses.get(use, 0) > 0)
    return Strip(name=name, uses=told, schedulable=schedulable)
