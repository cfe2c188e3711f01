"""Claims about tiers: what an A10 and a T4 serve of one model, and what a day of it costs."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.claim_traffic import (
    CHAT,
    INTERACTIVE,
    PATIENT,
    in_slo,
    ms,
    rate_of,
    safe_rps,
    setup_of,
)
from scaler.decision.policy import StepCost
from scaler.simulation.baselines.catalog import SAFE_RHO
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.engine import EngineConfig
from scaler.simulation.score import Slo
from scaler.simulation.simulate import Run, simulate
from scaler.simulation.traffic import DAY_SHAPE, sampled

_GIB = 2**30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU by its data sheet."""

    memory_gib: float
    bytes_per_s: float
    flops: float


GPUS = {
    "A10": Gpu(memory_gib=24, bytes_per_s=600e9, flops=125e12),
    "T4": Gpu(memory_gib=16, bytes_per_s=320e9, flops=65e12),
}
"""NVIDIA's data sheets: memory, bandwidth, dense FP16 throughput. Half of each is reached."""
_PARAMETERS, _KV_BYTES = 7.6e9, 2 * 28 * 4 * 128 * 2
"""Qwen2.5-7B: 28 layers, 4 KV heads of 128, fp16."""


def tiers() -> Iterator[Sequence[object]]:
    """A 7B model on an A10 and on a T4: what fits, what each serves, and at which price."""
    yield (
        *("GPU", "weights", "cache", "objective", "highest rate with 99 % in it"),
        *("ITL p50", "TTFT p99", "in SLO"),
    )
    for (name, gpu), bits in itertools.product(GPUS.items(), (16, 8, 4)):
        engine = engine_of(gpu, bits)
        if engine is None:
            yield (name, f"{bits} bit", "none left", *("–",) * 5)
            continue
        cache = engine.num_blocks * engine.block_tokens * _KV_BYTES
        for objective, slo in (("interactive", INTERACTIVE), ("patient", PATIENT)):
            rate, run = highest_rate(engine, slo)
            share, p99 = ("–", "–") if run is None else in_slo(run)
            yield (
                *(name, f"{bits} bit", f"{cache / _GIB:.1f} GiB", objective),
                f"{rate:.2f}/s" if rate else "none",
                *("–" if run is None else ms(run.score.itl_s.p50), p99, share),
            )


def engine_of(gpu: Gpu, bits: int) -> EngineConfig | None:
    """Return the engine of the model on a GPU; None: its weights leave no room for a cache."""
    weights = _PARAMETERS * bits / 8
    cache = 0.9 * gpu.memory_gib * _GIB - weights - 1.0 * _GIB
    if cache < 16_384 * _KV_BYTES:
        return None
    return EngineConfig(
        step_cost=StepCost(
            a_s=weights / (0.5 * gpu.bytes_per_s),
            b_s=1000 * _KV_BYTES / (0.5 * gpu.bytes_per_s),
            c_s=2 * _PARAMETERS / (0.5 * gpu.flops),
        ),
        num_blocks=int(cache / (16 * _KV_BYTES)),
        max_model_len=8192,
    )


@functools.cache
def highest_rate(engine: EngineConfig, slo: Slo) -> tuple[float, Run | None]:
    """Return the highest rate, in twentieths of all that work allows, with 99 % in ``slo``."""
    setup = setup_of(1200, gpus=1, engine=engine, slo=slo)
    for twentieths in range(19, 0, -1):
        rate = twentieths / 20 * safe_rps(CHAT, engine) / SAFE_RHO
        run = simulate(
            setup, list(sampled([rate_of(CHAT, rate, 0, 1200)], 1)), FixedFleet(replicas=1)
        )
        if (run.score.slo_attainment or 0) >= 0.99:
            return rate, run
    return 0.0, None


PRICES = {"A10": 1.006, "T4": 0.526}
"""USD an hour, on demand in us-east-1: AWS' g5.xlarge (an A10G, sold as such) and g4dn.xlarge."""
_DAY_RPS = (2.0, 10.0, 50.0)
"""Requests per second in the busiest hour of a day."""


def prices() -> Iterator[Sequence[object]]:
    """A day of patient chat on A10s, on T4s, and on each hour's cheapest mix: what it costs."""
    yield (
        *("weights", "busiest hour", "A10 alone", "T4 alone", "cheapest mix", "T4-hours of it"),
        "an A10 may cost",
    )
    for bits in (8, 4):
        rates = {name: _rate(name, bits) for name in GPUS}
        worth = rates["A10"] / rates["T4"]
        for peak in _DAY_RPS:
            hours = [peak * share / max(DAY_SHAPE) for share in DAY_SHAPE]
            mixes = [_cheapest(rate, rates) for rate in hours]
            alone = {
                name: sum(math.ceil(rate / rates[name]) for rate in hours) * PRICES[name]
                for name in GPUS
            }
            yield (
                *(f"{bits} bit", f"{peak:g}/s", f"{alone['A10']:.2f}", f"{alone['T4']:.2f}"),
                f"{sum(cost for cost, _ in mixes):.2f}",
                sum(t4s for _, t4s in mixes),
                f"{worth:.2f} T4s",
            )


def _rate(name: str, bits: int) -> float:
    """Return the requests per second of patient chat that one GPU serves within the objective."""
    engine = engine_of(GPUS[name], bits)
    return 0.0 if engine is None else highest_rate(engine, PATIENT)[0]


def _cheapest(rate: float, rates: Mapping[str, float]) -> tuple[float, int]:
    """Return the cost of an hour of the cheapest GPUs for a rate, and the T4s among them."""
    most = math.ceil(rate / rates["T4"])
    return min(
        (t4s * PRICES["T4"] + a10s * PRICES["A10"], t4s)
        for t4s in range(most + 1)
        for a10s in [max(0, math.ceil((rate - t4s * rates["T4"]) / rates["A10"] - 1e-9))]
    )
