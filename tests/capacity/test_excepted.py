"""Which share of attention is quantized, by lists as published checkpoints write them."""

from typing import Any

import pytest

from scaler.capacity.models import architecture_of

DENSE = {
    "model_type": "qwen3",
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "vocab_size": 128256,
}
LATENT = {
    **DENSE,
    "model_type": "deepseek_v3",
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
}
DELTA = {
    **DENSE,
    "model_type": "qwen3_next",
    "head_dim": 256,
    "full_attention_interval": 4,
    "linear_num_value_heads": 32,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
}
HYBRID = {
    **DENSE,
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "M-*-",
    "mamba_num_heads": 64,
    "mamba_head_dim": 128,
    "ssm_state_size": 128,
    "n_groups": 8,
    "conv_kernel": 4,
}
MAMBA = 4096 * (2 * 8192 + 2 * 8 * 128 + 64) + 8192 * 4096
ATTENTION = 4096 * 128 * (32 + 8 + 8 + 32)
GATED = 4096 * (2 * 32 * 256 + 32 * 256 + 2 * 8 * 256)
GDN = 4096 * (2 * 16 * 128 + 2 * 32 * 128 + 2 * 32) + 32 * 128 * 4096
OUTPUT = 32 * 128 * 4096
LATENT_ALL = (
    4096 * 1536 + 1536 * 32 * 192 + 4096 * (512 + 64) + 512 * 32 * 256 + OUTPUT
)  # query down and up, cache down, keys and values up, output


def each(text: str, *layers: int) -> list[str]:
    return [text.format(layer) for layer in layers]


def share(model: dict[str, Any], listed: list[str], key: str = "ignore") -> float | None:
    section = {"quant_method": "fp8", key: listed}
    return architecture_of("m", {**model, "quantization_config": section}).quantized_mixers


@pytest.mark.parametrize(
    ("listed", "quantized"),
    [
        pytest.param(["lm_head"], 1.0, id="the output alone"),
        pytest.param(
            each("model.layers.{}.post_attention_layernorm", 0, 1, 2, 3), 1.0, id="norms beside it"
        ),
        pytest.param(each("model.layers.{}.self_attn.q_norm", 0, 1, 2, 3), 1.0, id="norms in it"),
        pytest.param(
            each("visual.blocks.{}.attn.qkv", *range(32)), 1.0, id="attention of a vision tower"
        ),
        pytest.param(["re:vision_tower.*self_attn.*"], 1.0, id="a vision tower, as a pattern"),
        pytest.param(["*self_attn*"], 0.0, id="a pattern of ModelOpt"),
        pytest.param([r"re:.*self_attn\..*"], 0.0, id="a regular expression"),
        pytest.param(["model.layers.*.self_attn"], 0.0, id="all layers, as gpt-oss writes it"),
        pytest.param(each("model.layers.{}.self_attn*", 0, 1, 2, 3), 0.0, id="layer by layer"),
        pytest.param(each("model.layers.{}.self_attn*", 0), 0.75, id="one layer of four"),
        pytest.param(["model.layers.0*"], 0.75, id="one layer whole"),
        pytest.param(["model.layers.4*", "mtp.layers.0*"], 1.0, id="a drafter's layer"),
        pytest.param(each("model.layers.{}.self_attn.q_proj", 1, 2), 0.5, id="by its matrix"),
    ],
)
def test_what_a_list_leaves_of_attention(listed: list[str], quantized: float) -> None:
    assert share(DENSE, listed) == pytest.approx(quantized)


@pytest.mark.parametrize(
    "key",
    ["ignore", "exclude_modules", "modules_to_not_convert", "llm_int8_skip_modules", "exclude"],
)
def test_lists_have_several_names(key: str) -> None:
    assert share(DENSE, ["model.layers.1.self_attn"], key) == pytest.approx(0.75)


def test_no_list_tells_nothing() -> None:
    assert share(DENSE, []) is None
    assert architecture_of("m", DENSE).quantized_mixers is None


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        pytest.param(["re:.*linear_attn.*"], 3 * GDN, id="states alone"),
        pytest.param(["re:.*self_attn.*"], GATED, id="attention alone"),
        pytest.param(
            each("model.layers.{}.linear_attn.in_proj_ba", 0, 1, 2)
            + each("model.layers.{}.linear_attn.conv1d", 0, 1, 2),
            0,
            id="what is small of a state",
        ),
    ],
)
def test_states_are_named_apart_from_attention(listed: list[str], kept: int) -> None:
    assert share(DELTA, listed) == pytest.approx(1 - kept / (3 * GDN + GATED))


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        pytest.param(["backbone.layers.0.mixer.conv1d"], 0, id="a convolution"),
        pytest.param(["backbone.layers.0.mixer.in_proj"], MAMBA, id="a state"),
        pytest.param(["backbone.layers.2.mixer.k_proj"], ATTENTION, id="attention"),
        pytest.param(["backbone.layers.1.mixer.gate"], 0, id="a router, called a mixer too"),
    ],
)
def test_a_hybrid_calls_everything_a_mixer(listed: list[str], kept: int) -> None:
    assert share(HYBRID, listed) == pytest.approx(1 - kept / (MAMBA + ATTENTION))


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        pytest.param(
            ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj"],
            LATENT_ALL - OUTPUT,
            id="the output is quantized alone",
        ),
        pytest.param(["o_proj"], OUTPUT, id="all but the output"),
        pytest.param(["q_a_proj", "o_proj"], LATENT_ALL, id="nothing is"),
        pytest.param(["q_a_layernorm", "kv_a_layernorm"], 0, id="norms"),
    ],
)
def test_latent_attention_is_excepted_in_part(parts: list[str], kept: int) -> None:
    listed = [f"model.layers.{layer}.self_attn.{part}" for layer in range(4) for part in parts]

    assert share(LATENT, listed) == pytest.approx(1 - kept / LATENT_ALL)


@pytest.mark.parametrize(
    ("model", "listed", "quantized"),
    [
        pytest.param(DENSE, ["lm_head"], 1.0, id="the output alone"),
        pytest.param(
            DENSE, [r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"], 0.0, id="a regular expression"
        ),
        pytest.param(DENSE, ["model.layers.3.mlp.down_proj"], 0.75, id="by its matrix"),
        pytest.param(DENSE, ["model.layers.0*"], 0.75, id="one layer whole"),
        pytest.param(DENSE, ["model.layers.0.mlp.gate"], 1.0, id="a router"),
        pytest.param(DENSE, ["*.mlp.shared_expert.*"], 1.0, id="a shared expert"),
        pytest.param(HYBRID, ["backbone.layers.1.mixer.up_proj"], 0.5, id="called a mixer"),
        pytest.param(HYBRID, ["backbone.layers.0.mixer.in_proj"], 1.0, id="a state"),
    ],
)
def test_what_a_list_leaves_of_dense_layers(
    model: dict[str, Any], listed: list[str], quantized: float
) -> None:
    section = {"quant_method": "fp8", "ignore": listed}
    read = architecture_of("m", {**model, "quantization_config": section})

    assert read.quantized_dense == pytest.approx(quantized)


def test_the_list_of_hf_quant_config_wins_and_tells_of_the_output() -> None:
    section = {
        "quant_algo": "MIXED_PRECISION",
        "exclude_modules": ["*self_attn*"],
        "quantized_layers": {"lm_head": {"quant_algo": "W4A16_NVFP4"}},
    }
    beside = {"hf_quant_config": {"quantization": section}}
    own = {"quantization_config": {"quant_method": "modelopt", "ignore": ["lm_head"]}}

    model = architecture_of("m", {**DENSE, **own, **beside})

    assert (model.quantization, model.quantized_mixers) == ("nvfp4-fp8", 0.0)
    assert model.quantized_head
    assert not architecture_of("m", {**DENSE, **own}).quantized_head
