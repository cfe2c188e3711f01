"""
What a source promises: the readings of workloads, as windows.

A source reads for all workloads at once (:meth:`Source.refresh`, once per tick) and then answers
for each from what it read (:meth:`Source.window`): the number of queries depends on metrics and
shards, never on the number of workloads.
"""

import dataclasses
import enum
from collections.abc import Collection, Iterator
from typing import Protocol

from scaler.decision.policy import Policy
from scaler.decision.pool import Node, Units
from scaler.decision.window import Window


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Which series are whose: what a trigger says about *what* is scaled."""

    namespace: str
    scaled_object: str
    kind: str = "Deployment"
    """Deployment, StatefulSet, LeaderWorkerSet, ReclaimableJob, …"""
    name: str
    """Name of the scale target."""
    target_stated: bool = True
    """False: kind and name are the guess "a Deployment of the ScaledObject's name", which the
    cluster's own word on the target may replace."""
    engine: str = "vllm"
    """A profile's name, or ``auto``."""
    selector: tuple[tuple[str, str], ...] = ()
    """Label matchers (name, value) that pick this workload's series instead of pod names."""
    gateway: str | None = None
    gateway_selector: tuple[tuple[str, str], ...] = ()
    arrival_query: str | None = None
    prometheus: str = "default"
    itl_buckets: bool = False
    """Read the whole histogram of inter-token latency: its target is a percentile."""
    ttft_buckets: bool = False
    """The same of time to first token."""
    direct_scrape_port: int | None = None
    """Port of its pods' own pages, to be read between two scrapes; None: they are not."""

    @property
    def key(self) -> str:
        """``namespace/scaledobject``: what KEDA calls it."""
        return f"{self.namespace}/{self.scaled_object}"


class Role(enum.StrEnum):
    """What a trigger scales."""

    INFERENCE = "inference"
    TRAINING = "training"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """
    One trigger of a ScaledObject, parsed: what is scaled, and by which policy.

    ``role: inference`` has an InferencePolicy, ``role: training`` a LendingPolicy and the pool's
    online workloads.
    """

    role: Role
    workload: Workload
    policy: Policy
    pool_members: tuple[str, ...] = ()
    """Training: the online workloads of the pool, ``namespace/scaledobject`` each."""
    pool_resource: str | None = None
    """Training: the extended resource that the pool's units are, where stated."""


class Source(Protocol):
    """
    Readings of workloads.

    :meth:`refresh` belongs to one event loop; what was read may be asked for on any other thread
    meanwhile, one at a time.
    """

    async def refresh(
        self,
        workloads: Collection[Workload],
        lookback_s: float,
        now_s: float,
        *,
        history_s: float = 0.0,
    ) -> None:
        """
        Read everything that is new for ``workloads``.

        At a workload's first call back to ``lookback_s`` in full and, where ``history_s`` is
        longer, back to it thinned.

        Raises:
            SourceError: nothing could be read; what was read before stays and grows old.
        """
        ...

    @property
    def is_complete(self) -> bool:
        """Whether everything was read that the last :meth:`refresh` asked for, history included."""
        ...

    @property
    def refused(self) -> int:
        """How many samples so far were no readings: beyond what any unit allows."""
        ...

    @property
    def asked_apart(self) -> int:
        """For how many namespaces alone a server is slow, so that nobody waits for them."""
        ...

    def assembling(self, workload: Workload, lookback_s: float, now_s: float) -> Iterator[None]:
        """
        Make what :meth:`window` is about to need, a little at each step; it raises nothing.

        A window of a thousand pods takes seconds the first time: between two steps others may be
        let in.
        """
        ...

    def window(
        self, workload: Workload, lookback_s: float, now_s: float, *, silent_s: float = 0.0
    ) -> Window:
        """
        Return what was read of a workload; the newest sample may have ended ``silent_s`` before.

        Raises:
            NoDataError: no sample, or the newest is too old; the message says which and how old.
            ConfigurationError: the workload is at odds with another one, or names an engine or
                a gateway that nobody knows.
        """
        ...

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        """
        Return the nodes that have an extended resource; empty where the cluster is unknown.

        Units in use are those that pods of the ``online`` workloads hold.
        """
        ...

    def units(self, resource: str | None, workload: Workload, now_s: float) -> Units:
        """
        Return the units of an extended resource that a workload's pods hold.

        ``resource`` is the pool's (``nvidia.com/gpu``); None: the accelerator that they ask for.
        """
        ...
