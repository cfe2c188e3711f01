"""
How many weights a configuration means, split by what quantization and parallelism do to them.

Matrices only, counted as the families' modelling files lay them out; norms and biases are left
out (less than a thousandth). A total that a record states wins over a count that cannot be made.
"""

import re
from collections.abc import Mapping

from scaler.capacity.architecture import (
    AttentionCache,
    Cache,
    IndexerCache,
    LatentCache,
    PackedCache,
    Parameters,
    StateCache,
)
from scaler.capacity.weights import TYPICAL_VOCABULARY

from .block_keys import index_heads
from .fields import INTERMEDIATE, POSITIONS, Config

UNITS = {"M": 1e6, "B": 1e9, "T": 1e12}
TYPICAL_TOWER = 430_000_000
"""Weights of a vision tower that is not described: SigLIP so400m and Qwen's are of this size."""
UNGATED = (
    "opt",
    "phi",
    "gpt2",
    "gpt_bigcode",
    "gpt_neox",
    "gptj",
    "starcoder2",
    "nemotron_h",
    "apertus",
)
"""Families whose MLP has two matrices, not three."""
TIED = ("gemma", "opt", "gpt2", "cohere", "granitemoehybrid")
"""Families whose input and output share a table unless they say otherwise."""

UNROTATED = ("opt", "gpt2", "gpt_bigcode", "bloom", "mpt", "nemotron_h", "jamba")
"""Families whose attention knows positions otherwise, or not at all."""


def is_multimodal(config: Config) -> bool:
    """Whether the model reads images or sound beside text."""
    if any(key in config.outer for key in ("vision_config", "audio_config", "vit_config")):
        return True
    stated = config.get("architectures")
    named = " ".join(map(str, stated)) if isinstance(stated, list) else str(stated)
    return "ConditionalGeneration" in named or "VL" in named


def stated_total(config: Config) -> int | None:
    """Return the total that a record states (``8.03B``), or None."""
    text = config.get("num_params")
    found = re.match(r"(\d{1,6}(?:\.\d+)?)\s*([MBT])", str(text)) if text is not None else None
    return int(float(found.group(1)) * UNITS[found.group(2)]) if found else None


def count_parameters(config: Config, layers: tuple[tuple[Cache, ...], ...]) -> Parameters | None:
    """Return the weights, or None where neither shapes nor a total are stated."""
    hidden, total = config.hidden, stated_total(config)
    countable = hidden is not None and (
        config.whole(*INTERMEDIATE, "moe_intermediate_size") is not None
    )
    vocabulary = config.whole("vocab_size")
    embedding = (vocabulary or TYPICAL_VOCABULARY) * (hidden or 0)
    tables = 1 if _tied(config, total) else 2
    if not countable or hidden is None:
        if total is None:
            return None
        held = min(tables * embedding, total // 2)
        return Parameters(
            mixer=(total - held) // 3,
            dense=total - held - (total - held) // 3,
            expert=0,
            embedding=held // tables,
            tables=tables,
            rotation=_rotation(config, layers),
            stated=True,
        )
    expert = [expert_weights(config, hidden, layer) for layer in range(len(layers))]
    mixer = [mixer_weights(config, hidden, caches) for caches in layers]
    beside = [dense_weights(config, hidden, layer) for layer in range(len(layers))]
    return Parameters(
        mixer=sum(mixer) + sum(b for b, e in zip(beside, expert, strict=True) if e),
        dense=sum(b for b, e in zip(beside, expert, strict=True) if not e),
        expert=sum(expert),
        embedding=embedding,
        tables=tables,
        other=_vision_weights(config) + _per_layer_embeddings(config, len(layers)),
        replicated=sum(
            _whole_weights(config, hidden, layer, caches) for layer, caches in enumerate(layers)
        ),
        draft=(mixer[-1] + beside[-1] + expert[-1]) if _drafts(config) else 0,
        rotation=_rotation(config, layers),
    )


def _rotation(config: Config, layers: tuple[tuple[Cache, ...], ...]) -> int:
    """
    Return the entries of the tables of sines and cosines: positions × a head's rotated part.

    One table for each width (vLLM ``rotary_embedding/base.py``, kept in the model's type), and a
    second one where windowed layers have a base of their own. Llama 4 Scout's for ten million
    positions is 2.5 GiB.
    """
    positions = config.whole(*POSITIONS)
    unrotated = any(config.model_type.startswith(family) for family in UNROTATED)
    if positions is None or unrotated or config.get("position_embedding_type") in ("nope", "alibi"):
        return 0
    caches = {cache for layer in layers for cache in layer}
    widths = {int(c.head_dim * _rotated(config)) for c in caches if isinstance(c, AttentionCache)}
    widths |= {cache.rope_dim for cache in caches if isinstance(cache, LatentCache)}
    return positions * sum(widths) * (2 if config.get("rope_local_base_freq") else 1)


def _rotated(config: Config) -> float:
    """Return the share of a head that is rotated."""
    nested = config.get("rope_parameters")
    inside = nested.get("partial_rotary_factor") if isinstance(nested, Mapping) else None
    stated = config.get("partial_rotary_factor", "rotary_pct", "rope_pct") or inside
    return stated if isinstance(stated, int | float) and 0 < stated <= 1 else 1.0


def inner_width(config: Config) -> int | None:
    """Return the MLP width that one token passes: the dense one, or its experts' together."""
    routed = config.whole("moe_intermediate_size")
    chosen = config.whole("num_experts_per_tok", "top_k_experts")
    if routed and chosen and _experts(config):
        return routed * chosen
    return config.whole(*INTERMEDIATE)


def _tied(config: Config, total: int | None) -> bool:
    stated = config.get("tie_word_embeddings")
    if stated is not None:
        return bool(stated)
    if any(config.model_type.startswith(family) for family in TIED):
        return True
    return config.model_type == "" and total is not None and total < 4e9


def _drafts(config: Config) -> bool:
    return bool(config.whole("num_nextn_predict_layers", "mtp_num_hidden_layers"))


def mixer_weights(config: Config, hidden: int, caches: tuple[Cache, ...]) -> int:
    """Return the matrices around a layer's caches; a layer that reads another's has a query."""
    if not caches and config.whole("num_kv_shared_layers"):
        return 2 * hidden * (config.heads or 0) * config.head_dim
    if any(isinstance(cache, PackedCache) for cache in caches) and config.whole("o_lora_rank"):
        return _compressed_weights(config, hidden)
    return sum(_cache_weights(config, hidden, cache) for cache in caches)


def _compressed_weights(config: Config, hidden: int) -> int:
    """Return the matrices of one attention of DeepSeek V4, its compressors and indexer."""
    wide, rank = (config.heads or 1) * config.head_dim, config.required("q_lora_rank")
    out = config.required("o_lora_rank")
    groups = config.whole("o_groups") or 1
    indexer = rank * (config.whole("index_n_heads") or 0) * (config.whole("index_head_dim") or 0)
    project = hidden * rank + rank * wide + wide * out + groups * out * hidden
    return project + 5 * hidden * config.head_dim + indexer


def _cache_weights(config: Config, hidden: int, cache: Cache) -> int:
    match cache:
        case AttentionCache(value_dim=0):
            return hidden * (index_heads(config) + cache.kv_heads) * cache.head_dim
        case AttentionCache():
            heads = config.heads or cache.kv_heads
            gate = 2 if config.get("linear_num_value_heads") is not None else 1
            values = 0 if _keys_are_values(config, cache) else cache.value_dim
            return hidden * (
                heads * (gate * cache.head_dim + cache.value_dim)
                + cache.kv_heads * (cache.head_dim + values)
            )
        case LatentCache():
            return _latent_weights(config, hidden, cache)
        case IndexerCache():
            heads = config.whole("index_n_heads") or 0
            queries = (config.whole("q_lora_rank") or hidden) * heads * cache.head_dim
            return queries + hidden * (cache.head_dim + heads)
        case StateCache():
            return _state_weights(config, hidden, cache)
        case PackedCache():
            return 0  # a whole layer's at once: _packed_weights


def _keys_are_values(config: Config, cache: AttentionCache) -> bool:
    return bool(config.get("attention_k_eq_v")) and cache.grows


def _whole_weights(config: Config, hidden: int, layer: int, caches: tuple[Cache, ...]) -> int:
    """Return the weights of a layer that tensor parallelism does not divide."""
    routed = hidden * _experts(config) if _is_expert_layer(config, layer) else 0
    query = config.whole("q_lora_rank") or 0
    for cache in caches:
        if isinstance(cache, LatentCache):
            routed += hidden * (query + cache.elements)
        if isinstance(cache, IndexerCache):
            routed += _cache_weights(config, hidden, cache)
    return routed


def _latent_weights(config: Config, hidden: int, cache: LatentCache) -> int:
    query_dim = cache.heads * (cache.nope_dim + cache.rope_dim)
    value_dim = cache.heads * (config.whole("v_head_dim") or cache.nope_dim)
    rank = config.whole("q_lora_rank")
    query = hidden * rank + rank * query_dim if rank else hidden * query_dim
    down = hidden * cache.elements
    up = cache.rank * (cache.heads * cache.nope_dim + value_dim)
    return query + down + up + value_dim * hidden


def _state_weights(config: Config, hidden: int, cache: StateCache) -> int:
    if cache.kind == "gdn":
        values = cache.heads * config.required("linear_value_head_dim")
        return hidden * (cache.channels + values + 2 * cache.heads) + values * hidden
    if cache.kind == "short-conv":
        return 4 * hidden * cache.channels
    if cache.kind == "lightning":
        return 4 * hidden * cache.heads * config.head_dim
    if cache.kind == "kda":
        return 6 * hidden * cache.channels // 3
    groups = cache.groups * cache.group_channels
    projected = 2 * cache.channels + groups + (cache.heads if cache.kind == "mamba2" else 0)
    return hidden * projected + cache.channels * hidden


def _matrices(config: Config) -> int:
    return 2 if any(config.model_type.startswith(family) for family in UNGATED) else 3


def _experts(config: Config) -> int:
    return config.whole("num_local_experts", "n_routed_experts", "num_experts") or 0


def _pattern(config: Config, layer: int) -> str:
    """Return the letter of a pattern that tells MLPs, experts and mixers apart, or ``""``."""
    listed = config.listed("hybrid_override_pattern", "layers_block_type")
    return listed[layer] if listed is not None and layer < len(listed) else ""


def _is_expert_layer(config: Config, layer: int) -> bool:
    if not _experts(config):
        return False
    if letter := _pattern(config, layer):
        return letter in ("E", "moe")
    for key in ("moe_layers", "moe_layer_freq"):
        listed = config.get(key)
        if isinstance(listed, list):
            return layer in listed if key == "moe_layers" else bool(listed[layer])
    if layer in (config.get("mlp_only_layers") or ()):
        return False
    dense = config.whole("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index") or 0
    return layer >= dense and _every_so_many(config, layer)


def _every_so_many(config: Config, layer: int) -> bool:
    every = config.whole("interleave_moe_layer_step", "decoder_sparse_step", "expert_layer_period")
    offset = config.whole("expert_layer_offset")
    if every and offset is not None:
        return layer % every == offset
    return not every or (layer + 1) % every == 0


def expert_weights(config: Config, hidden: int, layer: int) -> int:
    if not _is_expert_layer(config, layer):
        return 0
    width = config.whole("moe_intermediate_size") or config.required(*INTERMEDIATE)
    inner = config.whole("moe_latent_size", "routed_expert_hidden_size") or hidden
    return _experts(config) * _matrices(config) * inner * width


def dense_weights(config: Config, hidden: int, layer: int) -> int:
    """Return the matrices of a layer's MLP: the dense one, or what stands beside the experts."""
    letter = _pattern(config, layer)
    if letter in ("M", "*", "mamba", "attention") and "nemotron" in config.model_type:
        return 0
    width = (
        config.whole("intermediate_size_mlp", "dense_intermediate_size")
        or config.whole(*INTERMEDIATE)
        or 0
    )
    if not _is_expert_layer(config, layer):
        doubled = 2 if config.get("use_double_wide_mlp") and layer >= _first_shared(config) else 1
        return doubled * _matrices(config) * hidden * width
    router = hidden * _experts(config)
    latent = 2 * hidden * (config.whole("moe_latent_size") or 0)
    return router + latent + _matrices(config) * hidden * _shared_width(config)


def _first_shared(config: Config) -> int:
    return config.layers - (config.whole("num_kv_shared_layers") or 0)


def _shared_width(config: Config) -> int:
    stated = config.whole(
        "moe_shared_expert_intermediate_size",
        "shared_expert_intermediate_size",
        "shared_intermediate_size",
    )
    if stated is not None:
        return stated
    if config.model_type.startswith("llama4") or config.get("enable_moe_block"):
        return config.required("intermediate_size")
    if config.model_type.startswith("gemma4"):
        return config.whole("intermediate_size") or 0
    count = config.whole("n_shared_experts") or 0
    return count * (config.whole("moe_intermediate_size") or 0)


def _per_layer_embeddings(config: Config, layers: int) -> int:
    width = config.whole("hidden_size_per_layer_input") or 0
    return (config.whole("vocab_size_per_layer_input") or 0) * width * layers


def _vision_weights(config: Config) -> int:
    """Return the weights of a vision tower that the configuration describes."""
    vision = config.outer.get("vision_config")
    if not isinstance(vision, Mapping):
        return TYPICAL_TOWER if is_multimodal(config) else 0
    tower = Config(f"{config.name}, its vision_config", vision, {})
    width = tower.whole("hidden_size", "embed_dim")
    depth = tower.whole("num_hidden_layers", "depth", "num_layers")
    if width is None or depth is None:
        return 0
    inner = tower.whole("intermediate_size") or 4 * width
    return depth * (4 * width**2 + 2 * width * inner) + 2 * width * (config.hidden or width)
