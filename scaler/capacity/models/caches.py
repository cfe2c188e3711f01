"""
From a configuration to the caches of each layer.

What a layer keeps is told by the family's own key (``layer_types``, ``hybrid_override_pattern``,
``attn_layer_period``, …); sources are the ``configuration_*.py`` and ``modeling_*.py`` of
transformers and vLLM's model files.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scaler.capacity.architecture import AttentionCache, Cache, IndexerCache, LatentCache
from scaler.said import Said

from .block_keys import block_keys
from .compressed import POOLED, compressed_caches, pooled_index, sparse_keys
from .fields import Config
from .kinds import BOTH, CHUNKED, FULL, NONE, SLIDING, STATE, layer_kinds, shared_kinds, spread
from .states import ngram_state, state_cache

CROSS = Said(
    "cross attention keeps the encoder's keys per request, whose size the text's length "
    "does not tell"
)
UNSUPPORTED = {
    "mllama_text_model": CROSS,
    "mllama": CROSS,
    "whisper": CROSS,
    "t5": CROSS,
    "bart": CROSS,
    "minicpm3": Said("engines differ in what they keep of its latents"),
    "rwkv": Said("no engine here serves it"),
    "recurrent_gemma": Said("no engine here serves its recurrent blocks from a shared pool"),
}
ENCODERS = ("bert", "roberta", "xlm-roberta", "modernbert", "nomic_bert", "new", "distilbert")


def layer_caches(config: Config) -> tuple[tuple[Cache, ...], ...]:
    """
    Return the caches of each layer in order.

    Raises:
        ConfigurationError: an architecture that is not supported, and why; a key that is missing.
    """
    refuse_unsupported(config)
    blocks = config.get("block_configs")
    if isinstance(blocks, list):
        return _searched(config, blocks)
    if (compressed := compressed_caches(config)) is not None:
        return compressed
    kinds = shared_kinds(config, layer_kinds(config))
    build = builders(config)
    each = 2 if config.model_type.startswith("longcat") else 1  # two attentions in a layer
    return tuple(each * build[kind](layer) for layer, kind in enumerate(kinds))


def builders(config: Config) -> dict[str, Callable[[int], tuple[Cache, ...]]]:
    """Return what makes the caches of a layer, by its kind."""
    latent = config.whole("kv_lora_rank") is not None
    return {
        FULL: lambda at: _latent(config.at(at), at) if latent else _whole(config.at(at), at),
        SLIDING: lambda layer: (_window(config.at(layer)),),
        CHUNKED: lambda layer: (_chunk(config.at(layer)),),
        STATE: lambda at: (state_cache(config.at(at)), *ngram_state(config.at(at), at)),
        BOTH: lambda layer: (_full(config.at(layer)), state_cache(config.at(layer))),
        NONE: lambda _: (),
    }


def refuse_unsupported(config: Config) -> None:
    """Raise ConfigurationError for an architecture whose caches are not known here."""
    outer_type = str(config.outer.get("model_type") or "")
    why = UNSUPPORTED.get(config.model_type) or UNSUPPORTED.get(outer_type)
    if config.get("is_encoder_decoder"):
        why = Said("encoder-decoder: {cross}", cross=CROSS)
    if config.get("cross_attention_layers"):
        why = CROSS
    if config.model_type in ENCODERS:
        why = Said("an encoder keeps no KV cache; scale it by rate (metrics: rps)")
    if config.model_type == "kimi_linear" and config.get("linear_attn_config") is None:
        why = Said(
            "linear_attn_config is missing, which tells the linear layers from the full ones"
        )
    if why:
        got = config.model_type or outer_type or Said("this architecture")
        raise config.wrong(
            "architecture", got=Said("{name} is not modelled here: {why}", name=got, why=why)
        )


def _whole(config: Config, layer: int) -> tuple[Cache, ...]:
    return (_full(config), *sparse_keys(config), *block_keys(config, layer))


def _full(config: Config) -> AttentionCache:
    dim = config.whole("global_head_dim") or config.head_dim
    heads = config.whole("num_global_key_value_heads") or config.kv_heads
    value = dim if config.get("global_head_dim") else config.whole("v_head_dim") or dim
    return AttentionCache(kv_heads=heads, head_dim=dim, value_dim=value)


def _window(config: Config) -> AttentionCache:
    other = config.get("attention_other_setting")
    if isinstance(other, Mapping):  # Step's windows have heads of their own
        inner = Config(config.name, other, other)
        heads, dim = inner.kv_heads, inner.whole("head_dim") or config.head_dim
        return AttentionCache(
            kv_heads=heads,
            head_dim=dim,
            value_dim=dim,
            window_tokens=config.required("sliding_window"),
        )
    dim = config.whole("swa_head_dim") or config.head_dim
    return AttentionCache(
        kv_heads=config.whole("swa_num_key_value_heads") or config.kv_heads,
        head_dim=dim,
        value_dim=config.whole("swa_v_head_dim", "v_head_dim") or dim,
        window_tokens=config.required("sliding_window"),
    )


def _chunk(config: Config) -> AttentionCache:
    return AttentionCache(
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        value_dim=config.head_dim,
        chunk_tokens=config.required("attention_chunk_size"),
    )


def _latent(config: Config, layer: int) -> tuple[Cache, ...]:
    sparse = config.whole("index_head_dim")
    latent = LatentCache(
        rank=config.required("kv_lora_rank"),
        rope_dim=config.whole("qk_rope_head_dim") or 0,
        heads=config.heads or 1,
        nope_dim=config.whole("qk_nope_head_dim") or 0,
        sparse=sparse is not None,
    )
    if sparse is None or not _owns_indexer(config, layer):
        return (latent,)
    if config.model_type in POOLED:
        return (latent, *pooled_index(config, sparse))
    return (latent, IndexerCache(head_dim=sparse))


def _owns_indexer(config: Config, layer: int) -> bool:
    listed = config.get("indexer_types")
    if isinstance(listed, list):
        return _listed_indexer(config, listed, layer)
    counts = config.get("indexer_types_counts")
    if isinstance(counts, Mapping):
        kinds = spread({FULL: int(counts.get("full", 0)), NONE: int(counts.get("shared", 0))})
        return kinds[layer] == FULL
    return _computed_indexer(config, layer)


def _listed_indexer(config: Config, listed: list[Any], layer: int) -> bool:
    words = {"full": True, "shared": False}
    if layer >= len(listed) or listed[layer] not in words:
        got = (
            repr(listed[layer])
            if layer < len(listed)
            else Said("{count} entries", count=len(listed))
        )
        raise config.wrong("indexer_types", got=got, allowed=Said("full or shared, one per layer"))
    return words[listed[layer]]


def _computed_indexer(config: Config, layer: int) -> bool:
    """
    Return whether a layer chooses tokens itself, by ``index_topk_pattern`` or ``index_topk_freq``.

    A letter S takes over the choice of the layer before; a frequency of f lets one layer in f
    choose, after the first ``index_skip_topk_offset``. vLLM ``models/deepseek_v32/attention.py``.
    """
    pattern = config.get("index_topk_pattern")
    if isinstance(pattern, str):
        return layer >= len(pattern) or pattern[layer] != "S"
    every = config.whole("index_topk_freq") or 1
    offset = config.get("index_skip_topk_offset")
    return max(layer - (2 if offset is None else int(offset)) + 1, 0) % every == 0


def _searched(config: Config, blocks: list[Any]) -> tuple[tuple[Cache, ...], ...]:
    """Return the caches of a model whose layers were searched one by one (Nemotron NAS)."""
    caches: list[tuple[Cache, ...]] = []
    for block in blocks:
        attention = block.get("attention") if isinstance(block, Mapping) else None
        if not isinstance(attention, Mapping):
            raise config.wrong(
                "block_configs", got=repr(block)[:60], allowed=Said("an attention each")
            )
        if attention.get("no_op") or attention.get("replace_with_linear"):
            caches.append(())
            continue
        grouped = attention.get("n_heads_in_group")
        heads = (
            config.required(*("num_attention_heads",)) // grouped if grouped else config.kv_heads
        )
        dim = config.head_dim
        caches.append((AttentionCache(kv_heads=heads, head_dim=dim, value_dim=dim),))
    return tuple(caches)
