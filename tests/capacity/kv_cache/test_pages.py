"""Bytes of one layer's cache on one GPU, as a pencil adds them up."""

from typing import Any

import pytest

from scaler.capacity.architecture import (
    Cache,
    IndexerCache,
    LatentCache,
    ModelArchitecture,
    StateCache,
)
from scaler.capacity.kv_cache import GIB, Serving, kv_capacity, pages
from scaler.errors import ConfigurationError
from tests.builders import architecture, attention

LATENT = LatentCache(rank=512, rope_dim=64, heads=128, nope_dim=128)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        *((name, 256) for name in ("auto", "bfloat16", "bf16", "float16", "fp16", "half")),
        *((name, 512) for name in ("float32", "float")),
        *((name, 128) for name in ("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "int8")),
        pytest.param("int8_per_token_head", 132, id="with a scale per head"),
        pytest.param("fp8_per_token_head", 132, id="floats with one"),
        pytest.param("int4_per_token_head", 68, id="4 bits with one"),
        pytest.param("nvfp4", 72, id="4 bits with a scale per 16"),
    ],
)
def test_a_vector_of_128(dtype: str, size: int) -> None:
    assert pages.vector_bytes(128, dtype) == size


@pytest.mark.parametrize(
    ("declared", "own", "stated", "resolved"),
    [
        pytest.param(None, 2, "auto", "bfloat16", id="the model's own type"),
        pytest.param(None, 4, "auto", "float32", id="which may be 32 bits"),
        pytest.param("fp8", 2, "auto", "fp8", id="what the checkpoint declares"),
        pytest.param("fp8", 2, "BFloat16", "bfloat16", id="what is stated, in any case"),
    ],
)
def test_auto_is_the_checkpoints_word(
    declared: str | None, own: int, stated: str, resolved: str
) -> None:
    model = architecture(kv_dtype=declared, element_bytes=own)

    assert pages.kv_dtype(model, stated) == resolved


@pytest.mark.parametrize(
    ("cache", "dtype", "ranks", "size"),
    [
        pytest.param(attention(8, 128), "bfloat16", 1, 8 * 2 * 256, id="keys and values"),
        pytest.param(attention(8, 128), "bfloat16", 4, 2 * 2 * 256, id="shared by ranks"),
        pytest.param(attention(8, 128), "bfloat16", 16, 2 * 256, id="one head at least"),
        pytest.param(attention(4, 192, value_dim=128), "fp8", 1, 4 * 320, id="values are shorter"),
        pytest.param(LATENT, "bfloat16", 8, 2 * 576, id="a latent is whole on each"),
        pytest.param(LATENT, "fp8_ds_mla", 8, 512 + 16 + 128, id="FlashMLA's format"),
        pytest.param(IndexerCache(head_dim=128), "bfloat16", 8, 132, id="an indexer's key"),
        pytest.param(IndexerCache(head_dim=192), "bfloat16", 8, 200, id="a scale per begun 128"),
        pytest.param(
            StateCache(kind="gdn", channels=9, kernel=4, heads=8, per_head=9),
            "fp8",
            1,
            0,
            id="a state holds no tokens",
        ),
    ],
)
def test_a_token(cache: Cache, dtype: str, ranks: int, size: int) -> None:
    assert pages.token_bytes(cache, dtype, ranks) == size


def test_a_latent_is_padded_to_an_alignment() -> None:
    assert pages.token_bytes(LATENT, "bfloat16", 1, latent_alignment=128) == 2 * 640
    assert pages.token_bytes(LATENT, "bfloat16", 1, latent_alignment=64) == 2 * 576


GROUPED = {"groups": 2, "group_channels": 10}


@pytest.mark.parametrize(
    ("shape", "flags", "own", "tail", "recurrent"),
    [
        pytest.param({}, {}, 2, 64 * 3 * 2, 8 * 100 * 2, id="kernel − 1 steps of every channel"),
        pytest.param({}, {"tensor_parallel": 4}, 2, 16 * 3 * 2, 2 * 100 * 2, id="ranks share it"),
        pytest.param({}, {}, 4, 64 * 3 * 4, 8 * 100 * 4, id="in 32 bits"),
        pytest.param({"recurrent_bytes": 4}, {}, 2, 64 * 3 * 2, 8 * 100 * 4, id="in part"),
        pytest.param(
            {}, {"speculative_tokens": 2}, 2, 64 * 5 * 2, 8 * 100 * 2, id="drafts lengthen it"
        ),
        pytest.param(
            {"kernel": 0}, {"speculative_tokens": 2}, 2, 0, 8 * 100 * 2, id="nothing to lengthen"
        ),
        pytest.param({"kernel": 1}, {}, 2, 0, 8 * 100 * 2, id="a kernel of one keeps nothing"),
        pytest.param(
            GROUPED, {"tensor_parallel": 2}, 2, 42 * 3 * 2, 4 * 100 * 2, id="groups are divided"
        ),
        pytest.param(GROUPED, {"tensor_parallel": 4}, 2, 26 * 3 * 2, 2 * 100 * 2, id="or repeated"),
    ],
)
def test_a_state(
    shape: dict[str, Any], flags: dict[str, Any], own: int, tail: int, recurrent: int
) -> None:
    plain = {"kind": "gdn", "channels": 64, "kernel": 4, "heads": 8, "per_head": 100}
    state = StateCache(**{**plain, **shape})

    found = pages.state_bytes(state, architecture(element_bytes=own), Serving(**flags))

    assert (found.tail, found.recurrent, found.total) == (tail, recurrent, tail + recurrent)


@pytest.mark.parametrize(
    ("model", "flags", "problems"),
    [
        pytest.param(
            architecture(attention(4), attention_heads=12),
            {"tensor_parallel": 8},
            ["8; allowed: a divisor of the 12 attention heads"],
            id="ranks repeat the KV heads, and do not divide the others",
        ),
        pytest.param(
            architecture(attention(6), attention_heads=24),
            {"tensor_parallel": 4},
            ["4; allowed: a divisor or a multiple of the 6 KV heads"],
            id="KV heads that are neither divided nor repeated",
        ),
        pytest.param(
            architecture(attention(4), attention_heads=24),
            {"tensor_parallel": 6},
            ["6; allowed: a divisor or a multiple of the 4 KV heads"],
            id="more ranks than heads",
        ),
        pytest.param(
            architecture(
                StateCache(kind="gdn", channels=1, kernel=1, heads=6, per_head=1),
                attention_heads=None,
            ),
            {"tensor_parallel": 4, "pipeline_parallel": 2, "context_parallel": 3},
            [
                "4; allowed: a divisor of the 6 state heads",
                "2; allowed: at most 1, the model's layers",
                "3; allowed: a divisor of tensor_parallel (4)",
            ],
            id="everything at once",
        ),
    ],
)
def test_uneven_layouts_are_refused(
    model: ModelArchitecture,
    flags: dict[str, Any],
    problems: list[str],
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pages.check_split(model, Serving(**flags))

    assert [f"{one.got}; allowed: {one.allowed}" for one in caught.value.problems] == problems


@pytest.mark.parametrize("ranks", [1, 2, 4, 8, 16])
def test_even_layouts_are_not(ranks: int) -> None:
    model = architecture(*(attention(4),) * 16, attention_heads=32)

    pages.check_split(model, Serving(tensor_parallel=ranks, pipeline_parallel=16))


@pytest.mark.parametrize(
    ("dtype", "per_head"),
    [
        pytest.param("turboquant_k8v4", 128 + 64 + 4, id="keys in 8 bits need no norm"),
        pytest.param("turboquant_4bit_nc", 64 + 2 + 64 + 4, id="4 bits, norm, scale and zero"),
        pytest.param("turboquant_k3v4_nc", 48 + 2 + 64 + 4, id="keys in 3"),
        pytest.param("turboquant_3bit_nc", 48 + 2 + 48 + 4, id="both in 3"),
    ],
)
def test_turboquant_packs_keys_and_values_by_their_own_bits(dtype: str, per_head: int) -> None:
    assert pages.token_bytes(attention(2), dtype, 1) == 2 * per_head


def test_turboquant_spares_two_layers_at_either_end() -> None:
    """A log of Qwen2.5-3B (36 layers, 2 heads of 128) on vLLM 0.21: 6.99 GiB, 591,904 tokens."""
    model = architecture(*(attention(2),) * 36)
    serving = Serving(version="0.21.0", kv_dtype="turboquant_4bit_nc", max_model_len=8_192)

    least, most = (kv_capacity(model, serving, int(gib * GIB)) for gib in (6.985, 6.995))

    assert (least.reported_tokens or 0) <= 591_904 <= (most.reported_tokens or 0)
    assert least.bytes_per_token_per_gpu == 32 * 2 * 134 + 4 * 2 * 512


@pytest.mark.parametrize(
    ("model", "serving", "told"),
    [
        pytest.param(
            architecture(), Serving(tensor_parallel=8, context_parallel=3), "divisor", id="uneven"
        ),
        pytest.param(
            architecture(),
            Serving(tensor_parallel=8, context_parallel=2),
            "at most 1: 8 ranks / 8",
            id="no spare",
        ),
        pytest.param(
            architecture(attention(1), attention(1, window_tokens=128)),
            Serving(tensor_parallel=4, context_parallel=2),
            "window is not modelled",
            id="windows",
        ),
    ],
)
def test_ranks_that_share_a_requests_tokens_would_otherwise_repeat_heads(
    model: ModelArchitecture, serving: Serving, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"context_parallel.*{told}"):
        pages.check_split(model, serving)


def test_ranks_that_would_repeat_heads_may_share() -> None:
    model = architecture(attention(2))

    pages.check_split(model, Serving(tensor_parallel=8, context_parallel=4))
