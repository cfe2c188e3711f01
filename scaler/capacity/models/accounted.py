"""
Which keys of a configuration can hold a cache, and whether each is modelled here.

A cache that is overlooked makes a capacity too large without a word. So the rule is turned round:
a key whose name can mean a cache has to be one that ``caches.py`` and ``states.py`` read, or one
that is known to keep nothing; any other is refused by name. The names were gathered from the
``configuration_*.py`` of transformers 5.24, vLLM 0.33 and SGLang 0.5.23.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from scaler.capacity.architecture import (
    AttentionCache,
    Cache,
    IndexerCache,
    PackedCache,
    StateCache,
)
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from .block_keys import chooses_blocks
from .compressed import QSA
from .fields import HEAD_DIM, HEADS, KV_HEADS, LAYERS, LONGEST_TOLD, Config

CAN_HOLD = re.compile(
    r"cach|index|pool|compress|state|ssm|mamba|conv|recurr|linear_|delta|memor|mem_|window|swa"
    r"|slid|chunk|local|latent|lora_rank|kv|sparse|block|ring|sink|share|cross|draft|nextn|mtp"
    r"|ngram|hash|lstm|rwkv|retention|retain|lightning|gla|gdn|kda|csa|hca|msa|nsa|dsa|qsa|ple_"
    r"|per_layer|layer|pattern|attn|attention|hybrid|interval|head|global|landmark|summar|tail"
    r"|history|segment|prefix|topk|dilat|stride|lru|ttt|key_dim|value_dim|k_dim|v_dim|d_state"
    r"|groups|expand|loop|buffer|bank|slot|scratch|engram|token_shift|hippo|bytes"
)
"""Words of a key's name that can mean a cache."""

READ = frozenset(
    (
        *LAYERS,
        *HEADS,
        *KV_HEADS,
        *HEAD_DIM,
        *("layer_types", "layer_types_counts", "layers_block_type", "hybrid_override_pattern"),
        *("hybrid_layer_pattern", "hybrid_layer_pattern_counts", "attn_type_list"),
        *("hybrid_override_pattern_counts", "full_attention_interval", "num_kv_shared_layers"),
        *("attn_layer_period", "attn_layer_offset", "attn_layer_indices", "full_attn_idxs"),
        *("sliding_window", "sliding_window_pattern", "use_sliding_window", "max_window_layers"),
        *("kv_lora_rank", "q_lora_rank", "qk_head_dim", "qk_nope_head_dim", "qk_rope_head_dim"),
        *("v_head_dim", "global_head_dim", "num_global_key_value_heads", "attention_k_eq_v"),
        *("swa_head_dim", "swa_v_head_dim", "swa_num_attention_heads", "swa_num_key_value_heads"),
        *("block_configs", "multi_query_attention", "multi_query_group_num", "attn_config"),
        *("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", "num_mtp_layers"),
        *("interleave_moe_layer_step", "expert_layer_period", "expert_layer_offset"),
        *("num_key_value_heads_per_layer", "mtp_layers_block_type", "mtp_hybrid_override_pattern"),
        *("hidden_size_per_layer_input", "vocab_size_per_layer_input", "kv_cache_dtype"),
        *("cross_attention_layers", "is_encoder_decoder", "decoder_sparse_step"),
        *("mtp_transformer_layers", "layer_types_prefix", "attention_other_setting"),
    )
)
"""Keys whose value the caches (or the weights) are computed from."""

OF_INDEXERS = frozenset(
    {
        *("index_head_dim", "index_n_heads", "index_topk", "index_topk_freq"),
        *("index_topk_pattern", "index_skip_topk_offset", "indexer_types", "indexer_types_counts"),
        *("indexer_rope_interleave", "index_share_for_mtp_iteration"),
    }
)
"""Read for a sparse latent layer (DSA); beside any other layer they mean something else."""

OF_PACKED = frozenset(
    {
        *("compress_ratios", "compress_ratios_counts", "compress_rates", "num_hash_layers"),
        *("index_kpool", "index_kpool_compress", "index_kpool_always_select_tail"),
        *("linear_head_dim", "linear_num_heads"),
    }
)
"""Read for caches that a model's own code lays out (``compressed.py``)."""

OF_QSA = frozenset(
    {
        *("indexer_n_heads", "indexer_kv_heads", "indexer_head_dim", "indexer_budget"),
        *("indexer_compress_ratio", "ple_layer_ids", "ple_embed_dim", "ple_conv_kernel_size"),
        *("ngram_size", "heads_per_ngram", "ngram_vocab_size_base", "split_ngram_parts"),
        *("make_ngram_vocab_size_divisible_by", "ple_embedding_dtype", "mtp"),
        "number_of_conv_states",
    }
)
"""Read for Qwen's sparse attention and its n-gram embeddings, or of those embeddings alone."""

OF_BLOCKS = frozenset(
    {
        *("sparse_attention_config", "use_sparse_attention", "sparse_attention_freq"),
        *("sparse_index_dim", "sparse_num_index_heads", "sparse_topk_blocks", "sparse_block_size"),
        *("sparse_disable_index_value", "sparse_score_type"),
        *("sparse_init_block", "sparse_local_block"),
    }
)
"""Read for MiniMax M3, whose layers choose blocks by keys of their own (``block_keys.py``)."""

OF_DFLASH = frozenset({"use_swa", "swa_window_size", "target_layer_ids", "num_target_layers"})
"""Read of a DFlash drafter's own section, or of the layers of its target that it looks at."""

OF_STATES = frozenset(
    {
        *("linear_attn_config", "linear_num_value_heads", "linear_num_key_heads"),
        *("linear_key_head_dim", "linear_value_head_dim", "linear_conv_kernel_dim"),
        *("mamba_d_state", "mamba_d_conv", "mamba_d_head", "mamba_d_ssm", "mamba_n_heads"),
        *("mamba_n_groups", "mamba_expand", "mamba_num_heads", "mamba_head_dim", "expand"),
        *("ssm_state_size", "state_size", "n_groups", "conv_kernel", "conv_kernel_size"),
        *("conv_L_cache", "conv_dim", "mamba_dt_rank", "mamba_ssm_dtype", "mamba_ssm_cache_dtype"),
        *("chunk_size", "mamba_chunk_size", "block_size"),
    }
)
"""Read for a layer that keeps a state; without one it has to be told that no layer does."""

BESIDE_A_LIST = frozenset({"global_attn_every_n_layers", "prefix_dense_sliding_window_pattern"})
"""Another way to say what ``layer_types`` says of each layer, which wins."""

KEEPS_NONE = re.compile(
    r"(?:.*_)?(?:bias|eps|epsilon|norms?|dropout|prob|theta|scale|scaling|act|activation|gate|rope"
    r"|implementation|init|std|dtype|coef|token_ids?|loss|temperature|softcapping|softcap"
    r"|multipliers?|token_index|beta|alpha)"
    r"|use_cache|output_\w+|.*hidden_states.*|chunk_size_feed_forward|layerdrop"
    r"|summary_(?:activation|first_dropout|last_dropout|proj_to_labels|type|use_proj)"
    r"|(?:use_)?(?:qk|post|pre|query_key|lightning)_?\w*norm\w*|(?:use_)?\w*_?bias\w*"
    r"|\w*experts?(?:_\w+)?|moe_\w+|\w*topk_(?:group|method|prob|weights)|norm_topk\w*|n_group"
    r"|top_?k|topk|num_groups|\w*router\w*|\w*rope\w*|\w*rotary\w*|attn_logit\w*|clip_qkv"
    r"|first_k_dense_replace|mlp_only_layers|dense_layers|num_dense_layers|mlp_layer_types"
    r"|layernorm\w*|layer_norm\w*|\w*_layernorm|\w*norm_(?:eps|type)\w*|residual\w*|embd?_\w+"
    r"|attention_(?:probs|dropout|bias|multiplier|in_multiplier|out_multiplier|output_gate)\w*"
    r"|attn_(?:dropout|pdrop|output_gate|gate\w*|temperature\w*|scale|soft_cap\w*)"
    r"|_?(?:llm_)?attn_implementation\w*|use_flash_attn|use_cache_quantization\w*|torch_\w+"
    r"|linear_(?:silu|sigmoid\w*|allow_neg_eigval|lower_bound|dt_\w+|a_log\w*)"
    r"|mamba_(?:\w*bias|hidden_act|proj\w*|dt_(?:limit|min|max|init_floor)|rms_norm|norm\w*)"
    r"|mamba_step_rank|use_(?:mamba_kernels|mambapy|conv_bias|mem_rope)|ssm_\w*multipliers?"
    r"|(?:image|video|audio|vision|mm|vit|boi|eoi|boa|eoa|vq|speech|img|tts|patch|projector)_\w+"
    r"|encoder_no_repeat_ngram_size|no_repeat_ngram_size|prefix|pruned_heads|cross_attention_hidden"
    r"\w*|add_cross_attention|tie_\w+|\w*_dense_\w*size|shared?_intermediate_size|shared_mlp\w*"
    r"|shared_expert\w*|share_expert\w*|use_grouped_topk|scoring_func|hc_\w+|mhc\w*|mlp_\w+|ffn_\w+"
    r"|intermediate_size\w*|num_attention_heads_per_layer|attention_heads_per_layer|o_lora_rank"
    r"|no_rope_layers?\w*|attn_res_block_size|num_local_experts|use_mtp\w*|num_logits_to_keep"
    r"|mtp_(?:loss\w*|use_dedicated_embeddings)|block_(?:ffn\w*|auto_adjust\w*|multiple_of|dim"
    r"|ff_dim|norm\w*|use_\w+)|use_double_wide_mlp|conv_bias|conv_use_xavier_init|theta|time_step\w*"
    r"|sample_rate|do_sample|tokenizer\w*|ignore_index|pretraining_\w+|parallel_attn"
    r"|zero_expert\w*|swiglu\w*|activation_sparsity_pattern|laurel_rank|altup\w*|num_bytes\w*"
    r"|use_block_sparse|bos_token\w*|use_parallel_residual|new_decoder_architecture|use_qk_norm"
    r"|add_(?:swa|full)_attention_sink_bias|query_pre_attn_scalar|use_attn_sink"
    r"|attention_(?:value_scale|projection_layout)"
    r"|multi_query|nextn_\w+|enable_attention_fp32_softmax|apply_\w+scaling|kda_(?:safe_gate"
    r"|lower_bound)|attention_softmax_in_fp32|scale_att\w+|reorder_and_upcast_attn|attn_impl"
    r"|do_layer_norm_before|attn_drop_rate|enable_(?:moe_block|lm_head\w*)|num_ln_in_parallel_attn|norm_head|d_ff"
    r"|use_bidirectional_attention|deterministic_flash_attn|use_unified_vision_chunk|o_groups"
    r"|(?:linear|full)_attn_(?:alpha|beta)_factor|mlp_(?:alpha|beta)_factor|use_mem_eff_path"
    r"|num_beam_groups|mtp_(?:layer_types|mlp_layer_types)|drop_vision_last_layer|num_sliding_attention_heads"
    r"|label2id|id2label|finetuning_task|sep_token\w*|chunk_size_lm_head|head_dim_list"
)
"""Keys that keep nothing, however they sound: norms, gates, experts, positions, training."""

NOT_TEXT = re.compile(
    r"(?:vision|audio|vit|visual|image|speech|sound|talker|code2wav|token2wav|encoder|projector"
    r"|rope|task_specific|media|video)_?\w*|quantization(?:_config)?|compression_config"
    r"|generation_config|hf_quant_config|auto_map|perceiver\w*|\w*_qformer\w*|moe_router\w*|norm_kwargs|ffn_config|source|also|words"
    r"|architectures|name|_\w+|num_params"
)
"""Parts of a document that say nothing of the decoder's caches."""


def refuse_unaccounted(
    config: Config, layers: tuple[tuple[Cache, ...], ...], ignored: Collection[str] = ()
) -> None:
    """
    Refuse a configuration with a key that can hold a cache and is not modelled.

    ``ignored`` are keys that a person states to hold none.

    Raises:
        ConfigurationError: with every such key.
    """
    told = frozenset(
        key
        for keys, whether in (
            (READ, True),
            (OF_INDEXERS, _any(layers, IndexerCache) or _any(layers, PackedCache)),
            (OF_PACKED, _any(layers, PackedCache)),
            (OF_DFLASH, isinstance(config.get("dflash_config"), Mapping)),
            (OF_QSA, config.model_type in QSA),
            (OF_BLOCKS, chooses_blocks(config)),
            (OF_STATES, _any(layers, StateCache) or _lists_layers(config)),
            (BESIDE_A_LIST, config.get("layer_types") is not None),
            ({"attention_chunk_size"}, config.model_type.startswith("llama4")),
            (_same_as_window(config), True),
            (ignored, True),
        )
        if whether
        for key in keys
    ) - _unused_window(config, layers)
    problems = [
        Problem(
            field=f"model {config.name}: {_named(key)}",
            got=Said(
                "{value} is not modelled here, and it may hold a cache: state it as --not-a-cache"
                " if you know that it holds none, or take the engine's own count from its log",
                value=_shown(value),
            ),
        )
        for key, value in _keys(config)
        if key not in told and key.rpartition(".")[2] not in told
    ]
    if problems:
        raise ConfigurationError(*problems)


def _same_as_window(config: Config) -> Collection[str]:
    """Return other names of the window that say the same as ``sliding_window``."""
    window = config.get("sliding_window")
    others = ("sliding_window_size", "attention_chunk_size")
    return {name for name in others if window is not None and config.get(name) == window}


def _unused_window(config: Config, layers: tuple[tuple[Cache, ...], ...]) -> frozenset[str]:
    """Return ``sliding_window`` where no layer uses it and nothing says that none does."""
    windowed = (AttentionCache, PackedCache)
    used = any(isinstance(c, windowed) and c.window_tokens for layer in layers for c in layer)
    switch = config.get("use_sliding_window")
    by_default_off = config.model_type.startswith("qwen") and switch is None
    if used or switch is False or by_default_off or config.get("layer_types") is not None:
        return frozenset()
    return frozenset({"sliding_window"})


def _any(layers: tuple[tuple[Cache, ...], ...], kind: type[Cache]) -> bool:
    return any(isinstance(cache, kind) for layer in layers for cache in layer)


def _lists_layers(config: Config) -> bool:
    """Whether the configuration says of each layer what it is."""
    return any(
        config.get(key) is not None
        for key in ("layer_types", "layers_block_type", "hybrid_override_pattern")
    )


def _keys(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield each key that can hold a cache, once, with the value that is in force."""
    merged = {**config.outer, **config.text}
    for key, value in merged.items():
        if value is not config.text and value is not merged.get("text_config"):
            yield from _doubtful(key, value)


def _doubtful(key: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    if key in READ | OF_STATES | OF_INDEXERS | OF_PACKED:
        if not _inert(value):
            yield key, value
        return
    if _inert(value) or NOT_TEXT.fullmatch(key):
        return
    if key == "per_layer_config" and isinstance(value, Mapping):
        overrides = (part for part in value.values() if isinstance(part, Mapping))
        yield from (found for part in overrides for found in _nested(key, part))
    elif CAN_HOLD.search(key.lower()) and not KEEPS_NONE.fullmatch(key):
        yield key, value
    elif isinstance(value, Mapping):
        yield from _nested(key, value)


def _nested(key: str, section: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for inner, part in section.items():
        yield from ((f"{key}.{name}", got) for name, got in _doubtful(str(inner), part))


def _inert(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a value switches its key off."""
    if isinstance(value, Mapping):
        return all(map(_inert, value.values()))
    return value is None or value is False or value in ("", 0) or value in ([], {})


def _named(key: str) -> str:
    """Return a key as it is written; an odd one, or a long one, quoted and cut."""
    return key if key.isprintable() and len(key) <= LONGEST_TOLD else repr(key[:LONGEST_TOLD])


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
