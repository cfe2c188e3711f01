"""
What a request holds at a random moment: the law of its blocks.

Whoever looks at an engine sees long requests more often, by how long they stay, and each of them
somewhere in the middle of its output. With outputs of length O, what is generated so far has the
distribution function E[min(O, a)] / E[O] (the length-biased sampling of renewal theory: Cox 1962,
"Renewal Theory", section 5.2); the prompt comes on top, whole.

The property that must stay true: the mean length is E[(P + U·O)·O] / E[O], with prompt and output
taken as independent, since two histograms do not say how they go together.
"""

import bisect
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable

from scaler.capacity.kv_cache import KvLayout

from .lengths import LengthLaw

CELL_STEP = 1.05
"""Ratio between lengths that count as one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """
    The blocks that one request holds, seen at a random moment.

    ``blocks`` are distinct whole numbers, at least 1, in increasing order, ``shares`` the
    probability of each, above 0 and 1 together.
    """

    blocks: tuple[int, ...]
    shares: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Blocks on average."""
        return sum(b * s for b, s in zip(self.blocks, self.shares, strict=True))

    @property
    def deviation(self) -> float:
        """Standard deviation, blocks."""
        mean = self.mean
        squares = ((b - mean) ** 2 * s for b, s in zip(self.blocks, self.shares, strict=True))
        return math.sqrt(sum(squares))

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, float]]) -> "Footprint":
        """Return the law of pairs of blocks and weights, in any order; weights are scaled to 1."""
        weights: dict[int, float] = {}
        for blocks, weight in pairs:
            if weight > 0:
                weights[blocks] = weights.get(blocks, 0.0) + weight
        total, ordered = sum(weights.values()), sorted(weights)
        return cls(blocks=tuple(ordered), shares=tuple(weights[b] / total for b in ordered))


def footprint(
    prompt: LengthLaw, output: LengthLaw, layout: KvLayout, *, longest: int | None = None
) -> Footprint:
    """
    Return the blocks that a request holds at a random moment, under an engine's layout.

    A request ends when it reaches ``longest`` tokens (max_model_len), as engines end it; where
    every prompt is longer than that, requests of that length are meant.
    """
    most = prompt.tokens[-1] + output.tokens[-1]
    if longest is not None and longest < most:
        most = longest
    edges = _edges(_unit(layout), most)
    within = _lengths_within(prompt, output, edges)
    if within[-1].share <= 0:
        return Footprint(blocks=(layout.footprint_blocks(math.ceil(most)),), shares=(1.0,))
    cells = itertools.pairwise(zip((0.0, *edges), (_NOTHING, *within), strict=True))
    return Footprint.of(
        (_blocks_within(layout, low, high, (after.tokens - before.tokens) / share), share)
        for (low, before), (high, after) in cells
        if (share := after.share - before.share) > 0
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """Part of all moments: its share of them, and the sum over it of a length times its share."""

    share: float
    tokens: float


_NOTHING = _Part(0.0, 0.0)


def _lengths_within(
    prompt: LengthLaw, output: LengthLaw, edges: Iterable[float]
) -> tuple[_Part, ...]:
    """Return, for each length, the moments at which a request has at most that length."""
    generated = _generated_within(output)
    longest, mean_generated = output.tokens[-1], generated(output.tokens[-1])[1]
    shares = (0.0, *itertools.accumulate(prompt.shares))
    tokens = (
        0.0,
        *itertools.accumulate(
            share * (length + mean_generated)
            for length, share in zip(prompt.tokens, prompt.shares, strict=True)
        ),
    )

    def within(length: float) -> _Part:
        # Prompts that leave room for any output count whole, then those with room for some.
        whole = bisect.bisect_right(prompt.tokens, length - longest)
        begun = bisect.bisect_left(prompt.tokens, length)
        part_share, part_tokens = shares[whole], tokens[whole]
        for held, share in zip(prompt.tokens[whole:begun], prompt.shares[whole:begun], strict=True):
            moments, so_far = generated(length - held)
            part_share += share * moments
            part_tokens += share * (held * moments + so_far)
        return _Part(part_share, part_tokens)

    return tuple(map(within, edges))


def _generated_within(output: LengthLaw) -> Callable[[float], tuple[float, float]]:
    """
    Return what a request has generated at a random moment, up to so many tokens.

    The share of moments with at most that many, E[min(O, a)] / E[O], and the sum of tokens times
    share over them, E[min(O, a)²] / 2·E[O].
    """
    tokens, mean = output.tokens, output.mean
    pairs = tuple(zip(tokens, output.shares, strict=True))
    ended = tuple(itertools.accumulate((t * s for t, s in pairs), initial=0.0))
    squares = tuple(itertools.accumulate((t * t * s for t, s in pairs), initial=0.0))
    running = tuple(1 - done for done in itertools.accumulate(output.shares, initial=0.0))

    def within(most: float) -> tuple[float, float]:
        at = bisect.bisect_right(tokens, most)
        goes_on = running[at] * most
        return (ended[at] + goes_on) / mean, (squares[at] + goes_on * most) / (2 * mean)

    return within


def _unit(layout: KvLayout) -> int:
    """Return the tokens after which a footprint grows by a block at the earliest."""
    growing = (layout.block_tokens,) if layout.growing_groups else ()
    return min((*growing, *(w.block_tokens for w in layout.windows)), default=layout.block_tokens)


@functools.cache
def _edges(unit: int, most: float) -> tuple[float, ...]:
    """Return upper ends of cells of lengths, tokens: every unit at first, then in ratio."""
    ends = [1]
    while ends[-1] * unit < most:
        ends.append(max(ends[-1] + 1, int(ends[-1] * CELL_STEP)))
    return (*(float(end * unit) for end in ends[:-1]), most)


def _blocks_within(layout: KvLayout, low: float, high: float, mean: float) -> int:
    """Return the blocks held by requests over ``low`` and up to ``high`` tokens, by their mean."""
    if high - low <= _unit(layout):
        return layout.footprint_blocks(math.ceil(high))
    # In a wide cell, the mean over one block's worth of lengths.
    around = (mean + layout.block_tokens * eighths / 8 for eighths in (-3, -1, 1, 3))
    return round(sum(layout.footprint_blocks(math.ceil(length)) for length in around) / 4)
