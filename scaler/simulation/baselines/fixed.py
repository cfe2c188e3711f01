"""What a policy is compared with: the same requests, served by a fleet whose size never changes."""

from collections.abc import Iterable

from scaler.simulation.cluster import Cluster, ClusterConfig
from scaler.simulation.score import Outcomes, Score, Slo
from scaler.simulation.simulate import View
from scaler.simulation.traffic import Arrival

_LOOK_S = 5.0
_DRAIN_S = 600.0


def fixed_fleet(
    config: ClusterConfig,
    arrivals: Iterable[Arrival],
    *,
    slo: Slo,
    replicas: int,
    length_s: float,
    workers: int = 0,
) -> Score:
    """
    Return the score of ``replicas`` replicas of the first fleet over ``length_s`` seconds.

    ``workers`` of the first training job run beside them throughout. Requests that are still open
    at the end are waited for, ten minutes at most; GPU-hours count to the end alone.
    """
    world = Cluster(config, Outcomes(slo))
    fleet = config.fleets[0]
    world.start_ready(fleet.name, replicas)
    if workers and config.jobs:
        world.set_workers(config.jobs[0].name, workers)
    world.feed(fleet.service, arrivals)
    steps = max(1, round(length_s / _LOOK_S))
    for step in range(1, steps + 1):
        world.advance(length_s * step / steps)
        world.waiting()
    at_the_end = world.score()
    while not world.idle and world.now_s < length_s + _DRAIN_S:
        world.advance(world.now_s + _LOOK_S)
    return world.score().costing(at_the_end)


class FixedFleet:
    """A fleet whose size nobody changes."""

    every_s = 60.0
    lookback_s = 0.0
    history_s = 0.0

    def __init__(self, *, replicas: int) -> None:
        self.name = f"fixed {replicas}"
        self._replicas = replicas

    def act(self, view: View) -> int:  # noqa: ARG002 -- it looks at nothing
        """Return the same count."""
        return self._replicas
