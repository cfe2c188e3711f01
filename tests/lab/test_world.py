"""A world that keeps pace, and one that is N times as fast."""

import asyncio
import dataclasses

import pytest

from scaler.lab import scene
from scaler.lab.gpus import GpuModel, Gpus
from scaler.lab.world import (
    FleetTarget,
    JobTarget,
    World,
    faster,
    faster_slo,
    faster_traffic,
    in_true_time,
)
from scaler.simulation.cluster import Cluster
from scaler.simulation.score import Outcomes, Slo
from scaler.simulation.traffic import Arrival

SPEED = 10.0


def run(speed):
    """Return the score, in true durations, of a small day at a speed."""
    config = faster(scene.cluster(seed=3), speed)
    world = Cluster(config, Outcomes(faster_slo(Slo(), speed)))
    arrivals = [Arrival(0.05 * n, 200 + n % 900, 20 + n % 300) for n in range(3000)]
    world.feed(scene.FLEET, faster_traffic(arrivals, speed))
    world.start_ready(scene.FLEET, 1)
    world.set_workers(scene.JOB, 3)
    for true_s, replicas, workers in ((40, 3, 1), (90, 2, 0), (300, 2, 0)):
        world.advance(true_s / speed)
        world.set_replicas(scene.FLEET, replicas)
        world.set_workers(scene.JOB, workers)
    return in_true_time(world.score(), speed)


def test_a_faster_world_is_the_same_world_in_true_time():
    slow, fast = run(1.0), run(SPEED)
    assert fast.requests == slow.requests == 3000
    assert fast.gpu_hours == pytest.approx(slow.gpu_hours, rel=1e-6)
    assert fast.training_gpu_hours == pytest.approx(slow.training_gpu_hours, rel=1e-6)
    assert fast.slo_attainment == pytest.approx(slow.slo_attainment, abs=0.002)
    for one, other in ((fast.ttft_s, slow.ttft_s), (fast.itl_s, slow.itl_s)):
        assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(other), rel=0.02)


class Clock:
    def __init__(self) -> None:
        self.now_s = 5000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def paced(world, clock):
    return World(world, Gpus(world, GpuModel()), clock=clock)


def test_the_cluster_follows_the_clock_and_never_goes_back(paced, clock):
    clock.now_s += 12.5
    assert paced.catch_up() == 12.5
    clock.now_s -= 3
    assert paced.catch_up() == 12.5


async def test_a_world_runs_until_its_end(paced, clock):
    running = asyncio.create_task(paced.run(until_s=30.0))
    await asyncio.sleep(0)
    assert not running.done()
    clock.now_s += 30.0
    await asyncio.wait_for(running, 5)


def test_targets_count_as_a_scale_subresource_does(paced, clock):
    fleet, job = FleetTarget(paced, "chat"), JobTarget(paced, "finetune")
    fleet.scale(3)
    job.scale(2)
    clock.now_s += 30
    paced.catch_up()
    assert (fleet.spec(), fleet.status(), fleet.ready()) == (3, 3, 3)
    assert (job.spec(), job.status(), job.ready()) == (2, 2, 1)  # of four GPUs
