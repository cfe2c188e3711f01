"""
vLLM's hybrid KV cache manager: layers of different kinds drawn from one pool of equal blocks.

Layers are bucketed by what they keep, page sizes are made equal (a smaller page gets a longer
block, a state is padded), and every bucket is cut into groups of the same number of layers. A
block then costs ``group size × page`` whatever group asked for it. Source: vLLM
``v1/core/kv_cache_utils.py``, 0.9.1 to 0.32 (``get_kv_cache_groups`` and what it calls).
"""

import collections
import dataclasses
import enum
import math

from scaler.errors import ConfigurationError, Problem
from scaler.said import Said


class Kind(enum.StrEnum):
    """How long a cache lives."""

    FULL = "full"
    SLIDING = "sliding"
    CHUNKED = "chunked"
    STATE = "state"
    RING = "ring"
    """One block per request, written round and round."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One block of one cache: what kind, how many bytes on a GPU, how many tokens."""

    kind: Kind
    page_bytes: int
    block_tokens: int
    span_tokens: int = 0
    """Window or chunk; 0 where there is none."""
    shape: tuple[int, ...] = ()
    """What else makes two layers' caches different (heads, head size)."""
    rigid: bool = False
    """A latent or indexer page, which cannot be padded to a foreign size."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers that share a block table; ``bytes_by_stage`` is what one block costs each stage."""

    page: Page
    bytes_by_stage: tuple[int, ...]


def group_pages(stages: tuple[tuple[Page, ...], ...], most_ratio: float) -> tuple[Group, ...]:
    """
    Return the groups of a model whose pages are given per pipeline stage.

    ``most_ratio`` is how much larger than the smallest bucket the largest may be for the largest
    to set the group size (1: never).
    """
    placed = [(page, stage) for stage, pages in enumerate(stages) for page in pages]
    if len({(page.kind, page.span_tokens) for page, _ in placed}) == 1:
        return (_one_group(placed, len(stages)),)
    equal = unify_pages(tuple(page for page, _ in placed))
    buckets: dict[Page, list[int]] = collections.defaultdict(list)
    for page, (_, stage) in zip(equal, placed, strict=True):
        buckets[page].append(stage)
    size = group_size(tuple(len(layers) for layers in buckets.values()), most_ratio)
    return tuple(
        Group(page=page, bytes_by_stage=_per_stage(page, layers[start::count], len(stages)))
        for page, layers in buckets.items()
        if (count := -(-len(layers) // size))
        for start in range(count)
    )


def group_size(buckets: tuple[int, ...], most_ratio: float) -> int:
    """Return the layers per group: the smallest bucket, or the largest where they are close."""
    least, most = min(buckets), max(buckets)
    return most if most < least * most_ratio else least


def unify_pages(pages: tuple[Page, ...]) -> tuple[Page, ...]:
    """
    Return the pages made equally large: longer blocks where that divides, padding elsewhere.

    Raises:
        ConfigurationError: a latent page that neither divides nor may be padded.
    """
    largest = max(page.page_bytes for page in pages)
    return tuple(_resized(page, largest) for page in pages)


def _resized(page: Page, largest: int) -> Page:
    if page.page_bytes == largest:
        return page
    if page.kind is Kind.STATE:
        return dataclasses.replace(page, page_bytes=largest)
    if largest % page.page_bytes == 0:
        longer = page.block_tokens * (largest // page.page_bytes)
        return dataclasses.replace(page, page_bytes=largest, block_tokens=longer)
    if page.rigid:
        raise ConfigurationError(
            Problem(
                field="model",
                got=Said(
                    "latent pages of {page_bytes} bytes beside pages of {largest}, which they do"
                    " not divide, are not modelled here",
                    page_bytes=page.page_bytes,
                    largest=largest,
                ),
            )
        )
    return dataclasses.replace(page, page_bytes=largest)


def _one_group(placed: list[tuple[Page, int]], stages: int) -> Group:
    totals = [0] * stages
    for page, stage in placed:
        totals[stage] += page.page_bytes
    return Group(page=placed[0][0], bytes_by_stage=tuple(totals))


def _per_stage(page: Page, layers: list[int], stages: int) -> tuple[int, ...]:
    counts = collections.Counter(layers)
    return tuple(counts[stage] * page.page_bytes for stage in range(stages))


def aligned_block(
    *, state_bytes: int, token_bytes: int, smallest_block: int, kernel_block: int
) -> int:
    """
    Return the tokens per block of a model with states: a state has to fit into a page.

    The block is the least multiple of ``kernel_block`` whose page is at least a state, and never
    less than ``smallest_block`` (what was asked for).
    """
    least = kernel_block * math.ceil(state_bytes / (kernel_block * token_bytes))
    return max(smallest_block, least)
