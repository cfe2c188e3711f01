"""
Replicas of one engine behind a gateway that routes each request to the least loaded.

A pod is pending until a node has its units, loads for its cold start, serves, and drains when it
is deleted: it gets no new requests, answers what it has, and loses what is left when its grace
is over.

What must stay true: a request is at the gateway, in one replica, finished or failed; deletion
takes pods in the order a ReplicaSet does (unscheduled, then loading, then the youngest ready).
"""

import dataclasses
import enum
import functools
from collections import deque
from collections.abc import Callable

from .engine import Engine, EngineConfig
from .request import Request


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FleetConfig:
    """One Deployment of engine replicas."""

    name: str
    engine: EngineConfig
    service: str = "llm"
    """The gateway it stands behind; several fleets (tiers) may share one."""
    namespace: str = "default"
    model: str = "simulated"
    """Name under which the model is served."""
    pool: str = "gpu"
    units_per_replica: int = 1
    cold_start_s: float = 60.0
    """Median time from being scheduled to ready: pull, load weights, warm up."""
    cold_start_sigma: float = 0.0
    """Spread of the logarithm of the cold start; 0: always the same."""
    drain_grace_s: float = 120.0
    """How long a deleted pod may answer what it has; 0: it aborts at once, as vLLM does on
    SIGTERM without a preStop hook."""


class Phase(enum.StrEnum):
    """Where a replica stands between being created and being gone."""

    PENDING = "Pending"
    LOADING = "Loading"
    READY = "Ready"
    DRAINING = "Draining"
    GONE = "Gone"


class Replica:
    """One pod of a fleet."""

    __slots__ = (
        "created_s",
        "deleted_s",
        "engine",
        "fleet",
        "name",
        "node",
        "phase",
        "ready_s",
        "scheduled_s",
        "slot",
        "turn",
    )

    def __init__(
        self,
        *,
        name: str,
        fleet: FleetConfig,
        created_s: float,
        finished: "Callable[[Replica, Request], None]",
        turn: "Callable[[Replica, float], None]",
    ) -> None:
        self.name = name
        self.fleet = fleet
        self.created_s = created_s
        self.scheduled_s: float | None = None
        self.ready_s: float | None = None
        self.deleted_s: float | None = None
        """When it was deleted; it exists until it is drained."""
        self.node: str | None = None
        self.phase = Phase.PENDING
        self.slot = -1
        """Its place among the gateway's routable replicas; -1: not routable."""
        self.engine = Engine(fleet.engine, functools.partial(finished, self))
        self.turn: Callable[[float], None] = functools.partial(turn, self)


class Gateway:
    """
    Routes to the routable replica with the fewest open requests; holds requests while none is.

    Attributes:
        held: requests that no replica could take yet, oldest first.
        arrived_total: requests that came in.
        draining_open: open requests in replicas that no longer take any.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.held: deque[Request] = deque()
        self.arrived_total = 0
        self.draining_open = 0
        self._replicas: list[Replica] = []
        self._open: list[int] = []
        self._next = 0

    @property
    def in_flight(self) -> int:
        """Requests between arrival and answer, wherever they are."""
        return len(self.held) + sum(self._open) + self.draining_open

    def pick(self) -> Replica | None:
        """Return the replica for the next request, ties in turn, and count it there."""
        opened = self._open
        if not opened:
            return None
        least = min(opened)
        try:
            slot = opened.index(least, self._next)
        except ValueError:
            slot = opened.index(least)
        self._next = slot + 1
        opened[slot] = least + 1
        return self._replicas[slot]

    def done(self, replica: Replica) -> None:
        """Count one open request less at a replica."""
        if replica.slot >= 0:
            self._open[replica.slot] -= 1
        else:
            self.draining_open -= 1

    def join(self, replica: Replica) -> None:
        """Begin to route to a replica that has become ready."""
        replica.slot = len(self._replicas)
        self._replicas.append(replica)
        self._open.append(replica.engine.open_requests)

    def leave(self, replica: Replica) -> None:
        """Route no more to a replica; what it has stays with it."""
        if replica.slot < 0:
            return
        self.draining_open += self._open.pop(replica.slot)
        self._replicas.pop(replica.slot)
        replica.slot = -1
        for slot, other in enumerate(self._replicas):
            other.slot = slot


@dataclasses.dataclass(slots=True, kw_only=True)
class Fleet:
    """A Deployment: what is wanted, what exists, and what it has cost so far."""

    config: FleetConfig
    gateway: Gateway
    spec_replicas: int = 0
    replicas: dict[str, Replica] = dataclasses.field(default_factory=dict)
    """Every pod that exists, by name, in order of creation."""
    created_total: int = 0
    most_replicas: int = 0
    scale_events: int = 0
    unit_seconds: float = 0.0
    """Unit-seconds of pods that are gone."""
    startup_s: deque[float] = dataclasses.field(default_factory=lambda: deque(maxlen=50))
    """Creation-to-ready times of the pods that became ready last, seconds."""

    def count(self, *phases: Phase) -> int:
        """Return how many pods are in any of some phases."""
        return sum(1 for replica in self.replicas.values() if replica.phase in phases)

    @property
    def ready(self) -> int:
        """Pods that serve."""
        return self.count(Phase.READY)

    @property
    def living(self) -> list[Replica]:
        """Pods that are not being deleted, in the order in which a ReplicaSet would delete."""
        rank = {Phase.PENDING: 0, Phase.LOADING: 1, Phase.READY: 2}
        alive = [replica for replica in self.replicas.values() if replica.phase in rank]
        newest_first = sorted(alive, key=lambda r: (r.created_s, r.name), reverse=True)
        return sorted(
            newest_first,
            key=lambda r: (rank[r.phase], 0.0 if r.ready_s is None else -r.ready_s),
        )

    @property
    def held_units(self) -> int:
        """Units that its pods hold, loading and draining ones included."""
        placed = sum(1 for replica in self.replicas.values() if replica.node is not None)
        return placed * self.config.units_per_replica

    def held_unit_seconds(self, now_s: float) -> float:
        """Return the unit-seconds that pods have held up to an instant."""
        held = self.unit_seconds
        for replica in self.replicas.values():
            if replica.scheduled_s is not None:
                held += (now_s - replica.scheduled_s) * self.config.units_per_replica
        return held

    @property
    def waiting(self) -> int:
        """Requests that wait in its engines."""
        return sum(len(replica.engine.waiting) for replica in self.replicas.values())
