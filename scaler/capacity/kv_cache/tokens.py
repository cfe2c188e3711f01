"""
Engines that count a cache in tokens: every layer of a token at once, in one pool.

``cell_bytes`` is what one token costs the GPU that holds most layers.
"""

from scaler.capacity.architecture import Cache, ModelArchitecture, StateCache

from . import pages
from .capacity import CapacityStep, KvCapacity, longest_step
from .layout import KvLayout
from .serving import Serving
from .stages import caches_by_stage


def cell_bytes(caches: tuple[Cache, ...], dtype: str, ranks: int) -> int:
    """Return the bytes of one token in these caches on one GPU."""
    return sum(pages.token_bytes(cache, dtype, ranks) for cache in caches)


def heaviest_stage(
    architecture: ModelArchitecture, serving: Serving, dtype: str
) -> tuple[Cache, ...]:
    """Return the caches of the pipeline stage whose token costs most."""
    stages = caches_by_stage(architecture, serving)
    return max(stages, key=lambda caches: cell_bytes(caches, dtype, serving.tensor_parallel))


def has_states(architecture: ModelArchitecture) -> bool:
    """Whether any layer keeps a recurrent state."""
    return any(isinstance(cache, StateCache) for cache in architecture.caches)


def uniform_capacity(
    architecture: ModelArchitecture,
    serving: Serving,
    available_bytes: int,
    *,
    block_tokens: int,
) -> KvCapacity:
    """Return the capacity of one pool of equal blocks in which every layer keeps every token."""
    pages.check_split(architecture, serving)
    dtype = pages.kv_dtype(architecture, serving.kv_dtype)
    stage = heaviest_stage(architecture, serving, dtype)
    block = block_tokens * cell_bytes(stage, dtype, serving.tensor_parallel)
    return from_blocks(
        serving,
        KvLayout(
            block_tokens=block_tokens,
            growing_groups=1,
            constant_blocks=0,
            bytes_per_block_per_gpu=block,
        ),
        num_blocks=max(0, available_bytes) // block,
        available_bytes=available_bytes,
        longest=serving.max_model_len or architecture.max_position_embeddings,
        dtype=dtype,
    )


def from_blocks(
    serving: Serving,
    layout: KvLayout,
    *,
    num_blocks: int,
    available_bytes: int,
    longest: int | None,
    dtype: str,
    request_slots: int | None = None,
) -> KvCapacity:
    """Return the capacity of a token pool, and of the slots beside it."""
    tokens = num_blocks * layout.block_tokens
    needed = layout.footprint_blocks(longest) if longest else None
    most = num_blocks / needed if needed else None
    if most is not None and request_slots is not None:
        most = min(most, request_slots)
    return KvCapacity(
        layout=layout,
        num_blocks=num_blocks,
        cache_bytes_per_gpu=available_bytes,
        request_slots=request_slots,
        capacity_tokens=tokens,
        reported_tokens=tokens,
        max_model_len=longest,
        max_concurrency=most,
        longest_request_blocks=needed,
        data_parallel=serving.data_parallel,
        kv_dtype=dtype,
        steps=_steps(layout, num_blocks, longest, request_slots),
    )


def _steps(
    layout: KvLayout, num_blocks: int, longest: int | None, request_slots: int | None
) -> tuple[CapacityStep, ...]:
    per_token = layout.bytes_per_block_per_gpu // layout.block_tokens
    steps = [
        CapacityStep(
            name="bytes per token",
            value=per_token,
            unit="bytes per GPU",
            why="all layers of the stage that holds most of them, heads divided by ranks",
        ),
        CapacityStep(
            name="blocks",
            value=num_blocks,
            unit=f"blocks of {layout.block_tokens} tokens",
            why=f"token memory / {layout.bytes_per_block_per_gpu:,} bytes, whole blocks",
        ),
    ]
    if request_slots is not None:
        steps.append(
            CapacityStep(
                name="request slots",
                value=request_slots,
                unit="requests",
                why="a second pool holds states or windows: each request takes a share of it",
            )
        )
    if longest:
        steps.append(longest_step(num_blocks, layout.footprint_blocks(longest), longest))
    return tuple(steps)
