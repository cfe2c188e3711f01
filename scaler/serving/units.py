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

    Units are reserved while they are free and may not be lent. They are no particular ones: of the
    nodes, those with the fewest free units are drawn with them first. A node's are reclaiming where
    their workers are terminating, and all of them where all workers are to go.
    """
    wanted = None if decision is None else decision.replicas
    whole = _whole(pool, policy, wanted)
    of_borrower = {node.name: node for node in lent_on}
    nodes = [
        _node(node, of_borrower.get(node.name), to_go=wanted == 0, known=bool(lent_on))
        for node in pool.nodes
    ]
    return Picture(
        whole=whole,
        nodes=tuple(_with_reserved(nodes, dict(whole.uses).get(Use.RESERVED, 0))),
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


def _node(node: Node, of_borrower: Node | None, *, to_go: bool, known: bool) -> Strip:
    lent = 0 if of_borrower is None else of_borrower.units_in_use
    leaving = lent if to_go or of_borrower is None else min(lent, of_borrower.units_ending)
    moving = min(node.units_in_use, node.units_starting + node.units_ending)
    rest = max(0, node.units - node.units_in_use - lent)
    uses = {
        Use.SERVING: node.units_in_use - moving,
        Use.LOADING: moving,
        Use.LENT: lent - leaving,
        Use.RECLAIMING: leaving,
        Use.FREE if known and node.schedulable else Use.UNKNOWN: rest,
    }
    return _strip(node.name, uses, schedulable=node.schedulable)


def _with_reserved(nodes: Sequence[Strip], reserved: int) -> list[Strip]:
    """Return the nodes in their order, with so many of their free units as reserved ones."""
    kept: dict[str, int] = {}
    for node in sorted(nodes, key=lambda one: dict(one.uses).get(Use.FREE, 0)):
        kept[node.name] = min(reserved, dict(node.uses).get(Use.FREE, 0))
        reserved -= kept[node.name]
    return [
        _strip(
            node.name,
            {
                **(uses := dict(node.uses)),
                Use.FREE: uses.get(Use.FREE, 0) - kept[node.name],
                Use.RESERVED: kept[node.name],
            },
            schedulable=node.schedulable,
        )
        for node in nodes
    ]


def _strip(name: str, uses: Mapping[Use, int], *, schedulable: bool = True) -> Strip:
    told = tuple((use, uses[use]) for use in Use if uses.get(use, 0) > 0)
    return Strip(name=name, uses=told, schedulable=schedulable)
