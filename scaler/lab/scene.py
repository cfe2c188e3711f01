"""
What the demo plays: a pool of GPUs, a chat model on it, training that borrows, and their objects.

Durations here are true ones; at speed N each is divided by N before it is played. What cannot be
shorter (a scrape, the shortest window a policy takes) stays as long as it must and is named.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping

from scaler.configuration import Configuration, Pool
from scaler.decision.policy import StepCost
from scaler.simulation.cluster import ClusterConfig
from scaler.simulation.engine import EngineConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.hpa import wide_open
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.scaled_object import ScaledObjectConfig
from scaler.simulation.score import Slo
from scaler.simulation.traffic import Arrival, Lengths, Rate, day, sampled
from scaler.simulation.training import TrainingConfig

from .gateway_page import host_of

NAMESPACE = "llm"
FLEET = "chat"
JOB = "finetune"
POOL = "gpus"
UNITS = 12
SCRAPE_S = 1.0
"""Of the clock, whatever the speed: a bucket is never shorter."""
SHORTEST_WINDOW_S = 6.0
"""Of a policy's stable window."""
SHORTEST_LOOKBACK_S = 60.0
"""Of the lending latch."""

# An 8-billion-parameter model on an H100 (bf16): weights of 16 GB read per step, and about 400,000
# tokens of KV cache left. Step costs as in the policy trial that the design rests on.
ENGINE = EngineConfig(
    step_cost=StepCost(a_s=0.0075, b_s=0.000044, c_s=0.000025),
    num_blocks=25_625,
    block_tokens=16,
    max_num_seqs=512,
    max_num_batched_tokens=2048,
    max_model_len=16_384,
)
PROMPT = Lengths(mean_tokens=1155, sigma=0.9, most_tokens=12_000)
OUTPUT = Lengths(mean_tokens=211, sigma=0.9, most_tokens=4_000)
PEAK_PER_S = 150.0
SLO = Slo()


def cluster(seed: int) -> ClusterConfig:
    """Return three nodes of four GPUs with a Deployment of engines and a training job on them."""
    return ClusterConfig(
        nodes=tuple(NodeConfig(name=f"gpu-{letter}", units=UNITS // 3) for letter in "abc"),
        fleets=(
            FleetConfig(
                name=FLEET,
                namespace=NAMESPACE,
                service=FLEET,
                model="demo-8b",
                engine=ENGINE,
                cold_start_s=30.0,
                cold_start_sigma=0.2,
                drain_grace_s=120.0,
            ),
        ),
        jobs=(
            TrainingConfig(
                name=JOB,
                namespace=NAMESPACE,
                startup_s=30.0,
                checkpoint_every_s=300.0,
                checkpoint_s=10.0,
                grace_s=30.0,
            ),
        ),
        seed=seed,
    )


DAY_S = 1800.0
"""Length of the demand curve that is shaped like a day."""


def demand(*, length_s: float, seed: int) -> Iterator[Arrival]:
    """Return requests of a demand curve shaped like a day in 30 minutes, again and again."""
    return sampled(_days(length_s), seed)


def _days(length_s: float) -> Iterator[Rate]:
    for number in itertools.count():
        for rate in day(
            length_s=DAY_S,
            peak_per_s=PEAK_PER_S,
            prompt=PROMPT,
            output=OUTPUT,
            burst_factor=1.7,
        ):
            start_s = number * DAY_S + rate.start_s
            if start_s >= length_s:
                return
            end_s = min(length_s, number * DAY_S + rate.end_s)
            yield dataclasses.replace(rate, start_s=start_s, end_s=end_s)


def fitting_scale(arrivals: Iterable[Arrival]) -> float:
    """Return what to multiply a trace by, so that its busiest 15 s need 80 % of the pool."""
    work_s: dict[int, float] = {}
    for arrival in arrivals:
        place = int(arrival.at_s // 15)
        work_s[place] = work_s.get(place, 0.0) + _work_s(arrival)
    busiest = max(work_s.values(), default=0.0) / 15
    return 0.8 * UNITS / busiest if busiest else 1.0


def replicas_at_first(arrivals: Iterable[Arrival]) -> int:
    """Return how many replicas the first minute needs: the service did not begin just now."""
    first = itertools.takewhile(lambda arrival: arrival.at_s < 60, arrivals)
    needed = sum(map(_work_s, first)) / 60 / 0.7
    return max(1, min(UNITS, math.ceil(needed)))


def _work_s(arrival: Arrival) -> float:
    """Return the seconds of a replica that a request costs at the margin."""
    cost = ENGINE.step_cost
    return arrival.prompt_tokens * cost.c_s + arrival.output_tokens * cost.b_s


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """The two ScaledObjects and what the people who run the scaler state beside them."""

    configuration: Configuration
    inference_metadata: Mapping[str, str]
    inference: ScaledObjectConfig
    training_metadata: Mapping[str, str]
    training: ScaledObjectConfig
    kept_long: tuple[str, ...]
    """Durations that could not be divided by the speed, as sentences."""


def objects(speed: float, forecast: str = "off") -> Objects:
    """
    Return the objects with every duration divided by ``speed``.

    The day of the demo, whose hours pass in 75 seconds, needs no forecast; bursts of a trace do.
    """
    kept: list[str] = []

    def shortened(seconds: float, *, least_s: float = 0.0, what: str = "") -> str:
        short_s = seconds / speed
        if short_s < least_s:
            kept.append(f"{what} is {least_s:g} s, not {short_s:g} s")
        return f"{math.ceil(1000 * max(least_s, short_s))}ms"

    behavior = wide_open()
    window = shortened(60, least_s=SHORTEST_WINDOW_S, what="the stable window")
    inference_metadata = {
        "workload": f"Deployment/{FLEET}",
        "maxNumSeqs": str(ENGINE.max_num_seqs),
        "stepCost": _step_cost(speed),
        "hpaTolerance": "0",  # as the behavior below has it
        "itlTarget": shortened(SLO.itl_s),
        "stableWindow": window,
        "panicHorizon": shortened(600),
        "gateway": "keda-http",
        "gatewaySelector": f"host={host_of(FLEET)}",
        "scaleDownDelay": shortened(120),  # what auto comes to at this cold start
        "forecast": forecast,
        "forecastLookback": "600s",
        "backlogDrain": shortened(30),
    }
    training_metadata = {
        "role": "training",
        "pool": POOL,
        "workload": f"Deployment/{JOB}",
        "stableWindow": window,
        "latchLookback": shortened(
            21_600, least_s=SHORTEST_LOOKBACK_S, what="the latch's lookback"
        ),
        "lendDelay": shortened(60),
        "minRuntime": shortened(300),
        "blindReclaimAfter": shortened(300),
        "reclaimTime": shortened(30),
    }
    return Objects(
        configuration=Configuration(
            pools={POOL: Pool(units=UNITS, workloads=(f"{NAMESPACE}/{FLEET}",))},
        ),
        inference_metadata=inference_metadata,
        inference=ScaledObjectConfig(
            polling_interval_s=30 / speed,
            cooldown_period_s=300 / speed,
            min_replica_count=0,
            max_replica_count=UNITS,
            behavior=behavior,
        ),
        training_metadata=training_metadata,
        training=ScaledObjectConfig(
            polling_interval_s=5 / speed,
            cooldown_period_s=0.0,
            max_replica_count=UNITS,
            behavior=behavior,
        ),
        kept_long=tuple(dict.fromkeys(kept)),
    )


def _step_cost(speed: float) -> str:
    """
    Return the cost of an engine step as a person states it, from a load test of one replica.

    Without it the scaler fits it from what it sees; that takes traffic of different kinds.
    """
    cost = ENGINE.step_cost
    parts = {"a": cost.a_s, "b": cost.b_s, "c": cost.c_s}
    return ",".join(f"{name}={1e6 * seconds / speed:.4f}us" for name, seconds in parts.items())
