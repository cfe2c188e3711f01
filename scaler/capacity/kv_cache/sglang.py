"""
SGLang's rules: a pool of tokens, and a second pool where some layers keep less than all.

What is left after the weights, less ``1 - mem_fraction_static`` of the GPU, is cut into cells of
one token. Sliding layers get a pool of their own (``--swa-full-tokens-ratio`` tokens for each token
of the full layers); states get ``--mamba-full-memory-ratio`` bytes for each byte of token memory.
Source: SGLang ``model_executor/model_runner.py`` and ``mem_cache/memory_pool.py`` (0.5.23).
"""

from scaler.capacity.architecture import AttentionCache, Cache, ModelArchitecture, StateCache
from scaler.errors import ConfigurationError, Problem

from . import pages
from .capacity import KvCapacity
from .layout import KvLayout
from .serving import Serving
from .tokens import cell_bytes, from_blocks, heaviest_stage


def capacity(architecture: ModelArchitecture, serving: Serving, available_bytes: int) -> KvCapacity:
    """
    Return what fits into ``available_bytes`` of token memory per GPU (the log's K and V sizes).

    Raises:
        ConfigurationError: a layout or dtype that SGLang refuses or that is not known here.
    """
    pages.check_split(architecture, serving)
    dtype = pages.kv_dtype(architecture, serving.kv_dtype)
    if dtype.startswith("fp8") and architecture.family == "sparse MLA":
        dtype = pages.SPARSE_LATENT
    stage = heaviest_stage(architecture, serving, dtype)
    page = serving.block_tokens or 1
    windows = tuple(cache for cache in stage if _is_window(cache))
    whole = tuple(cache for cache in stage if not _is_window(cache))
    if not any(not isinstance(cache, StateCache) for cache in whole):
        windows, whole = (), stage  # without a full layer all layers share one pool
    ranks = serving.tensor_parallel
    cell = cell_bytes(whole, dtype, ranks)
    if not cell + cell_bytes(windows, dtype, ranks):
        raise ConfigurationError(
            Problem(
                field="model",
                got=f"{architecture.name} on SGLang",
                allowed="not modelled here: it keeps states alone, and no tokens",
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
    states = sum(
        pages.state_bytes(cache, architecture, serving).total
        for cache in stage
        if isinstance(cache, StateCache)
    )
    if states:
        return int(available_bytes * serving.mamba_memory_ratio // states)
    spans = [
        cache.window_tokens or cache.chunk_tokens or 0
        for cache in stage
        if isinstance(cache, AttentionCache) and not cache.grows
    ]
    if not spans or len(spans) == len(stage):
        return None
    page = serving.block_tokens or 1
    return int(tokens * serving.swa_tokens_ratio) // page * page // (max(spans) + page)
