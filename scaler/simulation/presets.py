"""Engines and clusters that a simulation starts from, each with the source of its figures."""

from scaler.decision.policy import StepCost

from .cluster import ClusterConfig
from .engine import EngineConfig
from .fleet import FleetConfig
from .nodes import NodeConfig

ENGINE_8B_H100 = EngineConfig(
    step_cost=StepCost(a_s=0.0075, b_s=0.000044, c_s=0.000025),
    num_blocks=25_625,
    block_tokens=16,
    max_num_seqs=512,
    max_num_batched_tokens=2048,
    max_model_len=16_384,
)
"""
An 8-billion-parameter model on an H100, bf16.

A step reads 16 GB of weights at about 2.1 TB/s (7.5 ms) and each running request's cache (44 µs at
about 1,000 tokens); a prompt token takes 16 GFLOP at 640 TFLOP/s (25 µs); 410,000 tokens of KV
cache are left. Roofline figures, not measurements of one engine version.
"""


def one_fleet(
    *,
    gpus: int,
    cold_start_s: float = 60.0,
    engine: EngineConfig = ENGINE_8B_H100,
    seed: int = 0,
) -> ClusterConfig:
    """Return a pool of single GPUs with one Deployment on it."""
    return ClusterConfig(
        nodes=(NodeConfig(name="gpus", units=gpus),),
        fleets=(FleetConfig(name="llm", engine=engine, cold_start_s=cold_start_s),),
        seed=seed,
    )
