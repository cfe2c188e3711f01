"""
What else one could do with the same replica: other lengths, KV types, layouts.

Each alternative is planned like the first; those that are not modelled here are left out.
"""

import dataclasses
from collections.abc import Iterator

from scaler.errors import ConfigurationError

from .architecture import ModelArchitecture, StateCache
from .kv_cache import Engine, GpuClass, KvCapacity, Serving
from .planned import MemoryTerms, Planned, RequestLengths, plan

FRACTION_FLAGS = {
    Engine.VLLM: "--gpu-memory-utilization",
    Engine.SGLANG: "--mem-fraction-static",
    Engine.TGI: "--cuda-memory-fraction",
    Engine.TRTLLM: "--kv_cache_free_gpu_memory_fraction",
}
MOST_UTILIZATION = 0.95
OFTEN_EIGHT_BIT = ("nvfp4", "fp8")
"""Formats whose checkpoints often declare an 8-bit KV cache."""
WIDE_BYTES = 4
"""Of a recurrent state's element in 32 bits."""
SHOWN_TOKENS = (1_024, 4_096, 16_384, 65_536, 262_144)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A change, and the requests that a replica would then hold safely."""

    change: str
    requests: int
    gpus: int
    """GPUs of a replica after the change."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LengthRow:
    """Requests of this many tokens that fit at once, per KV dtype."""

    tokens: int
    requests: dict[str, int]


def length_table(planned: Planned) -> tuple[LengthRow, ...]:
    """Return how many requests of one length fit at once, by length and KV dtype."""
    architecture, serving, memory = planned.architecture, planned.serving, planned.terms
    eight = ("fp8",) if serving.caches_in_eight_bits else ()
    dtypes = dict.fromkeys((serving.kv_dtype, serving.sixteen_bits, *eight))
    other = (
        _planned(architecture, dataclasses.replace(serving, kv_dtype=dtype), memory)
        for dtype in dtypes
    )
    named = {one.capacity.kv_dtype: one.capacity for one in other if one is not None}
    longest = serving.max_model_len or architecture.max_position_embeddings
    lengths = [tokens for tokens in SHOWN_TOKENS if longest is None or tokens < longest]
    return tuple(
        LengthRow(
            tokens=tokens,
            requests={dtype: requests_of(capacity, tokens) for dtype, capacity in named.items()},
        )
        for tokens in (*lengths, *((longest,) if longest else ()))
    )


def requests_of(capacity: KvCapacity, tokens: int) -> int:
    """Return the requests of this many tokens that a replica holds at once."""
    each = capacity.layout.footprint_blocks(tokens)
    fitting = capacity.usable_blocks // each
    if capacity.request_slots is not None:
        fitting = min(fitting, capacity.request_slots)
    return fitting * capacity.data_parallel


def if_declared(planned: Planned) -> Planned | None:
    """
    Return the plan with an 8-bit cache, where a name alone leaves open whether ``auto`` means one.

    Quantized checkpoints often declare one in their files; a name is no proof of it.
    """
    model, serving = planned.architecture, planned.serving
    often = (model.quantization or "").startswith(OFTEN_EIGHT_BIT)
    if not (model.by_name and often and model.kv_dtype is None and serving.kv_dtype == "auto"):
        return None
    wider = dataclasses.replace(serving, kv_dtype="fp8")
    return _planned(model, wider, planned.terms, planned.lengths)


def if_narrow(planned: Planned) -> Planned | None:
    """
    Return the plan with Mamba-2 states in 16 bits, where nobody says and a configuration means 32.

    Nemotron's recipes start engines with 16-bit states, which no configuration tells.
    """
    states = [cache for cache in planned.architecture.caches if isinstance(cache, StateCache)]
    wide = any(state.kind == "mamba2" and state.recurrent_bytes == WIDE_BYTES for state in states)
    if not wide or planned.serving.state_dtype is not None:
        return None
    narrow = dataclasses.replace(planned.serving, state_dtype="float16")
    return _planned(planned.architecture, narrow, planned.terms, planned.lengths)


def alternatives(planned: Planned) -> tuple[Alternative, ...]:
    """Return changes that let a replica hold more, the largest gain per GPU first."""
    before = planned.kv_requests / planned.serving.gpus
    found = [
        Alternative(change=change, requests=after.kv_requests, gpus=after.serving.gpus)
        for change, serving, terms in _changes(planned)
        if (after := _planned(planned.architecture, serving, terms, planned.lengths)) is not None
    ]
    better = (one for one in found if one.requests / one.gpus > before)
    return tuple(sorted(better, key=lambda one: -one.requests / one.gpus))


def _changes(planned: Planned) -> Iterator[tuple[str, Serving, MemoryTerms]]:
    serving, memory, estimate = planned.serving, planned.terms, planned.memory
    sixteen = not planned.capacity.kv_dtype.startswith(("fp8", "int", "nvfp4", "turboquant"))
    if sixteen and serving.caches_in_eight_bits:
        eight_bit = dataclasses.replace(serving, kv_dtype="fp8")
        yield "KV cache in 8 bits (--kv-cache-dtype fp8)", eight_bit, memory
    if estimate is None:
        return
    if not serving.gpu_sliced:
        yield from _more_ranks(planned)
    if estimate.utilization < MOST_UTILIZATION:
        flag = f"{FRACTION_FLAGS[serving.engine]} {MOST_UTILIZATION}"
        change = f"more of the GPU ({flag}), where nothing else runs on it"
        yield change, serving, dataclasses.replace(memory, utilization=MOST_UTILIZATION)
    plain = planned.architecture.quantization is None and memory.quantization is None
    if plain and memory.weights_gib is None:
        bits, stored = _fewer_bits(serving)
        change = f"weights in {bits} bits (an {stored} checkpoint)"
        yield change, serving, dataclasses.replace(memory, quantization=stored)


def _fewer_bits(serving: Serving) -> tuple[int, str]:
    """Return the format of fewer bits that this GPU has kernels for."""
    return (4, "awq") if serving.gpu_class is GpuClass.BEFORE_AMPERE else (8, "fp8")


def _more_ranks(planned: Planned) -> Iterator[tuple[str, Serving, MemoryTerms]]:
    """Yield the least of twice, four and eight times the ranks on which a request fits."""
    serving, memory = planned.serving, planned.terms
    for factor in (2, 4, 8):
        ranks = factor * serving.tensor_parallel
        wider = dataclasses.replace(serving, tensor_parallel=ranks)
        share = None if memory.weights_gib is None else memory.weights_gib / factor
        terms = dataclasses.replace(memory, weights_gib=share)
        after = _planned(planned.architecture, wider, terms, planned.lengths)
        if after is not None and after.kv_requests:
            yield f"more tensor parallelism (--tensor-parallel-size {ranks})", wider, terms
            return


def _planned(
    architecture: ModelArchitecture,
    serving: Serving,
    memory: MemoryTerms,
    lengths: RequestLengths | None = None,
) -> Planned | None:
    try:
        return plan(architecture, serving, memory, lengths)
    except ConfigurationError:
        return None
