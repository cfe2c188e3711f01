"""
The recurrent state of one layer: Mamba, Mamba-2, gated delta nets, and others.

Shapes are those of vLLM's ``layers/mamba/mamba_utils.py`` (MambaStateShapeCalculator); the type of
the recurrent part is the configuration's where it states one, else the family's default.
"""

from collections.abc import Callable, Mapping

from scaler.capacity.architecture import StateCache
from scaler.said import Said

from .fields import Config

FLOAT32_BYTES = 4


def state_cache(config: Config) -> StateCache:
    """
    Return the state that one layer keeps for a request.

    Raises:
        ConfigurationError: a state whose shape the configuration does not tell.
    """
    build = next((build for known, build in SHAPES if known(config)), None)
    if build is not None:
        return build(config)
    raise config.wrong(
        "linear attention",
        got=Said("no keys that tell its state's shape"),
        allowed=Said("linear_*, mamba_*, linear_attn_config, conv_L_cache or attn_type_list"),
    )


def _recurrent_bytes(config: Config, *, default: int | None) -> int | None:
    stated = config.get("mamba_ssm_dtype", "mamba_ssm_cache_dtype")
    if stated is None or stated == "auto":
        return default
    return FLOAT32_BYTES if "32" in str(stated) else 2


def _gated_delta(config: Config) -> StateCache:
    keys = config.required("linear_num_key_heads") * config.required("linear_key_head_dim")
    heads, dim = config.required("linear_num_value_heads"), config.required("linear_value_head_dim")
    return StateCache(
        kind="gdn",
        channels=2 * keys + heads * dim,
        kernel=config.required("linear_conv_kernel_dim"),
        heads=heads,
        per_head=dim * config.required("linear_key_head_dim"),
        recurrent_bytes=_recurrent_bytes(config, default=None),
    )


def _kda(config: Config) -> StateCache:
    nested = config.get("linear_attn_config")
    inner = Config(config.name, nested, nested) if isinstance(nested, Mapping) else config
    heads = inner.required("num_heads" if inner is not config else "linear_num_heads")
    dim = inner.required("head_dim" if inner is not config else "linear_head_dim")
    return StateCache(
        kind="kda",
        channels=3 * heads * dim,
        kernel=inner.whole("short_conv_kernel_size", "linear_conv_kernel_dim") or 4,
        heads=heads,
        per_head=dim * dim,
        recurrent_bytes=_recurrent_bytes(config, default=FLOAT32_BYTES),
    )


def _mamba2(config: Config) -> StateCache:
    heads = config.required("mamba_n_heads", "mamba_num_heads", "num_heads")
    dim = config.required("mamba_d_head", "mamba_head_dim", "head_dim")
    state = config.required("mamba_d_state", "ssm_state_size", "state_size")
    nemotron = config.get("mamba_num_heads") is not None
    return StateCache(
        kind="mamba2",
        channels=config.whole("mamba_d_ssm") or heads * dim,
        kernel=config.required("mamba_d_conv", "conv_kernel"),
        heads=heads,
        per_head=dim * state,
        groups=config.required("mamba_n_groups", "n_groups"),
        group_channels=2 * state,
        recurrent_bytes=_recurrent_bytes(config, default=FLOAT32_BYTES if nemotron else None),
    )


def ngram_state(config: Config, layer: int) -> tuple[StateCache, ...]:
    """
    Return the tail of the dilated convolution over n-gram embeddings, in the layers that have one.

    Every rank holds it whole. vLLM 0.33 ``models/qwen4_exp/nvidia/model.py``.
    """
    listed = config.get("ple_layer_ids")
    if not isinstance(listed, list) or layer + 1 not in listed:  # numbered from 1
        return ()
    steps = (config.required("ple_conv_kernel_size") - 1) * config.required("ngram_size")
    return (
        StateCache(
            kind="short-conv",
            channels=config.required("hidden_size") * config.required("hc_count"),
            kernel=steps + 1,
            heads=0,
            per_head=0,
            replicated=True,
        ),
    )


def _mamba(config: Config) -> StateCache:
    expand = config.whole("mamba_expand", "expand") or 2
    inner = config.required("hidden_size") * expand
    if config.get("mamba_expand") is None and config.whole("intermediate_size"):
        inner = config.required("intermediate_size")
    return StateCache(
        kind="mamba",
        channels=inner,
        kernel=config.required("mamba_d_conv", "conv_kernel"),
        heads=inner,
        per_head=config.required("mamba_d_state", "state_size"),
        recurrent_bytes=_recurrent_bytes(config, default=None),
    )


def _short_convolution(config: Config) -> StateCache:
    return StateCache(
        kind="short-conv",
        channels=config.whole("conv_dim") or config.required("hidden_size"),
        kernel=config.required("conv_L_cache"),
        heads=0,
        per_head=0,
    )


def _lightning(config: Config) -> StateCache:
    return StateCache(
        kind="lightning",
        channels=0,
        kernel=0,
        heads=config.required("num_attention_heads"),
        per_head=config.head_dim**2,
        recurrent_bytes=_recurrent_bytes(config, default=FLOAT32_BYTES),
    )


SHAPES: tuple[tuple[Callable[[Config], bool], Callable[[Config], StateCache]], ...] = (
    (lambda config: config.get("linear_num_value_heads") is not None, _gated_delta),
    (
        lambda config: (
            isinstance(config.get("linear_attn_config"), Mapping)
            or config.get("linear_num_heads") is not None
        ),
        _kda,
    ),
    (lambda config: config.get("mamba_n_heads", "mamba_num_heads") is not None, _mamba2),
    (lambda config: config.get("conv_L_cache") is not None, _short_convolution),
    (
        lambda config: config.get("attn_type_list") is not None or config.model_type == "minimax",
        _lightning,
    ),
    (lambda config: config.model_type == "mamba2", _mamba2),
    (lambda config: config.get("mamba_d_state", "state_size") is not None, _mamba),
)
"""Which keys tell which state; the first that is there."""
