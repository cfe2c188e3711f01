"""
vLLM's packed blocks: pages of different sizes side by side, for models whose code lays them out.

DeepSeek V4, GLM-5.3-Flash and Qwen3.8-Flash-Next keep latents, pooled keys, windows and rings in
pages that cannot be made equal. Their attention backends ask for a layout in which a block holds
one page of each layer of a group, and every group's block costs what the widest group's does.
Layers are bucketed by what they keep; a bucket with one page size for each repeat of the layer
pattern is cut into groups of equally many repeats. Source: vLLM ``v1/core/kv_cache_planning.py``
(``_get_packed_kv_cache_groups``), 0.30 to 0.33.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from scaler.capacity.architecture import LatentCache, ModelArchitecture
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from .groups import Group, Kind, Page
from .serving import GpuClass, Serving
from .vllm_rules import PACKED_SINCE, version

Placed = tuple[Page, int]
"""A page, and the pipeline stage that holds it."""


ROW_DTYPES = ("auto", "fp8", "fp8_e4m3", "fp8_ds_mla")
"""KV dtypes under which DeepSeek V4's rows are those of ``compressed.py``."""
SPARSE_DTYPES = ("auto", "bfloat16", "fp8", "fp8_e4m3")
"""KV dtypes of Qwen's sparse attention (vLLM ``models/qwen4_exp/nvidia/qsa.py``)."""
ROW_GPUS = (GpuClass.HOPPER, GpuClass.OTHER)
"""Where its attention reads such rows; Blackwell's kernels and Ascend's have others."""


def refuse_unread(architecture: ModelArchitecture, serving: Serving) -> None:
    """
    Refuse what was not read in the engine's source, or not followed to a log's numbers.

    Raises:
        ConfigurationError: a drafter, an earlier version, another GPU or dtype.
    """
    name, release = architecture.name, version(serving)
    whole = architecture.family == "compressed MLA"
    latent = whole or any(isinstance(cache, LatentCache) for cache in architecture.caches)
    drafts = latent and serving.draft_layers and architecture.drafter is None
    checks = (
        (
            drafts,
            "draft_layers",
            str(serving.draft_layers),
            Said("0: its drafter's caches are not modelled here"),
        ),
        (
            release < PACKED_SINCE,
            "version",
            str(release),
            _only(Said("{version} or later", version=PACKED_SINCE)),
        ),
        (
            whole and serving.kv_dtype.lower() not in ROW_DTYPES,
            "kv_dtype",
            serving.kv_dtype,
            _only(", ".join(ROW_DTYPES)),
        ),
        (
            not latent and serving.kv_dtype.lower() not in SPARSE_DTYPES,
            "kv_dtype",
            serving.kv_dtype,
            _only(", ".join(SPARSE_DTYPES)),
        ),
        (
            whole and serving.gpu_class not in ROW_GPUS,
            "gpu",
            str(serving.gpu_class),
            _only(Said("a Hopper GPU")),
        ),
    )
    problems = [
        Problem(
            field=field,
            got=Said("{got} with {name}", got=got, name=name),
            allowed=allowed,
        )
        for wrong, field, got, allowed in checks
        if wrong
    ]
    if problems:
        raise ConfigurationError(*problems)


def _only(allowed: str) -> Said:
    return Said("{allowed}: others are not modelled here", allowed=allowed)


def pack_pages(stages: tuple[tuple[Page, ...], ...]) -> tuple[Group, ...]:
    """Return the groups of a model whose pages are packed, given per pipeline stage."""
    buckets = _buckets((page, stage) for stage, pages in enumerate(stages) for page in pages)
    repeats = _repeats(buckets)
    fixed = [_Bucket(pages=tuple(pages), groups=_groups(pages, repeats)) for pages in buckets]
    floating = [bucket.floats(split=repeats is not None) for bucket in fixed]
    widest = max(
        bucket.widest(len(bucket.pages) if floats else bucket.groups)
        for bucket, floats in zip(fixed, floating, strict=True)
    )
    return tuple(
        group
        for bucket, floats in zip(fixed, floating, strict=True)
        for group in bucket.cut(len(stages), widest if floats else None)
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Bucket:
    """Layers that keep the same tokens; ``groups`` is how many they are cut into."""

    pages: tuple[Placed, ...]
    groups: int

    def floats(self, *, split: bool) -> bool:
        """Whether it may be cut further so as not to widen the block: states, whole windows."""
        kind = self.pages[0][0].kind
        return kind in (Kind.STATE, Kind.RING) or (not split and kind is Kind.SLIDING)

    def widest(self, groups: int) -> int:
        """Return the bytes of the largest of this many groups."""
        sizes = collections.Counter(page.page_bytes for page, _ in self.pages)
        return sum(-(-count // groups) * size for size, count in sizes.items())

    def cut(self, stages: int, room: int | None) -> tuple[Group, ...]:
        """Return the groups; ``room`` is what a block holds anyway, for states to fit into."""
        groups = self.groups
        if room is not None:
            fitting = max(1, room // self.pages[0][0].page_bytes)
            groups = max(groups, -(-len(self.pages) // fitting))
        if groups == 1:
            return (_group(self.pages, stages),)
        by_size: dict[int, list[Placed]] = collections.defaultdict(list)
        for page, stage in self.pages:
            by_size[page.page_bytes].append((page, stage))
        pattern = tuple(zip(*by_size.values(), strict=False))
        return tuple(
            _group(tuple(itertools.chain.from_iterable(pattern[start::groups])), stages)
            for start in range(groups)
        )


def _buckets(placed: Iterable[Placed]) -> list[list[Placed]]:
    found: dict[tuple[object, ...], list[Placed]] = collections.defaultdict(list)
    for page, stage in placed:
        same = page.shape if page.kind is Kind.STATE else page.block_tokens
        found[page.kind, page.span_tokens, same].append((page, stage))
    return list(found.values())


def _balanced(pages: Sequence[Placed]) -> bool:
    """Whether there are equally many pages of each size."""
    return len(set(collections.Counter(page.page_bytes for page, _ in pages).values())) == 1


def _most(pages: Sequence[Placed]) -> int:
    return max(collections.Counter(page.page_bytes for page, _ in pages).values())


def _repeats(buckets: Sequence[Sequence[Placed]]) -> int | None:
    """Return the pattern repeats per group that pad least, or None where nothing is mixed."""
    balanced = [pages for pages in buckets if _balanced(pages)]
    mixed = [pages for pages in balanced if len({page.page_bytes for page, _ in pages}) > 1]
    if not mixed:
        return None
    counts = [_most(pages) for pages in balanced]
    least = max(map(_most, mixed))
    return min(
        range(least, max(counts) + 1),
        key=lambda size: (sum(-count % size for count in counts), -size),
    )


def _groups(pages: Sequence[Placed], repeats: int | None) -> int:
    return -(-_most(pages) // repeats) if repeats is not None and _balanced(pages) else 1


def _group(pages: tuple[Placed, ...], stages: int) -> Group:
    totals = [0] * stages
    for page, stage in pages:
        totals[stage] += page.page_bytes
    return Group(page=pages[0][0], bytes_by_stage=tuple(totals))
