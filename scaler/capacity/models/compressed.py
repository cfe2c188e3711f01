"""
Caches that a model's own code lays out in rows: DeepSeek V4, and pooled keys of sparse attention.

Rows and blocks are those of vLLM 0.33: ``models/deepseek_v4/{attention,compressor}.py``,
``v1/attention/backends/mla/sparse_swa.py``, ``models/glm5next/common/attention.py`` and
``models/qwen4_exp/common/qsa_cache.py``. A latent
row of V4 has 8-bit values but for its rotary part in 16 bits, and 8 bytes of scales.
"""

from collections.abc import Mapping
from typing import Any

from scaler.capacity.architecture import Cache, PackedCache
from scaler.said import Said

from .fields import Config
from .kinds import spread

V4 = ("deepseek_v4", "deepseek_ref")
POOLED = ("glm5_next_text",)
"""Families whose indexer keeps one key for ``index_kpool`` tokens, and a ring of the last ones."""

QSA = ("qwen4_exp_text", "qwen4_exp")
"""Families whose full layers keep a key of 16 bits for ``indexer_compress_ratio`` tokens."""
POSITION_ELEMENTS = 12
"""Three positions of 64 bits beside a raw key, in elements of 16: rotary positions are 3-D."""

SCALES_BYTES = 8
ALIGNMENT = 576
"""V4's pages are multiples of its row without rotary part and scales, in bytes."""
WINDOW_BLOCK = 64
STATE_BLOCKS = {4: 4, 128: 8}
"""Tokens of a block of partial states, by how many tokens one compressed row stands for."""
FLOAT32_BYTES, BFLOAT16_BYTES = 4, 2
WORDS = {"compressed_sparse_attention": 4, "heavily_compressed_attention": 128}


def compressed_caches(config: Config) -> tuple[tuple[Cache, ...], ...] | None:
    """
    Return the caches of each layer of DeepSeek V4, or None for any other family.

    Raises:
        ConfigurationError: a ratio of compression that is not modelled here.
    """
    ratios = _ratios(config)
    if ratios is None:
        return None
    return tuple(_v4_layer(config, ratio) for ratio in ratios)


def _ratios(config: Config) -> tuple[int, ...] | None:
    """Return the tokens that a compressed row stands for, layer by layer; 0: none is kept."""
    if config.model_type not in V4:
        return None
    listed, counts = config.get("compress_ratios"), config.get("compress_ratios_counts")
    if isinstance(counts, Mapping):
        return tuple(map(int, spread({str(ratio): int(count) for ratio, count in counts.items()})))
    if not isinstance(listed, list):
        words = config.listed("layer_types")
        if words is None:
            raise config.wrong("compress_ratios", got="nothing", allowed=Said("a ratio per layer"))
        listed = [WORDS.get(word, 0 if word == "sliding_attention" else None) for word in words]
    if len(listed) < config.layers:
        got = Said("{count} entries", count=len(listed))
        raise config.wrong(
            "compress_ratios",
            got=got,
            allowed=Said("{layers}, one per layer", layers=config.layers),
        )
    return tuple(_ratio(config, ratio) for ratio in listed[: config.layers])


def _ratio(config: Config, ratio: Any) -> int:  # noqa: ANN401 - JSON
    if ratio in (0, 1, None, *STATE_BLOCKS) and not isinstance(ratio, bool | float):
        return ratio or 0
    allowed = Said("0, 4 or 128: others are not modelled here")
    raise config.wrong("compress_ratios", got=repr(ratio)[:60], allowed=allowed)


def _v4_layer(config: Config, ratio: int) -> tuple[Cache, ...]:
    dim, rope = config.head_dim, config.required("qk_rope_head_dim")
    row = dim - rope + BFLOAT16_BYTES * rope + SCALES_BYTES
    window = PackedCache(
        row_bytes=row,
        window_tokens=config.required("sliding_window"),
        block_tokens=WINDOW_BLOCK,
        alignment=ALIGNMENT,
    )
    if ratio <= 1:
        return (window,)
    latent = PackedCache(row_bytes=row, tokens_per_row=ratio, alignment=ALIGNMENT)
    if ratio != min(STATE_BLOCKS):
        return (window, latent, _partial(dim, ratio))
    index = config.required("index_head_dim")
    keys = PackedCache(row_bytes=_key_bytes(index), tokens_per_row=ratio, alignment=ALIGNMENT)
    return (window, latent, _partial(dim, ratio), keys, _partial(index, ratio))


def _partial(dim: int, ratio: int) -> PackedCache:
    """Return the values and scores of tokens that no row stands for yet; 4-to-1 rows overlap."""
    overlap = 2 if ratio == min(STATE_BLOCKS) else 1
    return PackedCache(
        row_bytes=2 * overlap * dim * FLOAT32_BYTES,
        window_tokens=overlap * ratio,
        block_tokens=STATE_BLOCKS[ratio],
        alignment=ALIGNMENT,
    )


def _key_bytes(dim: int) -> int:
    """Return the bytes of an indexer's key: 8 bits, and a scale per 128."""
    return dim + FLOAT32_BYTES * -(-dim // 128)


def pooled_index(config: Config, dim: int) -> tuple[PackedCache, ...]:
    """Return the pooled keys of one sparse layer, and the ring of those not pooled yet."""
    pool = config.required("index_kpool")
    ring = PackedCache(row_bytes=2 * dim * BFLOAT16_BYTES, block_tokens=pool, ring=True)
    return (PackedCache(row_bytes=_key_bytes(dim), tokens_per_row=pool), ring)


def sparse_keys(config: Config) -> tuple[PackedCache, ...]:
    """Return what Qwen's sparse attention keeps beside keys and values; nothing without one."""
    if config.model_type not in QSA or config.whole("indexer_n_heads") is None:
        return ()
    dim, ratio = config.required("indexer_head_dim"), config.required("indexer_compress_ratio")
    if config.required("indexer_kv_heads") != 1:
        raise config.wrong(
            "indexer_kv_heads", got="more", allowed=Said("1: others are not modelled")
        )
    raw = BFLOAT16_BYTES * (dim + POSITION_ELEMENTS)
    return (
        PackedCache(row_bytes=BFLOAT16_BYTES * dim, tokens_per_row=ratio),
        PackedCache(row_bytes=raw, block_tokens=ratio, ring=True),
    )
