"""
How much memory is left for the KV cache: the GPU's, less weights, less what a step needs.

The cache law is exact; this is the estimate. Its parts: what CUDA reports × the engine's fraction,
weights (``weights.py``), the peak of a profiling step, and what lies outside torch. Where a run of
the real engine is at hand, state its "Available KV cache memory" instead.

Two terms make the peak of vLLM's profiling step (``v1/worker/gpu_model_runner.py`` profile_run):
the sampler on ``max_num_seqs`` rows of logits, and the forward pass on ``max_num_batched_tokens``.
"""

import dataclasses

from scaler.errors import ConfigurationError, Problem
from scaler.ranges import Range
from scaler.said import Said

from .architecture import ModelArchitecture
from .kv_cache import vllm_rules
from .kv_cache.capacity import GIB, CapacityStep
from .kv_cache.serving import Engine, GpuClass, Serving, Version
from .weights import TYPICAL_VOCABULARY, Weights, weights_on_gpu

FRACTION = Range(gt=0, le=1)
"""Of a GPU's memory, what an engine may be told to take."""
SAMPLER_BYTES = 38.5
"""
Bytes per logit at the sampler's peak, vLLM before 0.18: logits and softmax in 32 bits, a sort with
64-bit indices and its buffers. Seven H100 and H200 logs of 0.10.2 to 0.12 (vocabularies of 128 k
to 202 k) print 38.0 to 39.6 times vocabulary × 1024 rows, their median 38.5.
"""
SAMPLER_BYTES_NOW = 29.0
"""Since 0.18: the median overhead of H200 logs fell from 5.4 to 4.2 GiB (281 logs in classes)."""
LEANER_SAMPLER_SINCE = Version((0, 18))
GRAPHS_COUNTED_SINCE = Version((0, 20))
GRAPHS_GIB = 0.9
"""CUDA graphs, subtracted since 0.20: H200 logs' median went from 4.2 to 5.1 GiB."""
OUTSIDE_TORCH_GIB = 0.13
"""CUDA context growth of one rank, H100 logs of 0.11.0."""
COMMUNICATION_GIB = 0.85
"""
NCCL and all-reduce buffers with two ranks and more: six logs print 0.25 to 7.16 GiB outside torch,
their median 0.97, which varies with topology and version and is wide.
"""
ASIDE_GIB = {Engine.SGLANG: 1.0, Engine.TGI: 2.0, Engine.TRTLLM: 2.5}
"""What other engines hold beside weights and cache: context and work space."""

WIDTH_LARGE_GIB = 3.4
"""Half-width for GPUs that sample 1024 rows: H200 logs of one version spread 2.6 to 8.9 GiB."""
WIDTH_SMALL_GIB = 2.0
WIDTH_V0_GIB = 8.5
"""V0 kept what its profiling step had allocated: its logs print up to 9.4 GiB of activations."""

SGLANG_RESERVED_GIB = ((35, 2.8, 0.1), (90, 9.5, 0.5), (160, 12.0, 0.5))
"""GPU memory below this: GiB reserved, and more per GPU of the replica (sglang server_args.py)."""
SGLANG_RESERVED_LARGE_GIB = 32.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Where one GPU's memory goes, GiB; the interval is that of weights and overhead together."""

    total_gib: float
    utilization: float
    weights_gib: float
    overhead_gib: float
    low_gib: float
    high_gib: float
    steps: tuple[CapacityStep, ...]

    @property
    def available_gib(self) -> float:
        """What is left for the KV cache; never negative."""
        return max(0.0, self.budget_gib - self.weights_gib - self.overhead_gib)

    @property
    def budget_gib(self) -> float:
        """What the engine allows itself."""
        return self.total_gib * self.utilization

    @property
    def available_range_gib(self) -> tuple[float, float]:
        """What is left if weights and overhead lie at the ends of their interval."""
        return max(0.0, self.budget_gib - self.high_gib), max(0.0, self.budget_gib - self.low_gib)


def estimate_memory(
    architecture: ModelArchitecture,
    serving: Serving,
    *,
    utilization: float | None = None,
    weights_gib: float | None = None,
    quantization: str | None = None,
) -> MemoryEstimate:
    """
    Return where the memory of the fullest GPU goes.

    Raises:
        ConfigurationError: no GPU memory stated, weights that cannot be counted, a fraction
            outside (0, 1].
    """
    total = serving.gpu_memory_gib
    if total is None:
        raise ConfigurationError(
            Problem(
                field="gpu",
                got="nothing",
                allowed=Said("a GPU's name, or {key}", key="gpu_memory_gib"),
                others=("gpu_memory_gib",),
            )
        )
    fraction = default_fraction(serving, total) if utilization is None else utilization
    problems = FRACTION.problems("gpu_memory_utilization", fraction)
    if problems:
        raise ConfigurationError(*problems)
    weights = _weights(architecture, serving, weights_gib, quantization)
    overhead, why = overhead_gib(architecture, serving)
    held = weights.gpu_bytes / GIB
    below, above = _half_widths(architecture, serving, overhead, weights)
    return MemoryEstimate(
        total_gib=total,
        utilization=fraction,
        weights_gib=held,
        overhead_gib=overhead,
        low_gib=max(0.0, held + overhead - below),
        high_gib=held + overhead + above,
        steps=_steps(serving, total, fraction, weights, overhead_why=(overhead, why)),
    )


def default_fraction(serving: Serving, total_gib: float) -> float:
    """Return the share of the GPU that an engine takes where nobody says."""
    match serving.engine:
        case Engine.VLLM:
            return vllm_rules.default_utilization(vllm_rules.version(serving))
        case Engine.SGLANG:
            ranks = serving.tensor_parallel * serving.pipeline_parallel
            for below, base, per_rank in SGLANG_RESERVED_GIB:
                if total_gib < below:
                    return round((total_gib - base - per_rank * ranks) / total_gib, 3)
            return round((total_gib - SGLANG_RESERVED_LARGE_GIB) / total_gib, 3)
        case Engine.TGI | Engine.TRTLLM:
            return 0.9


def _weights(
    architecture: ModelArchitecture,
    serving: Serving,
    weights_gib: float | None,
    quantization: str | None,
) -> Weights:
    if weights_gib is None:
        return weights_on_gpu(architecture, serving, quantization)
    return Weights(gpu_bytes=round(weights_gib * GIB), slack_bytes=0, why="as stated")


def overhead_gib(architecture: ModelArchitecture, serving: Serving) -> tuple[float, str]:
    """Return GiB beside weights and cache, and the sentence that says what they are."""
    if serving.engine is not Engine.VLLM:
        return ASIDE_GIB[serving.engine], "context and work space, a round number"
    release = vllm_rules.version(serving)
    rows = vllm_rules.max_num_seqs(serving)
    vocabulary = architecture.vocab_size or TYPICAL_VOCABULARY
    per_logit = SAMPLER_BYTES_NOW if release >= LEANER_SAMPLER_SINCE else SAMPLER_BYTES
    sampler = rows * vocabulary * per_logit / GIB
    forward = _forward_gib(architecture, serving)
    outside = OUTSIDE_TORCH_GIB + (COMMUNICATION_GIB if serving.tensor_parallel > 1 else 0.0)
    graphs = GRAPHS_GIB if release >= GRAPHS_COUNTED_SINCE else 0.0
    total = max(sampler, forward) + outside + graphs
    why = (
        f"a profiling step: the larger of sampling {rows:,} rows of {vocabulary:,} logits "
        f"({sampler:.2f}) and a pass of {_profiled_tokens(architecture, serving):,} tokens "
        f"({forward:.2f}); "
        f"outside torch {outside:.2f}" + (f"; CUDA graphs {graphs:.2f}" if graphs else "")
    )
    return total, why


def _profiled_tokens(architecture: ModelArchitecture, serving: Serving) -> int:
    """
    Return the tokens of the profiling pass.

    V0 ran a whole max_model_len unless it chunked prompts: by itself beyond 32 k, never with
    latent attention.
    """
    batched = vllm_rules.batched_tokens(serving)
    if not vllm_rules.version(serving).v0 or serving.max_num_batched_tokens is not None:
        return batched
    whole = serving.max_model_len or 0
    return max(2_048, whole) if whole <= 32_768 or architecture.family == "MLA" else 2_048


def _forward_gib(architecture: ModelArchitecture, serving: Serving) -> float:
    """
    Return the peak of one forward pass.

    An MLP's inner width three times (gate, up, their product), the hidden width twice, and with
    experts a hidden width for each expert of a token, for at most 32 k tokens at a time (vLLM's
    fused_moe chunk).
    """
    tokens = _profiled_tokens(architecture, serving)
    hidden = architecture.hidden_size or 4_096
    inner = architecture.intermediate_size or 4 * hidden
    each = 2 * (3 * inner / serving.tensor_parallel + 2 * hidden)
    routed = 2 * architecture.experts_per_token * hidden * min(tokens, 32_768)
    return (tokens * each + routed) / GIB


def _half_widths(
    architecture: ModelArchitecture, serving: Serving, overhead: float, weights: Weights
) -> tuple[float, float]:
    """Return how far below and above the estimate the truth may lie, GiB."""
    many = vllm_rules.max_num_seqs(serving) > 256 or architecture.experts > 0
    width = WIDTH_LARGE_GIB if many or serving.tensor_parallel > 1 else WIDTH_SMALL_GIB
    slack = weights.slack_bytes / GIB
    first = serving.engine is Engine.VLLM and vllm_rules.version(serving).v0
    return min(width, 0.8 * overhead) + slack, (WIDTH_V0_GIB if first else width) + slack


def _steps(
    serving: Serving,
    total: float,
    fraction: float,
    weights: Weights,
    *,
    overhead_why: tuple[float, str],
) -> tuple[CapacityStep, ...]:
    overhead, why = overhead_why
    unit = "GiB per GPU"
    told = serving.gpu or "as stated"
    unified = " (memory shared with the system)" if serving.gpu_class is GpuClass.UNIFIED else ""
    return (
        CapacityStep(name="GPU memory", value=total, unit=unit, why=told + unified),
        CapacityStep(
            name="budget",
            value=total * fraction,
            unit=unit,
            why=f"{total:g} × {fraction:g}, the share that {serving.engine} takes",
        ),
        CapacityStep(name="weights", value=weights.gpu_bytes / GIB, unit=unit, why=weights.why),
        CapacityStep(name="overhead", value=overhead, unit=unit, why=why),
    )
