"""From configurations, records and names to architectures."""

import json
import pathlib
import re
from typing import Any

import pytest

from scaler.capacity.architecture import AttentionCache, IndexerCache, LatentCache, StateCache
from scaler.capacity.models import architecture_of, load_model
from scaler.capacity.models.fields import read_config
from scaler.errors import ConfigurationError

LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
MLA = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128}
GDN = {
    "full_attention_interval": 4,
    "linear_num_value_heads": 48,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
}
MAMBA2 = {
    "mamba_n_heads": 48,
    "mamba_d_head": 64,
    "mamba_d_state": 128,
    "mamba_d_conv": 4,
    "mamba_n_groups": 1,
}


def kinds(document: dict[str, Any]) -> str:
    """Return a letter per cache and a space per layer: f, w, c, l, i, s; - for none."""
    letters = {LatentCache: "l", IndexerCache: "i", StateCache: "s"}

    def letter(cache: object) -> str:
        if isinstance(cache, AttentionCache):
            return "w" if cache.window_tokens else "c" if cache.chunk_tokens else "f"
        return letters[type(cache)]

    layers = architecture_of("model", document).layers
    return " ".join("".join(map(letter, layer)) or "-" for layer in layers)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        pytest.param({}, "f f f f", id="grouped queries"),
        pytest.param(
            {"sliding_window": 4096, "model_type": "mistral"}, "w w w w", id="Mistral 0.1"
        ),
        pytest.param(
            {"sliding_window": 4096, "use_sliding_window": False}, "f f f f", id="switched off"
        ),
        pytest.param(
            {"sliding_window": 4096, "model_type": "qwen2"}, "f f f f", id="Qwen2 says nothing"
        ),
        pytest.param({"sliding_window": 4096, "model_type": "gemma2"}, "w f w f", id="Gemma 2"),
        pytest.param(
            {"sliding_window": 512, "model_type": "gemma3_text", "num_hidden_layers": 7},
            "w w w w w f w",
            id="Gemma 3: five of six",
        ),
        pytest.param(
            {
                "sliding_window": 128,
                "layer_types": ["sliding_attention", "full_attention"] * 2,
            },
            "w f w f",
            id="gpt-oss lists them",
        ),
        pytest.param(
            {
                "sliding_window": 128,
                "layer_types_counts": {"sliding_attention": 2, "full_attention": 2},
            },
            "w f w f",
            id="a record counts them",
        ),
        pytest.param(
            {"attention_chunk_size": 8192, "model_type": "llama4_text"}, "c c c f", id="Llama 4"
        ),
        pytest.param(
            {"sliding_window": 4096, "sliding_window_pattern": "LLLG"}, "w w w f", id="EXAONE"
        ),
        pytest.param(MLA, "l l l l", id="latent"),
        pytest.param({**MLA, "index_head_dim": 128}, "li li li li", id="latent with an indexer"),
        pytest.param(
            {**MLA, "index_head_dim": 128, "indexer_types": ["full", "shared", "shared", "full"]},
            "li l l li",
            id="an indexer shared by layers",
        ),
        pytest.param(GDN, "s s s f", id="gated delta nets"),
        pytest.param(
            {**MAMBA2, "layer_types": ["mamba", "attention", "mamba", "mamba"]},
            "s f s s",
            id="Granite 4",
        ),
        pytest.param({**MAMBA2, "model_type": "falcon_h1"}, "fs fs fs fs", id="side by side"),
        pytest.param(
            {
                "mamba_num_heads": 64,
                "mamba_head_dim": 64,
                "ssm_state_size": 128,
                "n_groups": 8,
                "conv_kernel": 4,
                "hybrid_override_pattern": "M-*E",
            },
            "s - f -",
            id="Nemotron-H",
        ),
        pytest.param(
            {
                "attn_layer_period": 4,
                "attn_layer_offset": 2,
                "mamba_d_state": 16,
                "mamba_d_conv": 4,
            },
            "s s f s",
            id="Jamba",
        ),
        pytest.param(
            {
                **MLA,
                "linear_attn_config": {"kda_layers": [1, 2, 3], "num_heads": 32, "head_dim": 128},
            },
            "s s s l",
            id="Kimi Linear",
        ),
        pytest.param({"num_kv_shared_layers": 2}, "f f - -", id="layers that read another's keys"),
        pytest.param(
            {
                "block_configs": [
                    {"attention": {"n_heads_in_group": 4}},
                    {"attention": {"no_op": True}},
                ]
            },
            "f -",
            id="searched layers",
        ),
    ],
)
def test_each_layer_keeps_what_its_family_keeps(more: dict[str, Any], told: str) -> None:
    assert kinds({**LLAMA, **more}) == told


def test_the_text_part_of_a_multimodal_model_is_found() -> None:
    outer = {"model_type": "qwen2_5_vl", "vision_config": {}, "text_config": LLAMA}

    model = architecture_of("vl", outer)

    assert model.multimodal
    assert len(model.layers) == 4


@pytest.mark.parametrize(
    ("more", "why"),
    [
        pytest.param({"is_encoder_decoder": True}, "encoder-decoder", id="T5, Whisper, BART"),
        pytest.param({"cross_attention_layers": [3, 8]}, "cross attention", id="Llama 3.2 Vision"),
        pytest.param({"model_type": "bert"}, "no KV cache", id="an encoder"),
        pytest.param(
            {"model_type": "kimi_linear", **MLA}, "linear_attn_config", id="half a record"
        ),
    ],
)
def test_what_is_not_supported_says_why(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"not modelled here.*{why}"):
        architecture_of("model", {**LLAMA, **more})


@pytest.mark.parametrize(
    ("document", "named"),
    [
        pytest.param({"num_attention_heads": 32}, "num_hidden_layers", id="a key that is missing"),
        pytest.param({**LLAMA, "head_dim": "wide"}, "head_dim", id="a key that is no number"),
        pytest.param({**LLAMA, "layer_types": ["magic"] * 4}, "layer_types", id="an unknown word"),
    ],
)
def test_a_wrong_configuration_names_its_key(document: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        architecture_of("model", document)


@pytest.mark.parametrize(
    ("section", "weights", "kv"),
    [
        pytest.param({"quant_method": "fp8"}, "fp8", None, id="fp8"),
        pytest.param({"quant_method": "awq", "bits": 4}, "awq", None, id="AWQ"),
        pytest.param(
            {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"},
            "nvfp4-fp8",
            None,
            id="mixed, mostly in 4 bits",
        ),
        pytest.param(
            {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_scheme": {"num_bits": 8}},
            "nvfp4",
            "fp8",
            id="ModelOpt says how the cache is kept",
        ),
        pytest.param(
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}},
                "kv_cache_scheme": None,
            },
            "int4-g32",
            None,
            id="compressed-tensors",
        ),
    ],
)
def test_a_checkpoint_declares_its_numbers(
    section: dict[str, Any], weights: str, kv: str | None
) -> None:
    model = architecture_of("model", {**LLAMA, "quantization_config": section})

    assert (model.quantization, model.kv_dtype) == (weights, kv)


@pytest.mark.parametrize(
    ("section", "weights"),
    [
        pytest.param({"quant_method": "gptq", "bits": 8}, "gptq-int8-g128", id="GPTQ in 8 bits"),
        pytest.param(
            {"quant_method": "gptq", "bits": 4, "group_size": 32}, "gptq-int4-g32", id="per 32"
        ),
        pytest.param(
            {"quant_method": "gptq", "bits": 4, "group_size": -1}, "gptq-int4", id="per row"
        ),
        pytest.param(
            {"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, "awq-int4-g64", id="older AWQ"
        ),
        pytest.param(
            {"quant_method": "auto-round", "bits": 2, "group_size": 128},
            "gptq-int2-g128",
            id="AutoRound",
        ),
        pytest.param(
            {"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8", id="LLM.int8()"
        ),
        pytest.param(
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "group_size": None}}},
            },
            "int8",
            id="w8a16",
        ),
        pytest.param(
            {
                "quant_method": "compressed-tensors",
                "format": "mixed-precision",
                "config_groups": {
                    "experts": {"format": "nvfp4-pack-quantized", "weights": {"num_bits": 4}},
                    "attention": {"format": "float-quantized", "weights": {"num_bits": 8}},
                },
            },
            "nvfp4-fp8",
            id="groups in formats of their own",
        ),
        pytest.param(
            {
                "quant_method": "compressed-tensors",
                "format": "mixed-precision",
                "config_groups": {
                    "experts": {"format": "pack-quantized", "weights": {"num_bits": 4}},
                    "attention": {"format": "float-quantized", "weights": {"num_bits": 8}},
                },
            },
            "mixed-precision",
            id="a mix whose shares are not known: its bits are asked for",
        ),
        pytest.param(
            {"quant_method": "compressed-tensors", "format": "dense"}, "none", id="the cache alone"
        ),
        pytest.param(
            {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4"}}},
            "mxfp4",
            id="Quark",
        ),
        pytest.param(
            {
                "quant_method": "quark",
                "global_quant_config": {"weight": {"dtype": "fp4"}},
                "layer_quant_config": {"*self_attn*": {"weight": {"dtype": "fp8_e4m3"}}},
            },
            "quark",
            id="Quark, layers apart: its bits are asked for",
        ),
    ],
)
def test_a_checkpoint_declares_its_bits(section: dict[str, Any], weights: str) -> None:
    assert architecture_of("m", {**LLAMA, "quantization_config": section}).quantization == weights


@pytest.mark.parametrize(
    "key", ["first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"]
)
def test_layers_before_the_experts_are_dense(key: str) -> None:
    experts = {"num_experts": 8, "moe_intermediate_size": 1024}

    counted = architecture_of("model", {**LLAMA, **experts, key: 3}).parameters

    assert counted is not None
    assert (counted.dense, counted.expert) == (3 * 3 * 4096 * 14336, 8 * 3 * 4096 * 1024)


@pytest.mark.parametrize(
    ("more", "entries"),
    [
        pytest.param({}, 8192 * 128, id="a head's width for each position"),
        pytest.param({"partial_rotary_factor": 0.25}, 8192 * 32, id="a part of a head"),
        pytest.param(
            {"rope_parameters": {"partial_rotary_factor": 0.5}}, 8192 * 64, id="as newer files say"
        ),
        pytest.param({"rope_local_base_freq": 1e4}, 2 * 8192 * 128, id="windows have their own"),
        pytest.param({"position_embedding_type": "nope"}, 0, id="no positions"),
        pytest.param({"model_type": "opt"}, 0, id="learned positions"),
        pytest.param({"max_position_embeddings": None}, 0, id="not told"),
        pytest.param({**MLA, "num_key_value_heads": None}, 8192 * 64, id="a latent's part"),
    ],
)
def test_tables_of_a_rotation_are_as_long_as_the_longest_context(
    more: dict[str, Any], entries: int
) -> None:
    counted = architecture_of("model", {**LLAMA, **more}).parameters

    assert counted is not None
    assert counted.rotation == entries


@pytest.mark.parametrize(
    ("name", "billions", "weights", "kv"),
    [
        pytest.param("meta-llama/Llama-3.1-8B-Instruct", 8.03, None, None, id="Llama"),
        pytest.param("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", 70.55, "fp8", None, id="fp8"),
        pytest.param("nvidia/Llama-3.3-70B-Instruct-FP8", 70.55, "fp8", None, id="no proof"),
        pytest.param("nvidia/Llama-3.1-70B-Instruct-FP8", 70.55, "fp8", "fp8", id="its own files"),
        pytest.param("Qwen/Qwen2.5-32B-Instruct-GPTQ-Int4", 32.76, "gptq", None, id="GPTQ"),
        pytest.param(
            "Qwen/Qwen2.5-32B-Instruct-GPTQ-Int8", 32.76, "gptq-int8-g128", None, id="in 8 bits"
        ),
        pytest.param("RedHatAI/Qwen2.5-32B-quantized.w8a16", 32.76, "int8", None, id="w8a16"),
        pytest.param("x/Qwen2.5-32B-NVFP4A16", 32.76, "nvfp4", None, id="weights alone in NVFP4"),
        pytest.param("openai/gpt-oss-120b", 116.79, "mxfp4", None, id="published in MXFP4"),
        pytest.param("unsloth/gpt-oss-20b-BF16", 20.91, "none", None, id="made 16 bits wide again"),
        pytest.param(
            "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", 8.03, "int8", None, id="w8a8"
        ),
        pytest.param(
            "unsloth/Llama-3.1-8B-Instruct-unsloth-bnb-4bit", 8.03, "bitsandbytes", None, id="NF4"
        ),
        pytest.param(
            "x/Qwen2.5-32B-Instruct-AWQ-4bit", 32.76, "awq", None, id="AWQ, with its bits"
        ),
        pytest.param(
            "amd/Llama-3.3-70B-Instruct-FP8-KV", 70.55, "fp8", None, id="no proof of keys"
        ),
        pytest.param("RedHatAI/Qwen2.5-32B-NVFP4-FP8", 32.76, "nvfp4-fp8", None, id="a mix"),
        pytest.param("nvidia/DeepSeek-R1-FP4", 671.03, "nvfp4", None, id="NVFP4's older word"),
        pytest.param("nvidia/DeepSeek-R1-0528-NVFP4-v2", 671.03, "nvfp4", None, id="made anew"),
        pytest.param("x/Qwen2.5-32B-NVFP4-W4A4", 32.76, "nvfp4", None, id="with activations"),
        pytest.param("x/DeepSeek-R1-AWQ", 671.03, "awq", None, id="stored anew, not as published"),
        pytest.param("LiquidAI/LFM2-8B-A1B", 8.34, None, None, id="two dense layers first"),
        pytest.param("LiquidAI/LFM2.5-8B-A1B", 8.47, None, None, id="a larger vocabulary"),
        pytest.param("XiaomiMiMo/MiMo-V2.5", 309.30, "fp8", None, id="MiMo, with its encoder"),
        pytest.param("deepseek-ai/DeepSeek-R1", 671.03, "fp8", None, id="published in fp8"),
        pytest.param("nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16", 3.97, "none", None, id="MLPs alone"),
        pytest.param("LiquidAI/LFM2-350M", 0.354, None, None, id="rounded up to a multiple"),
        pytest.param(
            "zai-org/GLM-5.3", 743.38, "fp8", None, id="GLM-5.2's shape, published in fp8"
        ),
        pytest.param(
            "XiaomiMiMo/MiMo-V2.6-Pro", 1021.25, "fp8", None, id="70 layers, 10 of them full"
        ),
        pytest.param("nvidia/NVIDIA-Nemotron-Nano-9B-v2", 8.89, None, None, id="56 letters"),
        pytest.param("Qwen/Qwen3.8-2.4T-A95B-FP8", 2419.8, "fp8", None, id="the largest"),
        pytest.param(
            "nvidia/Llama-3_3-Nemotron-Super-49B-v1_5", 49.87, None, None, id="a total alone"
        ),
        pytest.param("sarvamai/sarvam-105b", 106.03, None, None, id="shapes, not a total alone"),
    ],
)
def test_a_name_is_enough(name: str, billions: float, weights: str | None, kv: str | None) -> None:
    model = load_model(name)

    assert model.parameters is not None
    assert model.parameters.total / 1e9 == pytest.approx(billions, abs=0.01)
    assert (model.quantization, model.kv_dtype) == (weights, kv)


@pytest.mark.parametrize(
    ("config", "width"),
    [
        pytest.param({"model_type": "qwen", "intermediate_size": 27392}, 13696, id="both gates"),
        pytest.param(
            {"model_type": "lfm2", "block_auto_adjust_ff_dim": True, "block_ff_dim": 6656},
            4608,
            id="three halves, rounded up",
        ),
        pytest.param(
            {
                "model_type": "lfm2",
                "block_auto_adjust_ff_dim": True,
                "block_ffn_dim_multiplier": 1.0,
                "block_multiple_of": 256,
                "intermediate_size": 12288,
            },
            8192,
            id="three halves",
        ),
        pytest.param({"model_type": "lfm2", "intermediate_size": 10752}, 10752, id="as it is"),
        pytest.param({"model_type": "qwen2", "intermediate_size": 18944}, 18944, id="one gate"),
    ],
)
def test_an_inner_width_is_that_of_the_matrices(config: dict[str, Any], width: int) -> None:
    read = read_config("a model", config)

    assert read.whole("intermediate_size") == width


@pytest.mark.parametrize(
    ("name", "positions"),
    [
        pytest.param("Qwen/Qwen3-30B-A3B", 40_960, id="the first release"),
        pytest.param("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", 262_144, id="a later one"),
        pytest.param("Qwen3-235B-A22B-Thinking-2507", 262_144, id="another"),
        pytest.param("Qwen3-Coder-30B-A3B-Instruct", 262_144, id="tuned for more"),
        pytest.param("Mistral-Small-24B-Instruct-2501-AWQ", 32_768, id="an earlier one"),
        pytest.param("DeepSeek-V4-Flash-0731", 1_048_576, id="a date that changes nothing"),
        pytest.param("moonshotai/Kimi-K2-Instruct-0905", 262_144, id="a date that changes it"),
        pytest.param("zai-org/GLM-4.5-FP8", 131_072, id="the first of three releases"),
        pytest.param("zai-org/GLM-4.7", 202_752, id="the last of them"),
        pytest.param("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", 131_072, id="distilled into it"),
        pytest.param("Qwen/Qwen2.5-32B-Instruct", 32_768, id="what it was distilled into"),
    ],
)
def test_a_later_release_may_have_a_longer_context(name: str, positions: int) -> None:
    assert load_model(name).max_position_embeddings == positions


@pytest.mark.parametrize(
    ("name", "layers", "full"),
    [
        pytest.param("zai-org/GLM-5.3", 78, 78, id="latent, and 21 indexers"),
        pytest.param("XiaomiMiMo/MiMo-V2.5-Pro", 70, 10, id="windows"),
        pytest.param("nvidia/Llama-3_3-Nemotron-Super-49B-v1_5", 49, 49, id="31 keep none"),
        pytest.param("meta-models/Muse-Glimmer-30B", 52, 13, id="every fourth"),
        pytest.param("Qwen/Qwen3.8-2.4T-A95B", 92, 23, id="states"),
        pytest.param("nvidia/NVIDIA-Nemotron-Nano-12B-v2", 34, 6, id="28 states, 28 MLPs"),
        pytest.param("CohereLabs/c4ai-command-a-03-2025", 64, 16, id="windows of Cohere"),
    ],
)
def test_layers_of_newer_names_keep_what_they_keep(name: str, layers: int, full: int) -> None:
    kept = [caches for caches in load_model(name).layers if caches]
    whole = [caches[0] for caches in kept if not isinstance(caches[0], StateCache)]

    assert len(kept) == layers
    assert len([one for one in whole if not getattr(one, "window_tokens", None)]) == full


def test_an_unknown_name_suggests_a_near_one() -> None:
    with pytest.raises(ConfigurationError, match="did you mean .*Qwen3-32B"):
        load_model("Qwen/Qwen3-23B")


def test_every_model_of_the_table_is_understood_or_says_why() -> None:
    table = pathlib.Path("scaler/capacity/models/table.json")
    models = json.loads(table.read_text(encoding="utf-8"))["models"]

    for name, record in models.items():
        assert record["source"]
        if "compress_ratios_counts" in record or "ple_layer_ids" in record:
            continue
        model = load_model(name)
        assert model.parameters is not None, name


def test_the_page_counts_where_records_were_read() -> None:
    table = json.loads(pathlib.Path("scaler/capacity/models/table.json").read_text("utf-8"))
    page = " ".join(pathlib.Path("docs/how-much-fits.md").read_text("utf-8").split())
    read = [record["source"] for record in table["models"].values()]
    defaults = sum(source.startswith("configuration_") for source in read)
    quoted = sum("as quoted" in source.split(";")[0] for source in read)

    assert f"of {len(read)}, {len(read) - defaults - quoted} from numbers kept" in page
    assert f"{defaults} from defaults of transformers, {quoted} as quoted" in page
    assert not [source for source in read if "not read from the file" in source.split(";")[0]]
    assert not [source for source in read if re.match("inferred|the published", source)]


def test_a_folder_tells_the_checkpoints_bytes(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "model.safetensors.index.json").write_text('{"metadata": {"total_size": 123}}')
    (tmp_path / "hf_quant_config.json").write_text(
        '{"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}'
    )

    model = load_model(str(tmp_path))

    assert model.name == tmp_path.name
    assert model.checkpoint_bytes == 123
    assert (model.quantization, model.kv_dtype) == ("fp8", "fp8")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param(None, "there is no file", id="no such file"),
        pytest.param("{", "is no JSON", id="not JSON"),
        pytest.param("[]", "holds no JSON object", id="a list"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: pathlib.Path, text: str | None, named: str
) -> None:
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigurationError, match=named):
        load_model(str(path))


def test_a_record_is_completed_by_the_tables_model_of_its_shape() -> None:
    record = {
        "source": "knowledge",
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "hidden_size": 3584,
        "num_params": "7.6B",
    }

    model = architecture_of("anything", record)

    assert model.vocab_size == 152_064


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        ("mistralai/Mistral-Large-3-675B-Instruct-2512", "fp8"),
        ("mistralai/Mistral-Large-3-675B-Base-2512", None),
        ("mistralai/Mistral-Large-3-675B-Instruct-2512-BF16", "none"),
        ("mistralai/Mistral-Large-3-675B-Instruct-2512-NVFP4", "nvfp4"),
        ("mistralai/Mistral-Small-4-119B-2603", "fp8"),
        ("mistralai/Ministral-3-14B-Instruct-2512", "fp8"),
        ("mistralai/Ministral-3-8B-Reasoning-2512", None),
        ("deepseek-ai/DeepSeek-V3-0324", "fp8"),
    ],
)
def test_a_makers_own_checkpoint_is_stored_as_the_maker_stores_it(
    name: str, quantization: str | None
) -> None:
    assert load_model(name).quantization == quantization
