"""
What a replica can do by its GPU's data sheet: a roofline, for hardware that nobody measured here.

A decoding step reads the weights once and each running request's cache; a prompt token takes two
floating-point operations a parameter. Both at a stated share of what the data sheet says, and what
the weights leave of the memory is cache. Left out: the time of kernels' launches and, with several
GPUs, of their talk to each other, so that small models and tensor parallelism come out too fast.

What must stay true: a figure is typed once, with its source; everything else is computed.
"""

import dataclasses

from scaler.decision.policy import StepCost

from .engine import EngineConfig

BANDWIDTH_SHARE = 0.64
COMPUTE_SHARE = 0.65
"""Reached of the data sheet: what the 8B preset on an H100 assumes (2.1 of 3.35 TB/s, 640 of 989
TFLOP/s); about what engines reach on large batches of long prompts, and an assumption elsewhere."""
MEMORY_SHARE = 0.9
RESERVED_GIB = 2.0
"""Activations, CUDA graphs and the library's own memory, on each GPU."""
TYPICAL_TOKENS = 1000
"""Tokens in the cache of a running request, whose reading is its share of a step."""
_GIB = 2**30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GpuSheet:
    """A GPU by its data sheet: dense tensor throughput in 16 bit, without sparsity."""

    memory_gib: float
    """What CUDA reports; ``scaler/capacity/gpus.json`` says where each was seen."""
    bytes_per_s: float
    flops: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelSheet:
    """A dense model by its ``config.json``, weights and cache in 16 bit."""

    parameters: float
    layers: int
    kv_heads: int
    head_size: int
    max_model_len: int = 16_384

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights."""
        return 2 * self.parameters

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values of one token, in all layers."""
        return 2 * self.layers * self.kv_heads * self.head_size * 2


GPUS = {
    "t4": GpuSheet(memory_gib=14.74, bytes_per_s=320e9, flops=65e12),
    "l4": GpuSheet(memory_gib=22.06, bytes_per_s=300e9, flops=121e12),
    "a10": GpuSheet(memory_gib=22.06, bytes_per_s=600e9, flops=125e12),
    "l40s": GpuSheet(memory_gib=44.42, bytes_per_s=864e9, flops=362e12),
    "a100": GpuSheet(memory_gib=79.15, bytes_per_s=2039e9, flops=312e12),
    "h100": GpuSheet(memory_gib=79.19, bytes_per_s=3350e9, flops=989e12),
}
"""
Memory bandwidth and FP16/BF16 tensor throughput of NVIDIA's data sheets.

T4 (320 GB/s, 65 TFLOPS), L4 (300 GB/s, 242 TFLOPS with sparsity), A10 (600 GB/s, 125 TFLOPS),
L40S (864 GB/s, 362.05 TFLOPS), A100 80 GB SXM (2,039 GB/s, 312 TFLOPS), H100 SXM (3.35 TB/s, 1,979
TFLOPS with sparsity). Where a sheet has the figure with sparsity alone, this is half of it.
"""

MODELS = {
    "1.5b": ModelSheet(parameters=1.54e9, layers=28, kv_heads=2, head_size=128),
    "7b": ModelSheet(parameters=7.62e9, layers=28, kv_heads=4, head_size=128),
    "8b": ModelSheet(parameters=8.03e9, layers=32, kv_heads=8, head_size=128),
    "70b": ModelSheet(parameters=70.6e9, layers=80, kv_heads=8, head_size=128),
}
"""Qwen2.5-1.5B and -7B, Llama-3.1-8B and -70B: their model cards and ``config.json`` on the Hub."""


def roofline(gpu: GpuSheet, model: ModelSheet, *, gpus: int = 1) -> EngineConfig | None:
    """
    Return a replica of ``model`` on one GPU, or on several by tensor parallelism.

    None: its weights leave no room for one request of ``max_model_len``.
    """
    cache_bytes = gpus * (MEMORY_SHARE * gpu.memory_gib - RESERVED_GIB) * _GIB - model.weight_bytes
    blocks = int(cache_bytes / (16 * model.kv_bytes_per_token))
    if blocks * 16 < model.max_model_len + 32:
        return None
    read_per_s = gpus * BANDWIDTH_SHARE * gpu.bytes_per_s
    return EngineConfig(
        step_cost=StepCost(
            a_s=model.weight_bytes / read_per_s,
            b_s=TYPICAL_TOKENS * model.kv_bytes_per_token / read_per_s,
            c_s=2 * model.parameters / (gpus * COMPUTE_SHARE * gpu.flops),
        ),
        num_blocks=blocks,
        max_num_seqs=512,
        max_num_batched_tokens=2048,
        max_model_len=model.max_model_len,
    )
