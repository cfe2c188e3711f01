"""
What each layer keeps: whole keys, a window, a chunk, a state, both, or nothing.

A family tells it by a key of its own (``layer_types``, ``hybrid_override_pattern``,
``attn_layer_period``, …); sources are the ``configuration_*.py`` of transformers and vLLM's model
files.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scaler.said import Said

from .fields import Config

FULL, SLIDING, CHUNKED, STATE, BOTH, NONE = "full", "sliding", "chunked", "state", "both", "none"

WORDS = {
    "full_attention": FULL,
    "attention": FULL,
    "full": FULL,
    "deepseek_sparse_attention": FULL,
    "indexed_attention": FULL,
    "qwen_sparse_attention": FULL,
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

INDEXED = ("deepseek_v32", "glm_moe_dsa", "glm5_next_text", "qwen4_exp_text", "qwen4_exp")
"""Families whose layers with an indexer are modelled."""
BY_INDEX = ("indexed_attention", "qwen_sparse_attention")

POOLED_WINDOWS = (
    *("llama4", "gpt_oss", "granite_swa", "granitemoe_swa", "mimo_v2", "step3p5", "step3p7"),
    *("gemma4", "diffusion_gemma", "embedding_gemma2", "laguna", "mellum", "muse_glimmer"),
    *("inkling", "deepseek_v4", "beam", "unlimited_ocr"),
)
"""
Families whose windows SGLang keeps in a pool of their own: it has a list of architectures, and in
the layers of any other (Gemma 2 and 3, Olmo 3, EXAONE 4, Cohere 2, Phi-3) it keeps every token.
SGLang 0.5.23 ``configs/model_config.py`` (is_hybrid_swa_model).
"""


def pools_windows(config: Config) -> bool:
    """Whether SGLang gives this model's windows a pool; a configuration may say so by a key."""
    kinds = (config.model_type, str(config.outer.get("model_type") or ""))
    named = any(kind.startswith(family) for kind in kinds for family in POOLED_WINDOWS)
    return named or bool(config.get("is_hybrid_swa"))


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
        raise config.wrong(
            key,
            got=Said("{count} entries", count=len(kinds)),
            allowed=Said("{layers}, one per layer", layers=layers),
        )
    return kinds[:layers]


def _kind(config: Config, key: str, word: str) -> str:
    kind = WORDS.get(word.lower())
    if kind is None or (word.lower() in BY_INDEX and config.model_type not in INDEXED):
        raise config.wrong(
            key, got=repr(word), allowed=Said("one of {names}", names=", ".join(WORDS))
        )
    if kind == SLIDING and not config.whole("sliding_window"):
        return FULL
    return kind


def _counted(config: Config) -> tuple[str, ...] | None:
    """Return the kinds of a record that states counts, spread evenly over the depth."""
    for key in ("layer_types_counts", "hybrid_override_pattern_counts"):
        counts = config.get(key)
        if isinstance(counts, Mapping):
            named = {_kind(config, key, word): int(count) for word, count in counts.items()}
            return spread(named)
    counts = config.get("hybrid_layer_pattern_counts")
    if isinstance(counts, Mapping):
        return spread({FULL: int(counts.get("0", 0)), SLIDING: int(counts.get("1", 0))})
    return None


def spread(counts: Mapping[str, int]) -> tuple[str, ...]:
    placed = [
        ((position + 0.5) / count, order, kind)
        for order, (kind, count) in enumerate(counts.items())
        for position in range(count)
    ]
    return tuple(kind for _, _, kind in sorted(placed))


def shared_kinds(config: Config, kinds: tuple[str, ...]) -> tuple[str, ...]:
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
