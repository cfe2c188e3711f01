"""
Load that comes in waves and bursts, seeded, and fronts of it: what is in SLO at which GPU-hours.

A claim that one thing is better than another holds at an equal share in SLO or at equal GPU-hours,
and nowhere else: the one that holds more replicas wins any other comparison. So each is played with
several targets, and compared by the fewest GPU-hours that reach a share.
"""

import dataclasses
import math
import random
from collections.abc import Iterator, Sequence

from benchmarks.claim_traffic import safe_rps
from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.policy import InferencePolicy
from scaler.simulation.cluster import ClusterConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.keda import kvtide
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.presets import ENGINE_8B_H100
from scaler.simulation.simulate import Lender, Run, Setup, simulate
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled
from scaler.simulation.training import TrainingConfig

SEEDS = (1, 2, 3, 4, 5)
WARM_UP_S, LENGTH_S = 1800.0, 5400.0
GPUS = 24
TARGETS = (0.95, 0.8, 0.7, 0.55, 0.4, 0.3, 0.2)
"""Utilisations that a replica is sized for; lower ones keep more capacity ready."""
DOCUMENTS = (Lengths(mean_tokens=6000, sigma=0.6), Lengths(mean_tokens=600, sigma=0.6))
"""Long prompts and answers: few requests for the load that they are."""


def waves(seed: int) -> list[Arrival]:
    """
    Return two hours of requests: two to four replicas' worth, and bursts on top of it.

    A burst comes every ten minutes on average, lasts two to six, and is one to three more.
    """
    rng, bursts, at_s = random.Random(seed), list[tuple[float, float, float]](), 0.0
    while (at_s := at_s + rng.expovariate(1 / 600)) < WARM_UP_S + LENGTH_S:
        bursts.append((at_s, at_s + rng.uniform(120, 360), rng.uniform(1, 3)))
    return list(sampled(_rates(bursts), seed))


def _rates(bursts: Sequence[tuple[float, float, float]]) -> Iterator[Rate]:
    each = 0.8 * safe_rps(DOCUMENTS)
    for start_s in range(0, int(WARM_UP_S + LENGTH_S), 10):
        wave = 3 + math.sin(2 * math.pi * start_s / 3600)
        burst = sum(height for begin, end, height in bursts if begin <= start_s < end)
        yield Rate(
            start_s=start_s,
            end_s=start_s + 10,
            per_s=each * (wave + burst),
            prompt=DOCUMENTS[0],
            output=DOCUMENTS[1],
        )


def played(
    arrivals: Sequence[Arrival],
    *,
    target: float,
    cold_start_s: float,
    lender: Lender | None = None,
    job: TrainingConfig | None = None,
) -> Run:
    """Return kvtide's run on a pool of :data:`GPUS`, behind KEDA and the HPA."""
    fleet = FleetConfig(name="llm", engine=ENGINE_8B_H100, cold_start_s=cold_start_s)
    setup = Setup(
        cluster=ClusterConfig(
            nodes=(NodeConfig(name="gpus", units=GPUS),),
            fleets=(fleet,),
            jobs=() if job is None else (job,),
        ),
        length_s=LENGTH_S,
        warm_up_s=WARM_UP_S,
        replicas=4,
        max_replicas=GPUS,
        scrape_s=15.0,
    )
    scaler = kvtide("kvtide", policy_at(target), max_replicas=GPUS)
    return simulate(setup, arrivals, scaler, lender=lender)


def policy_at(target: float) -> InferencePolicy:
    """Return the defaults but for the target."""
    return InferencePolicy(
        max_replicas=GPUS,
        itl_target=LatencyTarget(seconds=0.1),
        ttft_target=LatencyTarget(seconds=2.0),
        target_utilization=target,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Front:
    """What a way reaches, one point (GPU-hours, share in SLO) for each target."""

    points: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Front":
        """Return the points of one way's runs."""
        return cls(tuple((one.score.gpu_hours, one.score.slo_attainment or 0.0) for one in runs))

    def hours_for(self, share: float) -> float | None:
        """Return the fewest GPU-hours that reached a share in SLO; None: none of them did."""
        return min((hours for hours, reached in self.points if reached >= share), default=None)


def spread(values: Sequence[float | None], form: str) -> str:
    """Return the mean of the seeds and half their spread; and how many could not tell."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    middle, half = sum(known) / len(known), (max(known) - min(known)) / 2
    missing = f" ({len(known)} of {len(values)} seeds)" if len(known) < len(values) else ""
    return f"{middle:{form}} ± {half:{form.lstrip('+')}}{missing}"
