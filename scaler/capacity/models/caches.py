"""
From a configuration to the caches of each layer.

What a layer keeps is told by the family's own key (``layer_types``, ``hybrid_override_pattern``,
``attn_layer_period``, …); sources are the ``configuration_*.py`` and ``modeling_*.py`` of
transformers and vLLM's model files.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scaler.capacity.architecture import AttentionCache, Cache, IndexerCache, LatentCache

from .fields import Config
from .states import state_cache

FULL, SLIDING, CHUNKED, STATE, BOTH, NONE = "full", "sliding", "chunked", "state", "both", "none"

WORDS = {
    "full_attention": FULL,
    "attention": FULL,
    "full": FULL,
    "deepseek_sparse_attention": FULL,
    "indexed_attention": FULL,
    "*": FULL,
    "sliding_attention": SLIDING,
    "sliding_window_attention": SLIDING,
    "local_attention": SLIDING,
    "chunked_attention": CHUNKED,
    "linear_attention": STATE,
    "mamba": STATE,
    "mamba2": STATE,
    "m": STATE,
    "conv": STATE,
    "hybrid": BOTH,
    "mlp": NONE,
    "moe": NONE,
    "-": NONE,
    "e": NONE,
    "kv_shared(no cache)": NONE,
}

CROSS = (
    "cross attention keeps the encoder's keys per request, whose size the text's length "
    "does not tell"
)
UNSUPPORTED = {
    "mllama_text_model": CROSS,
    "mllama": CROSS,
    "whisper": CROSS,
    "t5": CROSS,
    "bart": CROSS,
    "minimax_m3": "the keys of its sparse blocks are not modelled here",
    "deepseek_v4": "its compressed caches come in five block sizes that one law does not describe",
    "minicpm3": "engines differ in what they keep of its latents",
    "rwkv": "no engine here serves it",
    "recurrent_gemma": "no engine here serves its recurrent blocks from a shared pool",
}
INDEXED = ("deepseek_v32", "glm_moe_dsa")
"""Families whose ``indexed_attention`` is a sparse latent layer (DSA) and nothing more."""
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
    kinds = _shared(config, layer_kinds(config))
    latent = config.whole("kv_lora_rank") is not None
    builders: dict[str, Callable[[int], tuple[Cache, ...]]] = {
        FULL: lambda at: _latent(config.at(at), at) if latent else (_full(config.at(at)),),
        SLIDING: lambda layer: (_window(config.at(layer)),),
        CHUNKED: lambda layer: (_chunk(config.at(layer)),),
        STATE: lambda layer: (state_cache(config.at(layer)),),
        BOTH: lambda layer: (_full(config.at(layer)), state_cache(config.at(layer))),
        NONE: lambda _: (),
    }
    each = 2 if config.model_type.startswith("longcat") else 1  # two attentions in a layer
    return tuple(each * builders[kind](layer) for layer, kind in enumerate(kinds))


def refuse_unsupported(config: Config) -> None:
    """Raise ConfigurationError for an architecture whose caches are not known here."""
    outer_type = str(config.outer.get("model_type") or "")
    why = UNSUPPORTED.get(config.model_type) or UNSUPPORTED.get(outer_type)
    if config.get("is_encoder_decoder"):
        why = f"encoder-decoder: {CROSS}"
    if config.get("cross_attention_layers"):
        why = CROSS
    if config.model_type in ENCODERS:
        why = "an encoder keeps no KV cache; scale it by rate (metrics: rps)"
    if config.model_type == "kimi_linear" and config.get("linear_attn_config") is None:
        why = "linear_attn_config is missing, which tells the linear layers from the full ones"
    if config.get("compress_ratios", "compress_ratios_counts"):
        why = UNSUPPORTED["deepseek_v4"]
    if why:
        got = config.model_type or outer_type or "this architecture"
        raise config.wrong("architecture", got=got, allowed=f"not supported: {why}")


def layer_kinds(config: Config) -> tuple[str, ...]:
    """Return what each layer keeps."""
    for key in ("layer_types", "layers_block_type", "hybrid_override_pattern"):
        listed = config.listed(key)
        if listed is not None:
            return _of_length(config, key, tuple(_kind(config, key, word) for word in listed))
    counts = _counted(config)
    if counts is not None:
        return counts
    rule = next((rule for rule in RULES if rule(config) is not None), None)
    return (rule(config) or ()) if rule else (FULL,) * config.layers


def _of_length(config: Config, key: str, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return as many kinds as there are layers; what follows are layers of a drafter."""
    layers = config.layers
    if len(kinds) < layers:
        raise config.wrong(key, got=f"{len(kinds)} entries", allowed=f"{layers}, one per layer")
    return kinds[:layers]


def _kind(config: Config, key: str, word: str) -> str:
    kind = WORDS.get(word.lower())
    if kind is None or (word == "indexed_attention" and config.model_type not in INDEXED):
        raise config.wrong(key, got=repr(word), allowed=f"one of {', '.join(WORDS)}")
    if kind == SLIDING and not config.whole("sliding_window"):
        return FULL
    return kind


def _counted(config: Config) -> tuple[str, ...] | None:
    """Return the kinds of a record that states counts, spread evenly over the depth."""
    for key in ("layer_types_counts", "hybrid_override_pattern_counts"):
        counts = config.get(key)
        if isinstance(counts, Mapping):
            named = {_kind(config, key, word): int(count) for word, count in counts.items()}
            return _spread(named)
    counts = config.get("hybrid_layer_pattern_counts")
    if isinstance(counts, Mapping):
        return _spread({FULL: int(counts.get("0", 0)), SLIDING: int(counts.get("1", 0))})
    return None


def _spread(counts: Mapping[str, int]) -> tuple[str, ...]:
    placed = [
        ((position + 0.5) / count, order, kind)
        for order, (kind, count) in enumerate(counts.items())
        for position in range(count)
    ]
    return tuple(kind for _, _, kind in sorted(placed))


def _shared(config: Config, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds with the last layers, which read others' keys, keeping nothing."""
    shared = config.whole("num_kv_shared_layers") or 0
    if not shared or NONE in kinds:
        return kinds
    return kinds[:-shared] + (NONE,) * shared


def _pattern_list(config: Config) -> tuple[str, ...] | None:
    listed = config.get("hybrid_layer_pattern")
    if not isinstance(listed, list):
        return None
    return tuple(SLIDING if flag else FULL for flag in listed)


def _lightning(config: Config) -> tuple[str, ...] | None:
    listed = config.get("attn_type_list")
    if not isinstance(listed, list):
        return None
    return tuple(FULL if flag else STATE for flag in listed)


def _kimi(config: Config) -> tuple[str, ...] | None:
    nested = config.get("linear_attn_config")
    if not isinstance(nested, Mapping) or "kda_layers" not in nested:
        return None
    linear = set(nested["kda_layers"])  # numbered from 1
    return tuple(STATE if layer + 1 in linear else FULL for layer in range(config.layers))


def _interval(config: Config) -> tuple[str, ...] | None:
    every = config.whole("full_attention_interval")
    if every is None or config.get("linear_num_value_heads") is None:
        return None
    return tuple(STATE if (layer + 1) % every else FULL for layer in range(config.layers))


def _period(config: Config) -> tuple[str, ...] | None:
    every = config.whole("attn_layer_period")
    if every is None:
        return None
    offset = config.whole("attn_layer_offset") or 0
    return tuple(FULL if layer % every == offset else STATE for layer in range(config.layers))


def _indices(config: Config) -> tuple[str, ...] | None:
    listed = config.get("attn_layer_indices", "full_attn_idxs")
    if not isinstance(listed, list):
        return None
    return tuple(FULL if layer in listed else STATE for layer in range(config.layers))


def _states_only(config: Config) -> tuple[str, ...] | None:
    return (
        (STATE,) * config.layers
        if config.model_type in ("mamba", "mamba2", "falcon_mamba")
        else None
    )


def _beside(config: Config) -> tuple[str, ...] | None:
    return (BOTH,) * config.layers if config.model_type == "falcon_h1" else None


def _sliding_pattern(config: Config) -> tuple[str, ...] | None:
    pattern = config.get("sliding_window_pattern")
    if not config.whole("sliding_window") or pattern is None:
        return None
    if isinstance(pattern, str):
        return tuple(
            SLIDING if pattern[layer % len(pattern)] == "L" else FULL
            for layer in range(config.layers)
        )
    return tuple(SLIDING if (layer + 1) % pattern else FULL for layer in range(config.layers))


def _alternating(config: Config) -> tuple[str, ...] | None:
    default = {"gemma2": 2, "gemma3_text": 6, "gemma3": 6, "cohere2": 4}.get(config.model_type)
    if default is None:
        return None
    return tuple(SLIDING if (layer + 1) % default else FULL for layer in range(config.layers))


def _chunked(config: Config) -> tuple[str, ...] | None:
    if not config.model_type.startswith("llama4") or not config.whole("attention_chunk_size"):
        return None
    roped: Any = config.get("no_rope_layers")
    if not isinstance(roped, list) or not roped:
        every = config.whole("no_rope_layer_interval") or 4
        roped = [(layer + 1) % every for layer in range(config.layers)]
    return tuple(CHUNKED if flag else FULL for flag in roped)


def _all_sliding(config: Config) -> tuple[str, ...] | None:
    window = config.whole("sliding_window")
    if window is None or config.get("use_sliding_window") is False:
        return None
    if config.model_type.startswith("qwen2") and not config.get("use_sliding_window"):
        return None
    return (SLIDING,) * config.layers


RULES: tuple[Callable[[Config], tuple[str, ...] | None], ...] = (
    _pattern_list,
    _lightning,
    _kimi,
    _interval,
    _period,
    _indices,
    _states_only,
    _beside,
    _chunked,
    _sliding_pattern,
    _alternating,
    _all_sliding,
)
"""Asked in this order; the first that knows the family answers."""


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
    return (latent, IndexerCache(head_dim=sparse))


def _owns_indexer(config: Config, layer: int) -> bool:
    listed = config.get("indexer_types")
    if isinstance(listed, list):
        return _listed_indexer(config, listed, layer)
    counts = config.get("indexer_types_counts")
    if isinstance(counts, Mapping):
        kinds = _spread({FULL: int(counts.get("full", 0)), NONE: int(counts.get("shared", 0))})
        return kinds[layer] == FULL
    return _computed_indexer(config, layer)


def _listed_indexer(config: Config, listed: list[Any], layer: int) -> bool:
    words = {"full": True, "shared": False}
    if layer >= len(listed) or listed[layer] not in words:
        got = repr(listed[layer]) if layer < len(listed) else f"{len(listed)} entries"
        raise config.wrong("indexer_types", got=got, allowed="full or shared, one per layer")
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
            raise config.wrong("block_configs", got=repr(block)[:60], allowed="an attention each")
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
