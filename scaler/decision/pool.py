"""A pool of GPUs, MIG slices or shares, and the workloads that live on it, at one instant."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from scaler.said import Said, joined

from .facts.columns import Array
from .policy import InferencePolicy
from .window import Window


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Units of the pool that a workload's pods hold, as the cluster tells."""

    per_replica: int | None = None
    """What one replica holds, what it shares with others included; None: not known."""
    shared: int = 0
    """Of it, what all replicas hold together (a ResourceClaim of several pods)."""
    in_use: int = 0
    """What all of its pods hold now, shared units once."""
    why: str = ""
    """Why it is not known what a replica holds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An online workload of a pool, or one tier of a group."""

    name: str
    """``namespace/scaledobject``."""
    policy: InferencePolicy | None
    """None: named by the pool, but never heard of since the start."""
    window: Window | None
    """None: no fresh readings."""
    silent_since_s: float | None = None
    """Since when its readings have been missing, Unix seconds; None: they are fresh, or it was
    never heard of."""
    asked_at: str | None = None
    """The address of another scaler that KEDA asks about it, where the cluster tells."""
    units: Units = Units()
    """What the cluster tells of its pods."""

    @property
    def units_per_replica(self) -> int | None:
        """Units that one replica holds: stated, else what its pods ask for; None: not known."""
        stated = None if self.policy is None else self.policy.units_per_replica
        return stated or self.units.per_replica

    def units_of(self, replicas: int) -> int | None:
        """Return the units that so many replicas hold; None: not known, and there are some."""
        (units,) = self.units_of_each(np.array([float(replicas)])).tolist()
        return None if math.isnan(units) else int(units)

    def units_of_each(self, replicas: Array) -> Array:
        """Return the units that each of some counts of replicas hold; NaN: not known."""
        each = self.units_per_replica
        if each is None:
            return np.where(replicas > 0, np.nan, replicas)
        shared = min(each, self.units.shared)
        return np.where(replicas > 0, shared + replicas * (each - shared), replicas)


def unheard(members: Iterable[Member]) -> Said:
    """Return the names of members nobody is asked about, and whom KEDA asks about them instead."""
    return joined(
        ", ",
        (
            one.name
            if one.asked_at is None
            else Said("{name} (KEDA asks {address})", name=one.name, address=one.asked_at)
            for one in members
        ),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the pool: its allocatable units and whether it may take a worker."""

    name: str
    units: int
    schedulable: bool = True
    """False: cordoned, NotReady or being reclaimed by the cloud."""
    units_in_use: int = 0
    """Units held by pods of the online workloads, terminating ones included."""
    units_starting: int = 0
    """Of those, units of pods that are not ready yet, or no more; for people."""
    units_ending: int = 0
    """Of those, units of pods that are terminating; for people."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolWindow:
    """A pool at one instant, with the windows of its members."""

    at_s: float
    """The end of the newest bucket of any member, Unix seconds."""
    members: tuple[Member, ...]
    """At least one."""
    nodes: tuple[Node, ...] = ()
    """Empty: the cluster does not tell; units then count as one heap."""
    workers: int | None = None
    """Workers of the borrower that exist now; None: not known."""
    asked: int | None = None
    """Workers that the borrower's target asks for now (``spec.replicas``); None: not known."""
    workers_since_s: float | None = None
    """Since when the borrower has run at its present size, Unix seconds."""
    reclaim_s: float | None = None
    """How long the borrower's reclaims take, seconds; None: not known."""
    read_s: float | None = None
    """The time of the members' newest reading, Unix seconds; None: the end of its bucket."""

    def __post_init__(self) -> None:
        """A pool without online workloads has no online load to lend by."""
        if not self.members:
            raise ValueError("a pool has at least one online workload")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierWindow:
    """A group of tiers seen from one of them."""

    member: str
    """The tier that asks, by its ``namespace/scaledobject``."""
    members: tuple[Member, ...]
    """Every tier of the group, this one included."""
