"""
An engine that always runs N requests, simulated: what its requests hold at random moments.

One slot runs request after request; N slots are an engine with N requests. Nothing of the computed
law of footprints goes into it: it only draws lengths, lets requests arrive, grow and end, and looks
long after the start.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from scaler.capacity.kv_cache import KvLayout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Draw = Callable[[np.random.Generator, int], tuple[Ints, Ints]]
"""Prompts and outputs of so many requests, tokens, each at least 1."""


def lognormal_lengths(
    prompt: tuple[float, float], output: tuple[float, float], *, longest: int
) -> Draw:
    """
    Return lognormal lengths, each by its mean and its 95th percentile.

    A request ends at ``longest`` tokens; a prompt that leaves no room for an output is refused.
    """
    laws = [
        (math.log(mean) - sigma(p95 / mean) ** 2 / 2, sigma(p95 / mean))
        for mean, p95 in (prompt, output)
    ]

    def draw(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        prompts, outputs = (
            np.ceil(np.exp(mu + spread * rng.standard_normal(count))).astype(np.int64)
            for mu, spread in laws
        )
        while (refused := prompts >= longest).any():
            mu, spread = laws[0]
            again = np.exp(mu + spread * rng.standard_normal(int(refused.sum())))
            prompts[refused] = np.ceil(again).astype(np.int64)
        return prompts, np.minimum(outputs, longest - prompts)

    return draw


def sigma(ratio: float) -> float:
    """Return the σ of a lognormal by its 95th percentile over its mean, by bisection."""
    low, high = 0.0, Z95
    for _ in range(60):
        middle = (low + high) / 2
        short = math.exp(Z95 * middle - middle**2 / 2) < ratio
        low, high = (middle, high) if short else (low, middle)
    return low


Z95 = 1.6448536269514722


def pareto_quantile(share: Floats, exponent: float, low: float, high: float) -> Floats:
    """Return quantiles of a Pareto law between two lengths."""
    lengths: Floats = (low**-exponent - share * (low**-exponent - high**-exponent)) ** (
        -1 / exponent
    )
    return lengths


def pareto_lengths(prompt: tuple[float, float, float], output: tuple[float, float, float]) -> Draw:
    """Return heavy-tailed lengths, each by exponent, shortest and longest."""

    def draw(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        prompts, outputs = (
            np.ceil(pareto_quantile(rng.random(count), *law)).astype(np.int64)
            for law in (prompt, output)
        )
        return prompts, outputs

    return draw


def traced_lengths(prompts: Ints, outputs: Ints, *, together: bool) -> Draw:
    """Return lengths of a trace: pairs as they came, or prompts and outputs mixed anew."""

    def draw(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        one = rng.integers(0, len(prompts), count)
        other = one if together else rng.integers(0, len(outputs), count)
        return prompts[one], outputs[other]

    return draw


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slots:
    """How much is simulated."""

    slots: int
    moments: int
    """Moments at which every slot is looked at."""
    every: int | None = None
    """Steps between them, a token of every request each; None: at random, far apart."""


def held_blocks(draw: Draw, layout: KvLayout, size: Slots, rng: np.random.Generator) -> Ints:
    """Return the blocks that each slot's request holds, shape (moments, slots)."""
    prompt, output = draw(rng, size.slots)
    ends = output.copy()
    sizes = draw(rng, 100_000)[1].astype(np.float64)
    lived = float((sizes**2).mean() / sizes.mean())  # steps that a request seen at random lives
    at = int(3 * sizes.max())
    seen = np.empty((size.moments, size.slots), dtype=np.int64)
    for moment in range(size.moments):
        at += size.every or int(lived * (0.5 + rng.random()))
        while len(over := np.flatnonzero(ends < at)):
            prompt[over], output[over] = draw(rng, len(over))
            ends[over] += output[over]
        seen[moment] = prompt + at - (ends - output)
    lengths, where = np.unique(seen, return_inverse=True)
    blocks = np.array([layout.footprint_blocks(int(length)) for length in lengths], dtype=np.int64)
    return blocks[where].reshape(seen.shape)


def overflow_shares(
    held: Ints, caches: Sequence[int], counts: range, rng: np.random.Generator, *, sums: int
) -> Floats:
    """
    Return how often slots together hold more than each cache, shape (caches, counts).

    At least ``sums`` sums of slots at one moment, slots put together anew each round.
    """
    low, width = counts[0], counts[-1]
    groups = held.shape[1] // width
    over, rounds = np.zeros((len(caches), len(counts))), 0
    while rounds * groups * held.shape[0] < sums:
        mixed = rng.permutation(held, axis=1)[:, : groups * width].reshape(-1, width)
        mixed[:, low - 1] += mixed[:, : low - 1].sum(axis=1)
        total = np.cumsum(mixed[:, low - 1 :], axis=1)
        for row, blocks in enumerate(caches):
            over[row] += (total > blocks).mean(axis=0)
        rounds += 1
    return over / rounds
