"""A drafter's caches are its own family's, and tokens that nobody drafts are refused."""

from typing import Any

import pytest

from scaler.capacity.architecture import AttentionCache, Cache
from scaler.capacity.models import architecture_of, load_model
from scaler.capacity.question import CapacityQuestion, planned_capacity
from scaler.errors import ConfigurationError

SLIDING = {
    "model_type": "step3p7",
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "hidden_size": 512,
    "vocab_size": 1000,
    "sliding_window": 128,
    "layer_types": ["full_attention", "sliding_attention"],
}


def windows(caches: tuple[Cache, ...]) -> list[int | None]:
    return [cache.window_tokens for cache in caches if isinstance(cache, AttentionCache)]


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        pytest.param({}, [None], id="as its full layers"),
        pytest.param({"mtp_layer_types": ["sliding_attention"]}, [128], id="as it says"),
        pytest.param(
            {"layer_types": ["full_attention", "sliding_attention", "sliding_attention"]},
            [128],
            id="as the entry after the model's",
        ),
        pytest.param({"model_type": "gemma4_text"}, [], id="a reader of the target's keys"),
    ],
)
def test_a_drafter_keeps_what_its_own_layer_keeps(
    more: dict[str, Any], kept: list[int | None]
) -> None:
    assert windows(architecture_of("one", {**SLIDING, **more}).draft_layer) == kept


def test_mimos_drafter_has_a_window() -> None:
    drafter = load_model("MiMo-V2-Flash").draft_layer

    assert drafter == (AttentionCache(kv_heads=8, head_dim=192, value_dim=128, window_tokens=128),)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"draft_layers": 1}, id="the checkpoint's own"),
        pytest.param({"draft_layers": 0}, id="n-grams"),
        pytest.param({"draft_model": "Llama-3.2-1B"}, id="a model of its own"),
    ],
)
def test_who_drafts_is_told(more: dict[str, Any]) -> None:
    asked = CapacityQuestion(model="Llama-3.1-8B", available_kv_gib=10.0, speculative_tokens=3)

    with pytest.raises(ConfigurationError, match="draft_layers: missing, though 3 tokens"):
        planned_capacity(asked)
    told = {"model": "Llama-3.1-8B", "available_kv_gib": 10.0, "speculative_tokens": 3, **more}
    assert planned_capacity(CapacityQuestion(**told)).capacity.num_blocks


DFLASH = {
    "model_type": "qwen3",
    "num_hidden_layers": 5,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 4096,
    "num_target_layers": 64,
    "dflash_config": {"mask_token_id": 1, "target_layer_ids": [1, 16, 31]},
}


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        pytest.param({}, [None] * 5, id="nothing said: full"),
        pytest.param({"use_swa": True, "swa_window_size": 2048}, [2048] * 5, id="all windows"),
        pytest.param({"swa_window_size": 2048}, [None] * 5, id="a window that nothing uses"),
    ],
)
def test_a_dflash_drafter_has_the_windows_of_its_own_section(
    more: dict[str, Any], kept: list[int | None]
) -> None:
    section = {**DFLASH["dflash_config"], **more}  # type: ignore[dict-item]

    assert windows(architecture_of("drafter", {**DFLASH, "dflash_config": section}).caches) == kept


def test_a_dflash_drafter_that_lists_its_windows_keeps_to_the_list() -> None:
    listed = ["sliding_attention"] * 4 + ["full_attention"]
    section = {"use_swa": True, "swa_window_size": 512}
    drafter = {**DFLASH, "layer_types": listed, "dflash_config": section}

    assert windows(architecture_of("drafter", drafter).caches) == [512] * 4 + [None]


def test_a_drafters_keys_are_no_proof_beside_another_section() -> None:
    with pytest.raises(ConfigurationError, match="swa_window_size"):
        architecture_of("other", {**SLIDING, "swa_window_size": 2048})
