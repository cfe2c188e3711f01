"""
SGLang's rules: a pool of tokens, and a second pool where some layers keep less than all.

What is left after the weights, less ``1 - mem_fraction_static`` of the GPU, is cut into cells of
one token. Sliding layers of some families get a pool of their own (``--swa-full-tokens-ratio``
tokens for each token of the full layers), those of others keep all tokens; states get
``--mamba-full-memory-ratio`` bytes for each byte of token memory. A running request takes several
state slots: its own, and those that the prefix cache keeps for it.
Sources: SGLang ``mem_cache/kv_cache_configurator.py`` (``_calculate_mamba_ratio``),
``mem_cache/memory_pool.py`` and ``configs/mamba_utils.py``, 0.5.17 to 0.5.23.
"""

import dataclasses

from scaler.capacity.architecture import AttentionCache, Cache, ModelArchitecture, StateCache
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from . import pages
from .capacity import KvCapacity
from .layout import KvLayout
from .serving import Serving
from .tokens import cell_bytes, from_blocks, heaviest_stage

WIDE_BYTES = 4
"""A state's elements are 32 bits wide by default (``mamba2_state_dtype``)."""
SLOTS_PER_REQUEST = 5
"""
Three, and two that are written in turns (``--mamba-radix-cache-strategy extra_buffer``, with the
overlapping scheduler): what ``auto`` chooses for most hybrids. Without a radix cache it is one.
"""
SLOTS_OF_CONVOLUTIONS = 3
"""
LFM2's: its architectures are not among those that write in turns (``arg_groups/overrides.py``,
``_MAMBA_EXTRA_BUFFER_ARCHS`` of 0.5.23).
"""


def capacity(architecture: ModelArchitecture, serving: Serving, available_bytes: int) -> KvCapacity:
    """
    Return what fits into ``available_bytes`` of token memory per GPU (the log's K and V sizes).

    Raises:
        ConfigurationError: a layout or dtype that is not modelled here.
    """
    pages.check_split(architecture, serving)
    dtype = pages.kv_dtype(architecture, serving.kv_dtype)
    if dtype.startswith("fp8") and architecture.family == "sparse MLA":
        dtype = pages.SPARSE_LATENT
    stage = heaviest_stage(architecture, serving, dtype)
    page = serving.block_tokens or 1
    apart = architecture.windows_apart
    windows = tuple(cache for cache in stage if apart and _is_window(cache))
    whole = tuple(cache for cache in stage if cache not in windows)
    if not any(not isinstance(cache, StateCache) for cache in whole):
        windows, whole = (), stage  # without a full layer all layers share one pool
    ranks = serving.tensor_parallel
    cell = cell_bytes(whole, dtype, ranks)
    if not cell + cell_bytes(windows, dtype, ranks):
        raise ConfigurationError(
            Problem(
                field="model",
                got=Said(
                    "{name} on SGLang is not modelled here: it keeps states alone, and no tokens",
                    name=architecture.name,
                ),
            )
        )
    window_cell = serving.swa_tokens_ratio * cell_bytes(windows, dtype, ranks)
    tokens = int(max(0, available_bytes) // (cell + window_cell)) // page * page
    return from_blocks(
        serving,
        KvLayout(
            block_tokens=page,
            growing_groups=1,
            constant_blocks=0,
            bytes_per_block_per_gpu=page * cell,
        ),
        num_blocks=tokens // page,
        available_bytes=available_bytes,
        longest=serving.max_model_len or architecture.max_position_embeddings,
        dtype=dtype,
        request_slots=_slots(architecture, serving, available_bytes, tokens=tokens, stage=stage),
    )


def _is_window(cache: Cache) -> bool:
    return isinstance(cache, AttentionCache) and not cache.grows


def _slots(
    architecture: ModelArchitecture,
    serving: Serving,
    available_bytes: int,
    *,
    tokens: int,
    stage: tuple[Cache, ...],
) -> int | None:
    """Return the requests that the second pool admits, or None where there is none."""
    kept = [cache for cache in stage if isinstance(cache, StateCache)]
    if kept:
        states = sum(_state_bytes(cache, architecture, serving) for cache in kept)
        budget = int(available_bytes * serving.mamba_memory_ratio)
        convolutions = all(cache.kind == "short-conv" for cache in kept)
        turns = SLOTS_OF_CONVOLUTIONS if convolutions else SLOTS_PER_REQUEST
        return _requests_of_states(budget, states, serving, turns)
    spans = [
        cache.window_tokens or cache.chunk_tokens or 0
        for cache in stage
        if isinstance(cache, AttentionCache) and not cache.grows
    ]
    if not architecture.windows_apart or not spans or len(spans) == len(stage):
        return None
    page = serving.block_tokens or 1
    return int(tokens * serving.swa_tokens_ratio) // page * page // (max(spans) + page)


def _state_bytes(cache: StateCache, architecture: ModelArchitecture, serving: Serving) -> int:
    """Return one layer's state: the recurrent part in 32 bits unless something says otherwise."""
    wide = dataclasses.replace(cache, recurrent_bytes=cache.recurrent_bytes or WIDE_BYTES)
    plain = dataclasses.replace(serving, speculative_tokens=0)  # drafts have a buffer of their own
    return pages.state_bytes(wide, architecture, plain).total


def _requests_of_states(budget: int, states: int, serving: Serving, turns: int) -> int:
    """
    Return the requests whose states fit into a budget of bytes, ``turns`` slots for each.

    The pool has one slot more than it gives out; each drafted token of a running request keeps a
    state of its own beside the slots.
    """
    each = 1 if serving.prefix_caching is False else turns
    drafted = serving.drafted_tokens + 1 if serving.drafted_tokens else 0
    slots = (budget - states * (1 + drafted)) * each // (states * (each + drafted))
    return max(0, slots // each)
