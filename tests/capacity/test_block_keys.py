"""MiniMax M3: keys of blocks beside keys and values, and where they are refused."""

from typing import Any

import pytest

from scaler.capacity.architecture import AttentionCache
from scaler.capacity.kv_cache import kv_capacity
from scaler.capacity.kv_cache.serving import Engine, GpuClass, Serving
from scaler.capacity.models import architecture_of, load_model
from scaler.errors import ConfigurationError

SECTION: dict[str, Any] = {
    "use_sparse_attention": True,
    "sparse_index_dim": 128,
    "sparse_num_index_heads": 4,
    "sparse_block_size": 128,
    "sparse_attention_freq": [0, 1, 1, 1],
    "sparse_disable_index_value": [0, 1, 1, 1],
}
CONFIG: dict[str, Any] = {
    "model_type": "minimax_m3",
    "num_hidden_layers": 4,
    "num_attention_heads": 64,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "hidden_size": 6144,
    "intermediate_size": 3072,
    "dense_intermediate_size": 12288,
    "shared_intermediate_size": 3072,
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
    "first_k_dense_replace": 1,
    "vocab_size": 200064,
    "max_position_embeddings": 1_048_576,
    "sparse_attention_config": SECTION,
}
GIB = 2**30


def block_bytes(**flags: Any) -> int:
    return kv_capacity(
        load_model("MiniMax-M3"), Serving(**flags), 40 * GIB
    ).layout.bytes_per_block_per_gpu


def test_a_layer_that_chooses_keeps_a_key_beside() -> None:
    model = architecture_of("m", CONFIG)
    key = AttentionCache(kv_heads=1, head_dim=128, value_dim=0, unquantized=True)

    assert [key in caches for caches in model.layers] == [False, True, True, True]
    assert model.family == "GQA"


@pytest.mark.parametrize("more", [{"model_type": "other"}, {"sparse_attention_config": None}])
def test_the_outer_type_tells_the_family_too(more: dict[str, Any]) -> None:
    inner = {**CONFIG, **more}
    if inner["sparse_attention_config"] is None:
        with pytest.raises(ConfigurationError, match="sparse_attention_config"):
            architecture_of("m", inner)
    else:
        outer = {"model_type": "minimax_m3_vl", "text_config": inner}
        assert architecture_of("m", outer).chooses_blocks


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        pytest.param({"sparse_attention_freq": [0, 1]}, "sparse_attention_freq", id="too few"),
        pytest.param({"sparse_attention_freq": None}, "sparse_attention_freq", id="not told"),
        pytest.param({"sparse_index_dim": None}, "sparse_index_dim", id="no width"),
        pytest.param(
            {"sparse_disable_index_value": [0, 1, 0, 1]}, "disable_index_value", id="values too"
        ),
    ],
)
def test_what_is_half_told_is_refused(changed: dict[str, Any], named: str) -> None:
    section = {**SECTION, **changed}

    with pytest.raises(ConfigurationError, match=named):
        architecture_of("m", {**CONFIG, "sparse_attention_config": section})


def test_the_weights_of_choosing_are_counted() -> None:
    counted = architecture_of("m", CONFIG).parameters
    attention, choosing = 6144 * 128 * (64 + 4 + 4 + 64), 6144 * 128 * (4 + 1)
    beside = 6144 * 128 + 3 * 6144 * 3072

    assert counted is not None
    assert counted.mixer == 4 * attention + 3 * (choosing + beside)
    assert counted.dense == 3 * 6144 * 12288
    assert counted.expert == 3 * 128 * 3 * 6144 * 3072


@pytest.mark.parametrize(
    ("flags", "heads", "element"),
    [
        pytest.param({}, 4, 2, id="one GPU"),
        pytest.param({"tensor_parallel": 4}, 1, 2, id="a head each, and the whole key"),
        pytest.param({"tensor_parallel": 8}, 1, 2, id="repeated heads"),
        pytest.param({"tensor_parallel": 4, "kv_dtype": "fp8"}, 1, 1, id="the key stays in 16"),
    ],
)
def test_a_block_holds_both(flags: dict[str, Any], heads: int, element: int) -> None:
    token = 60 * heads * 2 * 128 * element + 57 * 128 * 2

    assert block_bytes(**flags) == 128 * token
    if element > 1:
        assert block_bytes(engine=Engine.SGLANG, **flags) == token


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        pytest.param({"engine": Engine.TRTLLM}, "vllm or sglang", id="another engine"),
        pytest.param({"engine": Engine.SGLANG, "kv_dtype": "fp8"}, "auto or bfloat16", id="8 bits"),
        pytest.param({"tensor_parallel": 8, "context_parallel": 2}, "1 for", id="spread tokens"),
    ],
)
def test_what_was_not_read_is_refused(flags: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        block_bytes(**flags)


def test_pages_of_its_own_are_refused() -> None:
    packed = architecture_of("m", {**CONFIG, "quantization": "nvfp4"})
    serving = Serving(engine=Engine.SGLANG, gpu_class=GpuClass.BLACKWELL)

    with pytest.raises(ConfigurationError, match="sglang's own pages"):
        kv_capacity(packed, serving, GIB)
