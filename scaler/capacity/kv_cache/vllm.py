"""
vLLM: from layers to groups, from memory to blocks, and what its log prints.

The rules by version are in ``vllm_rules.py``, the grouping in ``groups.py``.
"""

import dataclasses

from scaler.capacity.architecture import (
    AttentionCache,
    Cache,
    LatentCache,
    ModelArchitecture,
    PackedCache,
    StateCache,
)
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from . import pages
from .capacity import CapacityStep, KvCapacity, capacity_tokens, longest_step
from .groups import Group, Kind, Page, group_pages
from .layout import KvLayout, WindowGroup
from .packed import pack_pages, refuse_unread
from .serving import Serving
from .stages import caches_by_stage
from .vllm_rules import (
    CHUNKED_GROUPS_OFF,
    DERIVED_TOKENS_SINCE,
    GROUP_RATIOS,
    GROUPS_SINCE,
    LATENT_SINCE,
    ROUNDED_HEAD,
    V0_LATENT_ALIGNMENT,
    batched_tokens,
    batches_in_flight,
    block_tokens,
    keys_hold_states,
    resolved_dtype,
    state_blocks,
    version,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """The groups of one engine, and what a request needs of each."""

    groups: tuple[Group, ...]
    serving: Serving
    state_kind: str

    @property
    def block_bytes(self) -> int:
        """Bytes of one block on the stage where it costs most."""
        return max(max(group.bytes_by_stage) for group in self.groups)

    def request_blocks(self, max_model_len: int) -> int:
        """Return the blocks that the engine counts for a request of max_model_len."""
        return sum(self._group_blocks(group.page, max_model_len) for group in self.groups)

    def _group_blocks(self, page: Page, longest: int) -> int:
        serving = self.serving
        in_flight = batches_in_flight(serving) * batched_tokens(serving)
        match page.kind:
            case Kind.FULL:
                share = -(-longest // serving.context_parallel)
                return -(-share // page.block_tokens)
            case Kind.SLIDING:
                kept = min(page.span_tokens - 1 + in_flight, longest)
                return -(-kept // page.block_tokens) + 1
            case Kind.CHUNKED:
                return -(-min(page.span_tokens + in_flight, longest) // page.block_tokens)
            case Kind.STATE:
                return state_blocks(serving, self.state_kind)
            case Kind.RING:
                return 1

    def layout(self) -> KvLayout:
        """Return what a request holds while it decodes; prefills in flight are reserved once."""
        full = [group.page for group in self.groups if group.page.kind is Kind.FULL]
        states = sum(group.page.kind is Kind.STATE for group in self.groups)
        windows = tuple(
            WindowGroup(
                block_tokens=group.page.block_tokens,
                most_blocks=self._decoding_blocks(group.page),
            )
            for group in self.groups
            if group.page.kind in (Kind.SLIDING, Kind.CHUNKED)
        )
        longest = max(page.block_tokens for page in full) if full else 0
        held = states * state_blocks(self.serving, self.state_kind)
        held += sum(group.page.kind is Kind.RING for group in self.groups)
        return KvLayout(
            block_tokens=(longest or self.groups[0].page.block_tokens)
            * self.serving.context_parallel,
            growing_groups=len(full),
            constant_blocks=held + sum(window.most_blocks for window in windows),
            bytes_per_block_per_gpu=self.block_bytes,
            windows=windows,
        )

    def _decoding_blocks(self, page: Page) -> int:
        if page.kind is Kind.CHUNKED:
            return -(-page.span_tokens // page.block_tokens)
        new = batches_in_flight(self.serving) * (1 + self.serving.drafted_tokens)
        return -(-(page.span_tokens - 1 + new) // page.block_tokens) + 1

    def prefill_blocks(self) -> int:
        """Return the window blocks that prefills in flight hold together, above decoding."""
        in_flight = batches_in_flight(self.serving) * batched_tokens(self.serving)
        return sum(
            -(-in_flight // group.page.block_tokens)
            for group in self.groups
            if group.page.kind in (Kind.SLIDING, Kind.CHUNKED)
        )

    def printed_tokens(self, num_blocks: int, longest: int | None) -> int | None:
        """Return the tokens that the log of this version prints."""
        serving = self.serving
        if version(serving) >= DERIVED_TOKENS_SINCE:
            if longest is None:
                return None
            return int(num_blocks / self.request_blocks(longest) * longest)
        shortest = min(
            longest or group.page.block_tokens
            if group.page.kind is Kind.STATE
            else group.page.block_tokens
            for group in self.groups
        )
        return num_blocks // len(self.groups) * shortest * serving.context_parallel


def capacity(architecture: ModelArchitecture, serving: Serving, available_bytes: int) -> KvCapacity:
    """
    Return what fits into ``available_bytes`` of cache per GPU.

    Raises:
        ConfigurationError: a layout or dtype that is not modelled here.
    """
    pages.check_split(architecture, serving)
    if version(serving).v0 and any(isinstance(c, StateCache) for c in architecture.caches):
        raise ConfigurationError(
            Problem(
                field="engine_version",
                got=Said(
                    "{name} is modelled from 0.9 on: V0 keeps states outside the pool that it"
                    " sizes",
                    name=architecture.name,
                ),
            )
        )
    dtype = resolved_dtype(architecture, serving)
    pool = _pool(pages.with_boundaries(architecture, dtype), serving, dtype)
    longest = serving.max_model_len or architecture.max_position_embeddings
    num_blocks = max(0, available_bytes) // pool.block_bytes
    layout = pool.layout()
    null_block = 0 if version(serving).v0 else 1
    return KvCapacity(
        layout=layout,
        num_blocks=num_blocks,
        reserved_blocks=null_block + pool.prefill_blocks(),
        cache_bytes_per_gpu=available_bytes,
        capacity_tokens=capacity_tokens(layout, num_blocks),
        reported_tokens=pool.printed_tokens(num_blocks, longest),
        max_model_len=longest,
        max_concurrency=num_blocks / pool.request_blocks(longest) if longest else None,
        longest_request_blocks=pool.request_blocks(longest) if longest else None,
        data_parallel=serving.data_parallel,
        kv_dtype=dtype,
        steps=_steps(pool, layout, num_blocks, longest),
    )


def _pool(architecture: ModelArchitecture, serving: Serving, dtype: str) -> _Pool:
    block = block_tokens(architecture, serving, dtype)
    stages = tuple(
        tuple(_page(cache, architecture, serving, dtype, block) for cache in caches)
        for caches in caches_by_stage(architecture, serving)
    )
    release = version(serving)
    ratio = next((ratio for since, ratio in GROUP_RATIOS if release >= since), 1.0)
    kinds = [cache.kind for cache in architecture.caches if isinstance(cache, StateCache)]
    packed = any(isinstance(cache, PackedCache) for cache in architecture.caches)
    if packed:
        refuse_unread(architecture, serving)
    return _Pool(
        groups=pack_pages(stages) if packed else group_pages(_promoted(stages, serving), ratio),
        serving=serving,
        state_kind=kinds[0] if kinds else "",
    )


def _page(
    cache: Cache, architecture: ModelArchitecture, serving: Serving, dtype: str, block: int
) -> Page:
    if isinstance(cache, StateCache):
        return _state_page(cache, architecture, serving, dtype, block)
    if isinstance(cache, PackedCache):
        return _packed_page(cache, serving, block)
    alignment = V0_LATENT_ALIGNMENT if version(serving).v0 else 1
    if isinstance(cache, LatentCache) and version(serving) < LATENT_SINCE:
        size = -(-(cache.nope_dim + cache.rope_dim) // ROUNDED_HEAD) * ROUNDED_HEAD
        cache = AttentionCache(kv_heads=cache.heads, head_dim=size, value_dim=size)
    per_token = pages.token_bytes(cache, dtype, serving.tensor_parallel, latent_alignment=alignment)
    kind, span = Kind.FULL, 0
    shape: tuple[int, ...] = (per_token,)
    if isinstance(cache, AttentionCache):
        shape = (cache.kv_heads, cache.head_dim, cache.value_dim, int(cache.unquantized))
        if cache.chunk_tokens is not None:
            kind, span = Kind.CHUNKED, cache.chunk_tokens
        elif cache.window_tokens is not None:
            kind, span = Kind.SLIDING, cache.window_tokens
    return Page(
        kind=kind,
        page_bytes=block * per_token,
        block_tokens=block,
        span_tokens=span,
        shape=shape,
        rigid=not isinstance(cache, AttentionCache),
    )


def _packed_page(cache: PackedCache, serving: Serving, block: int) -> Page:
    tokens = cache.block_tokens or block
    if cache.ring:  # drafts are written before they are accepted: whole rings more
        tokens *= _power_of_two(-(-(tokens + serving.drafted_tokens) // tokens))
    size = tokens // cache.tokens_per_row * cache.row_bytes
    size = -(-size // cache.alignment) * cache.alignment
    kind = Kind.RING if cache.ring else Kind.FULL if cache.window_tokens is None else Kind.SLIDING
    return Page(
        kind=kind,
        page_bytes=size,
        block_tokens=tokens,
        span_tokens=cache.window_tokens or 0,
        rigid=True,
    )


def _power_of_two(number: int) -> int:
    """Return the least power of two that is not below a number."""
    return 1 << (number - 1).bit_length()


def _state_page(
    cache: StateCache, architecture: ModelArchitecture, serving: Serving, dtype: str, block: int
) -> Page:
    state = pages.state_bytes(cache, architecture, serving)
    size = state.total
    if any(isinstance(other, PackedCache) for other in architecture.caches):
        size = block * max(
            pages.token_bytes(other, dtype, serving.tensor_parallel)
            for other in architecture.caches
            if isinstance(other, LatentCache | AttentionCache)
        )
    if keys_hold_states(serving):
        size = state.tail + block * max(
            pages.token_bytes(other, dtype, serving.tensor_parallel)
            for other in architecture.caches
        )
    shape = (size, int(cache.replicated))
    return Page(kind=Kind.STATE, page_bytes=size, block_tokens=block, shape=shape)


def _promoted(
    stages: tuple[tuple[Page, ...], ...], serving: Serving
) -> tuple[tuple[Page, ...], ...]:
    """Return the pages with windows kept whole where this version does not free them."""
    kinds = {page.kind for stage in stages for page in stage}
    release = version(serving)
    by_itself = release >= GROUPS_SINCE and not (
        Kind.CHUNKED in kinds and CHUNKED_GROUPS_OFF[0] <= release < CHUNKED_GROUPS_OFF[1]
    )
    allowed = by_itself if serving.hybrid_groups is None else serving.hybrid_groups
    if (allowed and not release.v0) or (Kind.FULL not in kinds and not release.v0):
        return stages
    return tuple(
        tuple(
            page
            if page.kind is Kind.STATE
            else dataclasses.replace(page, kind=Kind.FULL, span_tokens=0)
            for page in stage
        )
        for stage in stages
    )


def _steps(
    pool: _Pool, layout: KvLayout, num_blocks: int, longest: int | None
) -> tuple[CapacityStep, ...]:
    kinds = ", ".join(
        f"{sum(group.page.kind is kind for group in pool.groups)} {kind}"
        for kind in Kind
        if any(group.page.kind is kind for group in pool.groups)
    )
    steps = [
        CapacityStep(
            name="groups",
            value=len(pool.groups),
            unit="groups",
            why=f"layers that share a block table: {kinds}; all draw from one pool",
        ),
        CapacityStep(
            name="block",
            value=layout.block_tokens,
            unit="tokens",
            why="tokens that one block of a growing group holds",
        ),
        CapacityStep(
            name="block bytes",
            value=layout.bytes_per_block_per_gpu,
            unit="bytes per GPU",
            why="the pages of one group's layers on the GPU that holds most of them",
        ),
        CapacityStep(
            name="blocks",
            value=num_blocks,
            unit="blocks",
            why=f"cache memory / {layout.bytes_per_block_per_gpu:,} bytes, whole blocks",
        ),
    ]
    if longest:
        steps.append(longest_step(num_blocks, pool.request_blocks(longest), longest))
    return tuple(steps)
