"""Claims about lending: against adding nodes, and of slices of one GPU."""

import dataclasses
from collections.abc import Iterator, Sequence

from benchmarks.claim_starts import front
from benchmarks.claim_traffic import secs
from benchmarks.claim_waves import (
    GPUS,
    LENGTH_S,
    SEEDS,
    TARGETS,
    WARM_UP_S,
    played,
    policy_at,
    spread,
    waves,
)
from scaler.decision.policy import InferencePolicy, LendingPolicy, StepCost
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.cluster import ClusterConfig
from scaler.simulation.engine import EngineConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.keda import kvtide
from scaler.simulation.lenders import Everything, Kvtide
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.simulate import Autoscaler, Lender, Run, Setup, simulate
from scaler.simulation.traffic import DAY_SHAPE, Arrival, Lengths, Rate, sampled
from scaler.simulation.training import TrainingConfig

_MODEL_S = 60.0
"""From a GPU to a replica that serves, whoever finds the GPU."""
_NODES_S = (45.0, 120.0, 240.0)
"""What a node takes on top: the autoscaler's scan of 30 to 60 s alone, and with the machine."""
_JOB = TrainingConfig(name="train", grace_s=10.0, checkpoint_s=5.0)
_LENDING = LendingPolicy(pool_units=GPUS)


def nodes() -> Iterator[Sequence[object]]:
    """A fixed pool that lends, against inference on nodes as needed and training on its own."""
    yield ("way", "in SLO, %", "inference GPU-h", "training GPU-h", "paid GPU-h", "to the pool's")
    pool = GPUS * LENGTH_S / 3600
    lent = {seed: _lent(seed) for seed in SEEDS}
    share = {seed: run.score.slo_attainment or 0.0 for seed, run in lent.items()}
    trained = {seed: run.score.training_gpu_hours for seed, run in lent.items()}
    yield (
        f"{GPUS} GPUs, 30/70 lending",
        spread([100 * one for one in share.values()], ".1f"),
        spread([run.score.gpu_hours for run in lent.values()], ".1f"),
        spread(list(trained.values()), ".1f"),
        f"{pool:.1f}",
        "",
    )
    for node_s in (0.0, *_NODES_S):
        hours = {seed: front(seed, _MODEL_S + node_s).hours_for(share[seed]) for seed in SEEDS}
        paid = [None if one is None else one + trained[seed] for seed, one in hours.items()]
        yield (
            f"nodes, {node_s:g} s each" if node_s else "nodes that are there at once",
            "the same",
            spread(list(hours.values()), ".1f"),
            "the same",
            spread(paid, ".1f"),
            spread([None if one is None else one / pool - 1 for one in paid], "+.0%"),
        )


def _lent(seed: int) -> Run:
    policy = policy_at(_DEFAULT_TARGET)
    lender = Kvtide(_LENDING, policy)
    return played(
        waves(seed), target=_DEFAULT_TARGET, cold_start_s=_MODEL_S, lender=lender, job=_JOB
    )


_DEFAULT_TARGET = TARGETS[2]
_SLICES, _RESERVED = 7, 3
_PEAK = 0.3
"""Of what the slices' work alone allows: a slice's cache holds some 17 of these requests at once,
which bind it first."""
_SLICE = EngineConfig(
    step_cost=StepCost(a_s=0.019, b_s=0.000185, c_s=0.000113),
    num_blocks=1_500,
    max_num_seqs=64,
    max_num_batched_tokens=2048,
    max_model_len=8_192,
)
"""A 1.5B model in bf16 on a 1g.5gb slice of an A100 of 40 GB: 160 GB/s of an eighth of its 1,555,
and 27 TFLOP/s of a seventh of its 312 (NVIDIA's data sheet); an 8B model would not fit."""
_CHAT = (Lengths(mean_tokens=1155, sigma=0.9, most_tokens=7000), Lengths(mean_tokens=211))


def mig() -> Iterator[Sequence[object]]:
    """Seven slices of a GPU: 3 + 4 lent by load, 3 + 4 for good, and all 7 for inference."""
    yield ("way", "in SLO, %", "TTFT p99", "inference slice-h", "training slice-h", "idle slice-h")
    ways = {
        "3 reserved, 4 to lend": (_RESERVED, _SLICES, True),
        "3 for inference, 4 for training, for good": (_RESERVED, _RESERVED, False),
        "all 7 for inference": (_SLICES, _SLICES, False),
    }
    for name, (least, most, lends) in ways.items():
        runs = [_sliced(seed, least=least, most=most, lends=lends).score for seed in SEEDS]
        whole = _SLICES * LENGTH_S / 3600
        yield (
            name,
            spread([100 * (one.slo_attainment or 0.0) for one in runs], ".2f"),
            secs(max(one.ttft_s.p99 or 0.0 for one in runs)) + " at most",
            spread([one.gpu_hours for one in runs], ".1f"),
            spread([one.training_gpu_hours for one in runs], ".1f"),
            spread([whole - one.gpu_hours - one.training_gpu_hours for one in runs], ".1f"),
        )


def _sliced(seed: int, *, least: int, most: int, lends: bool) -> Run:
    policy = dataclasses.replace(policy_at(_DEFAULT_TARGET), min_replicas=least, max_replicas=most)
    setup = Setup(
        cluster=ClusterConfig(
            nodes=(NodeConfig(name="gpu", units=_SLICES),),
            fleets=(FleetConfig(name="llm", engine=_SLICE, cold_start_s=20.0),),
            jobs=(_JOB,),
        ),
        length_s=LENGTH_S,
        warm_up_s=WARM_UP_S,
        replicas=least,
        min_replicas=least,
        max_replicas=most,
        scrape_s=15.0,
    )
    lending = LendingPolicy(pool_units=_SLICES, reserved_units=_RESERVED)
    lender: Lender = Kvtide(lending, policy) if lends else Everything(workers=_SLICES - most)
    return simulate(setup, _day(seed), _scaler(policy, least, most), lender=lender)


def _scaler(policy: InferencePolicy, least: int, most: int) -> Autoscaler:
    if least == most:
        return FixedFleet(replicas=most)
    return kvtide("kvtide", policy, min_replicas=least, max_replicas=most)


def _day(seed: int) -> list[Arrival]:
    """Return requests in the shape of a day from its evening on, that passes in two hours."""
    cost = _SLICE.step_cost
    request_s = _CHAT[0].mean_tokens * cost.c_s + _CHAT[1].mean_tokens * cost.b_s
    full = _SLICES * 0.87 / request_s
    hour_s = (WARM_UP_S + LENGTH_S) / len(DAY_SHAPE)
    rates = [
        Rate(
            start_s=number * hour_s,
            end_s=(number + 1) * hour_s,
            per_s=_PEAK * full * DAY_SHAPE[(number + 18) % 24] / max(DAY_SHAPE),
            prompt=_CHAT[0],
            output=_CHAT[1],
        )
        for number in range(24)
    ]
    return list(sampled(rates, seed))
