"""Engines and clusters that a simulation starts from, each with the source of its figures."""

from scaler.decision.policy import StepCost
from scaler.errors import ConfigurationError, Problem

from .cluster import ClusterConfig
from .engine import EngineConfig
from .fleet import FleetConfig
from .nodes import NodeConfig
from .roofline import GPUS, MODELS, roofline

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


_SHEETS = {
    "1.5b-t4": ("t4", "1.5b", 1),
    "7b-a10": ("a10", "7b", 1),
    "7b-l4": ("l4", "7b", 1),
    "8b-l4": ("l4", "8b", 1),
    "8b-l40s": ("l40s", "8b", 1),
    "8b-a100": ("a100", "8b", 1),
    "70b-a100x4": ("a100", "70b", 4),
    "70b-h100x4": ("h100", "70b", 4),
}


def preset(name: str) -> EngineConfig:
    """
    Return a replica by a name such as ``8b-l40s`` or ``70b-h100x4`` (tensor-parallel over four).

    All but :data:`ENGINE_8B_H100` are computed by :func:`.roofline.roofline`.

    Raises:
        ConfigurationError: there is no preset of this name.
    """
    if name == "8b-h100":
        return ENGINE_8B_H100
    sheets = _SHEETS.get(name)
    engine = None
    if sheets is not None:
        gpu, model, gpus = sheets
        engine = roofline(GPUS[gpu], MODELS[model], gpus=gpus)
    if engine is None:
        allowed = f"one of {', '.join(('8b-h100', *_SHEETS))}"
        raise ConfigurationError(Problem(field="--engine", got=repr(name), allowed=allowed))
    return engine


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
