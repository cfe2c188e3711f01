"""The traces and pools that lending is measured on: what is played, how fast, on which units."""

import csv
import dataclasses
import gzip
import math
from collections.abc import Iterable

from benchmarks.policy_traces import folder
from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.policy import InferencePolicy, LendingPolicy, LoadBase, StepCost
from scaler.readings.traces import open_trace
from scaler.simulation.baselines.catalog import SAFE_RHO
from scaler.simulation.engine import EngineConfig
from scaler.simulation.simulate import repeated
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled, scaled

L40S_8B = EngineConfig(
    step_cost=StepCost(a_s=0.023, b_s=0.00019, c_s=0.00007),
    num_blocks=11_900,
    max_num_seqs=256,
    max_num_batched_tokens=2048,
    max_model_len=16_384,
)
"""8B, bf16: 16 GB and 131 kB a token at 0.7 TB/s, 16 GFLOP a token at 230 TFLOP/s; rooflines."""
MIG_1G = EngineConfig(
    step_cost=StepCost(a_s=0.019, b_s=0.000185, c_s=0.000113),
    num_blocks=1_500,
    max_num_seqs=64,
    max_num_batched_tokens=2048,
    max_model_len=8_192,
)
"""1.5B, bf16, on a seventh of an A100 (5 GB): an 8B model's weights would not fit; rooflines."""
CODE = (Lengths(mean_tokens=2540, sigma=1.0, most_tokens=7700), Lengths(mean_tokens=28))
CHAT = (Lengths(mean_tokens=1155, sigma=0.9, most_tokens=7000), Lengths(mean_tokens=211, sigma=0.9))
WARM_UP_S = 1800.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One trace on one pool."""

    name: str
    speed: float
    """How much faster than in the field its day passes."""
    length_s: float
    units: int = 8
    reserved: int = 0
    fixed: int | None = None
    """Replicas of a fleet of fixed size; None: kvtide scales it."""
    engine: EngineConfig = L40S_8B
    peak: float = 0.72
    """Rate of the busiest span over what the pool can safely do, each replica :func:`safe_rps`."""
    lead_time_s: float | None = None
    """Stated to the inference trigger; None: learnt from its own pods."""

    @property
    def lending(self) -> LendingPolicy:
        """
        The defaults, with what is counted in hours of the day as fast as the day.

        The six hours of the latch, and the least run of a trainer that writes a checkpoint every
        ten minutes of it.
        """
        return LendingPolicy(
            pool_units=self.units,
            reserved_units=max(self.reserved, self.fixed or 0),
            latch_lookback_s=21_600 / self.speed,
            min_runtime_s=300 / self.speed,
            load_base=LoadBase.POOL if self.fixed is None else LoadBase.SERVICE,
        )

    @property
    def inference(self) -> InferencePolicy:
        """The defaults; the delay is what auto comes to at this cold start."""
        return InferencePolicy(
            min_replicas=max(1, self.reserved),
            max_replicas=self.units,
            itl_target=LatencyTarget(seconds=0.1),
            scale_down_delay_s=120.0,
            lead_time_s=self.lead_time_s,
        )


DAY_S = 86_400.0
CASES = {
    "week": Case(name="week", speed=28.0, length_s=DAY_S / 4),
    "monday": Case(name="monday", speed=14.0, length_s=DAY_S / 14),
    "deepseek": Case(name="deepseek", speed=12.0, length_s=DAY_S / 12),
    "burst": Case(name="burst", speed=1.0, length_s=3436.0, units=16),
    "burst, leadTime 60s": Case(
        name="burst", speed=1.0, length_s=3436.0, units=16, lead_time_s=60.0
    ),
    "fixed": Case(name="fixed", speed=14.0, length_s=DAY_S / 14, fixed=6),
    "mig": Case(name="mig", speed=12.0, length_s=DAY_S / 12, units=7, reserved=3, engine=MIG_1G),
}
"""monday and fixed are a day of the week trace, mig the deepseek day on 3 + 4 slices."""
SWEPT = ("monday", "deepseek", "burst, leadTime 60s")
"""Played at every ``lendBelow``."""


def trace(case: Case, seed: int = 1) -> list[Arrival]:
    """Return the requests of a case with its warm-up before them."""
    if case.name == "burst":
        read = [Arrival(*one) for one in open_trace(folder() / "azure2023_code.csv.gz").requests()]
        arrivals = list(scaled(read, 2, seed=seed))
    else:
        arrivals = list(sampled(_rates(case), seed=seed))
    return list(repeated(arrivals, case.length_s, WARM_UP_S))


def _rates(case: Case) -> Iterable[Rate]:
    chat = case.name in {"deepseek", "mig"}
    prompt, output = CHAT if chat else CODE
    shape = _shape(chat=chat)
    full = case.peak * case.units * safe_rps(case.engine, prompt, output) / max(shape)
    span_s = (900.0 if chat else 600.0) / case.speed
    if case.name in {"monday", "fixed"}:
        shape = shape[3 * 144 : 4 * 144]
    for number, share in enumerate(shape):
        yield Rate(
            start_s=number * span_s,
            end_s=(number + 1) * span_s,
            per_s=share * full,
            prompt=prompt,
            output=output,
        )


def safe_rps(engine: EngineConfig, prompt: Lengths, output: Lengths) -> float:
    """
    Return the requests per second that one replica is safe at, by its work and by its cache.

    By its work: prompts and outputs fill :data:`SAFE_RHO` of its time. By its cache: N requests at
    once share each step's constant ``a`` and take one step per token of output, so that
    ``1 / (work + output · a / N)`` a second are done. A large cache spreads ``a`` over so many that
    work binds; a slice's does not.
    """
    cost = engine.step_cost
    work_s = prompt.mean_tokens * cost.c_s + output.mean_tokens * cost.b_s
    at_once = min(_fit(engine, prompt, output), engine.max_num_seqs)
    return min(SAFE_RHO / work_s, 1 / (work_s + output.mean_tokens * cost.a_s / at_once))


def _fit(engine: EngineConfig, prompt: Lengths, output: Lengths) -> float:
    """Return how many requests the cache holds when their lengths come out two deviations high."""
    # Who is met running writes a long answer, and is anywhere in it.
    spread = math.exp(output.sigma**2)
    written, squared = output.mean_tokens * spread / 2, output.mean_tokens**2 * spread**3 / 3
    mean = prompt.mean_tokens + written
    variance = prompt.mean_tokens**2 * math.expm1(prompt.sigma**2) + squared - written**2
    deviation = math.sqrt(variance)
    tokens = engine.usable_blocks * engine.block_tokens
    # N · mean + 2 · √N · deviation = tokens
    return ((math.sqrt(deviation**2 + mean * tokens) - deviation) / mean) ** 2


def _shape(*, chat: bool) -> list[float]:
    name, column = (
        ("deepseek_v3r1_24h_15min.csv", "load_rel_to_peak_hour")
        if chat
        else ("azure2024_code_1week_10min_digitized.csv.gz", "requests_per_min")
    )
    raw = (folder() / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith("gz") else raw).decode()
    return [float(row[column]) for row in csv.DictReader(text.splitlines())]
