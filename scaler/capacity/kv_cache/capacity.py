"""
What fits on one replica, and the steps that lead there.

The steps are part of the answer: each is a number with its unit and the sentence that says where
it came from, so that a person can follow them with a pencil.
"""

import dataclasses

from .layout import KvLayout

GIB = 2**30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CapacityStep:
    """One line of the calculation."""

    name: str
    value: float
    unit: str
    why: str


def longest_step(num_blocks: int, needed: int, longest_tokens: int) -> CapacityStep:
    """Return how many requests of the longest kind fit, ``needed`` blocks each."""
    return CapacityStep(
        name="max concurrency",
        value=num_blocks / needed,
        unit="requests",
        why=f"{num_blocks:,} blocks / {needed:,} blocks of a request of {longest_tokens:,} tokens",
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KvCapacity:
    """The KV cache of one engine (one data-parallel rank): blocks, and what the engine prints."""

    layout: KvLayout
    num_blocks: int
    reserved_blocks: int = 0
    """Blocks that requests cannot be given: vLLM's null block, and prefills in flight."""
    cache_bytes_per_gpu: int
    request_slots: int | None = None
    """Requests that a second pool (states, windows) admits whatever their length; None: any."""
    capacity_tokens: int
    """Tokens that fit, held by one request after another."""
    reported_tokens: int | None
    """What this version of the engine prints at start; None: it needs a max_model_len."""
    max_model_len: int | None
    max_concurrency: float | None
    """Requests of max_model_len that fit, as the engine counts them."""
    longest_request_blocks: int | None = None
    """Blocks that the engine counts for one request of max_model_len."""
    data_parallel: int = 1
    """Engines like this one in a replica."""
    kv_dtype: str
    steps: tuple[CapacityStep, ...] = ()

    @property
    def usable_blocks(self) -> int:
        """Blocks that requests can hold."""
        return max(0, self.num_blocks - self.reserved_blocks)

    @property
    def bytes_per_token_per_gpu(self) -> float:
        """What one more token of a long request costs on one GPU."""
        layout = self.layout
        return layout.growing_groups * layout.bytes_per_block_per_gpu / layout.block_tokens

    @property
    def constant_bytes_per_request_per_gpu(self) -> int:
        """What a request costs on one GPU however short it is, windows counted as full."""
        return self.layout.constant_blocks * self.layout.bytes_per_block_per_gpu


def capacity_tokens(layout: KvLayout, num_blocks: int) -> int:
    """Return the tokens of one request that would fill the blocks."""
    if not layout.growing_groups:
        return num_blocks * layout.block_tokens
    free = max(0, num_blocks - layout.constant_blocks)
    return free // layout.growing_groups * layout.block_tokens
