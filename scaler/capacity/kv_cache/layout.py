"""
What a request holds in a KV cache, counted in the engine's own blocks.

Engines hand out memory in blocks. Layers whose cache grows with the text take one more block per
group for every ``block_tokens`` tokens; layers that look back over a window stop growing once the
window is full; state layers (Mamba, linear attention) hold the same from the first token to the
last. So a request's memory is an affine law of its length, and tokens alone say nothing about
hybrids: compare blocks with blocks.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WindowGroup:
    """A group of layers that keep the last tokens only; its blocks stop growing at ``most``."""

    block_tokens: int
    """Tokens that one of its blocks holds."""
    most_blocks: int
    """Blocks of this group that one decoding request holds at most."""

    def blocks(self, tokens: int) -> int:
        """Return the blocks that a request of this many tokens holds in this group."""
        return min(self.most_blocks, -(-tokens // self.block_tokens))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KvLayout:
    """
    The footprint law of one model in one engine under one parallel layout.

    ``growing_groups * ceil(tokens / block_tokens) + constant_blocks`` is what a request holds at
    most; ``footprint_blocks`` is the same, less what a short request does not fill of its windows.
    """

    block_tokens: int
    """Tokens that one block of a growing group holds (the longest, where groups differ)."""
    growing_groups: int
    """Blocks that every further ``block_tokens`` tokens of a request cost; 0 if none grows."""
    constant_blocks: int
    """Blocks that do not grow with a long request: states, and windows when full."""
    bytes_per_block_per_gpu: int
    """Memory of one block on the GPU that has the least room per block."""
    windows: tuple[WindowGroup, ...] = ()
    """The window groups that ``constant_blocks`` counts as full."""

    def footprint_blocks(self, tokens: int) -> int:
        """Return the blocks that a request of this many tokens (prompt and output so far) holds."""
        unfilled = sum(window.most_blocks - window.blocks(tokens) for window in self.windows)
        growing = self.growing_groups * -(-tokens // self.block_tokens)
        return growing + self.constant_blocks - unfilled
