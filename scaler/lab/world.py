"""
A simulated cluster that keeps pace with a clock.

At speed N the cluster is built N times as fast (an engine's steps, cold starts, checkpoints, all
take an Nth) and lives in the clock's own seconds: pages, samples and rates then need no conversion,
and only what is told to a person is multiplied back.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from scaler.decision.policy import StepCost
from scaler.simulation.cluster import Cluster, ClusterConfig
from scaler.simulation.fleet import FleetConfig, Phase
from scaler.simulation.score import Latency, Score, Slo
from scaler.simulation.traffic import Arrival
from scaler.simulation.training import TrainingConfig

from .gpus import Gpus

_TICK_S = 0.05
_GPU_COLLECTION_S = 1.0


class World:
    """
    Lets a cluster follow a clock.

    Attributes:
        started_s: Unix time at which the cluster's time was zero.
    """

    def __init__(self, cluster: Cluster, gpus: Gpus, *, clock: Callable[[], float]) -> None:
        self.cluster = cluster
        self.started_s = clock()
        self._gpus = gpus
        self._clock = clock

    def begin(self) -> None:
        """Let the cluster's time, which is still zero, be now."""
        self.started_s = self._clock()

    def catch_up(self) -> float:
        """Bring the cluster to now; return its time, seconds since it started."""
        now_s = self._clock() - self.started_s
        if now_s > self.cluster.now_s:
            self.cluster.advance(now_s)
        return self.cluster.now_s

    async def run(self, until_s: float) -> None:
        """Keep pace until the cluster's time is ``until_s``."""
        next_collection_s = 0.0
        while (now_s := self.catch_up()) < until_s:
            self.cluster.waiting()
            if now_s >= next_collection_s:
                self._gpus.collect()
                next_collection_s = now_s + _GPU_COLLECTION_S
            await asyncio.sleep(_TICK_S)


class ScaleTarget(Protocol):
    """What has a scale subresource."""

    def spec(self) -> int:
        """Return ``.spec.replicas``."""
        ...

    def status(self) -> int:
        """Return ``.status.replicas``: pods that exist and are not being deleted."""
        ...

    def ready(self) -> int:
        """Return how many of them are ready."""
        ...

    def scale(self, replicas: int) -> None:
        """Write ``.spec.replicas``."""
        ...


class FleetTarget:
    """The Deployment of a fleet."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    def spec(self) -> int:
        """Return ``.spec.replicas``."""
        return self._world.cluster.fleets[self._name].spec_replicas

    def status(self) -> int:
        """Return how many pods there are."""
        return len(self._world.cluster.fleets[self._name].living)

    def ready(self) -> int:
        """Return how many pods serve."""
        return self._world.cluster.fleets[self._name].count(Phase.READY)

    def scale(self, replicas: int) -> None:
        """Write ``.spec.replicas``."""
        self._world.catch_up()
        self._world.cluster.set_replicas(self._name, replicas)


class JobTarget:
    """The workers of a training job."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    def spec(self) -> int:
        """Return how many workers are wanted."""
        return self._world.cluster.jobs[self._name].spec_workers

    def status(self) -> int:
        """Return how many workers there are."""
        return len(self._world.cluster.jobs[self._name].living(self._world.cluster.now_s))

    def ready(self) -> int:
        """Return how many workers run."""
        return self._world.cluster.jobs[self._name].running

    def scale(self, replicas: int) -> None:
        """Write how many workers are wanted."""
        self._world.catch_up()
        self._world.cluster.set_workers(self._name, replicas)


# N times as fast


def faster(config: ClusterConfig, speed: float) -> ClusterConfig:
    """Return the same cluster with every duration divided by ``speed``."""
    return dataclasses.replace(
        config,
        fleets=tuple(_faster_fleet(fleet, speed) for fleet in config.fleets),
        jobs=tuple(_faster_job(job, speed) for job in config.jobs),
    )


def _faster_fleet(fleet: FleetConfig, speed: float) -> FleetConfig:
    cost = fleet.engine.step_cost
    quick = StepCost(a_s=cost.a_s / speed, b_s=cost.b_s / speed, c_s=cost.c_s / speed)
    return dataclasses.replace(
        fleet,
        engine=dataclasses.replace(fleet.engine, step_cost=quick),
        cold_start_s=fleet.cold_start_s / speed,
        drain_grace_s=fleet.drain_grace_s / speed,
    )


def _faster_job(job: TrainingConfig, speed: float) -> TrainingConfig:
    return dataclasses.replace(
        job,
        startup_s=job.startup_s / speed,
        checkpoint_every_s=job.checkpoint_every_s / speed,
        checkpoint_s=job.checkpoint_s / speed,
        grace_s=job.grace_s / speed,
    )


def faster_slo(slo: Slo, speed: float) -> Slo:
    """Return the same objective for a cluster that is ``speed`` times as fast."""
    return Slo(
        ttft_least_s=slo.ttft_least_s / speed,
        ttft_base_s=slo.ttft_base_s / speed,
        ttft_per_prompt_token_s=slo.ttft_per_prompt_token_s / speed,
        itl_s=slo.itl_s / speed,
    )


def faster_traffic(arrivals: Iterable[Arrival], speed: float) -> Iterator[Arrival]:
    """Return the same requests, arriving ``speed`` times as fast."""
    return (arrival._replace(at_s=arrival.at_s / speed) for arrival in arrivals)


def in_true_time(score: Score, speed: float) -> Score:
    """Return the score of a cluster that was ``speed`` times as fast, in true durations."""
    return dataclasses.replace(
        score,
        gpu_hours=score.gpu_hours * speed,
        training_gpu_hours=score.training_gpu_hours * speed,
        training_lost_gpu_hours=score.training_lost_gpu_hours * speed,
        ttft_s=_slower(score.ttft_s, speed),
        itl_s=_slower(score.itl_s, speed),
        reclaim_s=_slower(score.reclaim_s, speed),
    )


def _slower(latency: Latency, speed: float) -> Latency:
    return Latency(
        p50=None if latency.p50 is None else latency.p50 * speed,
        p95=None if latency.p95 is None else latency.p95 * speed,
        p99=None if latency.p99 is None else latency.p99 * speed,
    )
