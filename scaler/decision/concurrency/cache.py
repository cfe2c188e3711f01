"""
One replica's KV cache as a decision sees it: blocks the engine reports, else computed ones.

The property that must stay true: blocks are the engine's own. A count of tokens becomes blocks for
uniform models alone, since for hybrids it says nothing about how many requests fit.
"""

import dataclasses
from collections.abc import Iterator

from scaler.capacity.kv_cache import KvLayout
from scaler.decision.policy import InferencePolicy
from scaler.decision.sample import Replica, Sample
from scaler.said import Said

NULL_BLOCKS = 1
"""The block that vLLM keeps for itself."""
LARGEST_DIFFERENCE = 0.10
"""Between reported and computed blocks, before somebody should look."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """The KV cache of each engine of a replica, in blocks, and what requests hold in it."""

    layout: KvLayout
    blocks: int
    """Blocks of one engine that requests can hold."""
    engines: int = 1
    """Data-parallel engines in a replica, each with a cache of its own."""
    request_slots: int | None = None
    """Requests that one engine's pool of states or windows admits, whatever their length."""
    origin: str
    """Who says so."""


def cache_of(sample: Sample, policy: InferencePolicy) -> Cache | None:
    """Return the smallest cache among the replicas; None: the footprint law or blocks unknown."""
    layout, capacity = policy.kv_layout, policy.kv_capacity
    if layout is None:
        return None
    reported = min(_reported_blocks(sample, layout), default=None)
    engines = engines_of(policy)
    if reported is not None:
        reserved = NULL_BLOCKS if capacity is None else capacity.reserved_blocks
        return Cache(
            layout=layout,
            blocks=max(0, int(reported) // engines - reserved),
            engines=engines,
            request_slots=None if capacity is None else capacity.request_slots,
            origin="as the engine reports",
        )
    if capacity is None:
        return None
    return Cache(
        layout=layout,
        blocks=capacity.usable_blocks,
        engines=engines,
        request_slots=capacity.request_slots,
        origin="computed from the model and the GPU",
    )


def engines_of(policy: InferencePolicy) -> int:
    """Return the data-parallel engines of a replica, 1 where nothing is known."""
    return 1 if policy.kv_capacity is None else policy.kv_capacity.data_parallel


def difference_note(sample: Sample, policy: InferencePolicy) -> str | None:
    """Return a warning where the cache that is computed is not the one that is reported."""
    capacity = policy.kv_capacity
    if capacity is None:
        return None
    reported = min(_reported_blocks(sample, capacity.layout), default=None)
    computed = capacity.num_blocks * capacity.data_parallel
    if not reported or abs(computed / reported - 1) <= LARGEST_DIFFERENCE:
        return None
    return Said(
        "The engine reports {reported:,.0f} blocks of KV cache, and {computed:,} were computed"
        " ({off:+.0%}): another process on the GPU, or a wrong model or flag.",
        reported=reported,
        computed=computed,
        off=computed / reported - 1,
    )


def _reported_blocks(sample: Sample, layout: KvLayout) -> Iterator[float]:
    for replica in sample.replicas:
        blocks = _blocks(replica, layout)
        if blocks is not None and blocks >= 1:
            yield blocks


def _blocks(replica: Replica, layout: KvLayout) -> float | None:
    if replica.kv_blocks is not None or replica.kv_capacity_tokens is None:
        return replica.kv_blocks
    uniform = layout.growing_groups == 1 and not layout.constant_blocks
    return replica.kv_capacity_tokens // layout.block_tokens if uniform else None
