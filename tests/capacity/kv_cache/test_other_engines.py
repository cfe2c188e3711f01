"""SGLang, TGI and TensorRT-LLM: pools of tokens, against logs followed by hand."""

import dataclasses
import math

import pytest

from scaler.capacity.architecture import (
    AttentionCache,
    IndexerCache,
    LatentCache,
    ModelArchitecture,
    StateCache,
)
from scaler.capacity.kv_cache import GIB, Engine, Serving, kv_capacity
from scaler.capacity.models import load_model
from scaler.errors import ConfigurationError
from tests.builders import architecture, attention

MAMBA = StateCache(kind="mamba2", channels=1024, kernel=4, heads=32, per_head=8_192)


def attentions(model: ModelArchitecture) -> list[AttentionCache]:
    return [cache for cache in model.caches if isinstance(cache, AttentionCache)]


def test_sglang_counts_cells_of_one_token() -> None:
    """Qwen3-235B on four ranks: 94 layers × 1 head × 128 × 2 × 2 bytes = 48,128 a token."""
    qwen = architecture(*(attention(4),) * 94, attention_heads=64)
    serving = Serving(engine=Engine.SGLANG, tensor_parallel=4)

    capacity = kv_capacity(qwen, serving, 367_404 * 48_128)

    assert capacity.reported_tokens == capacity.num_blocks == 367_404
    assert capacity.layout.footprint_blocks(1_000) == 1_000


def test_sglang_gives_windows_a_pool_of_their_own() -> None:
    """Gemma-4-26B: a full token is 20,480 bytes, a sliding one 204,800, at 0.8 of the tokens."""
    gemma = architecture(*(attention(8, 256, window_tokens=1024),) * 25, *(attention(2, 512),) * 5)
    serving = Serving(engine=Engine.SGLANG, block_tokens=256)

    capacity = kv_capacity(gemma, serving, 70_656 * (20_480 + 163_840))

    assert capacity.reported_tokens == 70_656
    assert capacity.request_slots == 56_320 // (1_024 + 256)
    assert capacity.bytes_per_token_per_gpu == 20_480


@pytest.mark.parametrize(
    ("name", "apart"),
    [
        pytest.param("google/gemma-4-26B-A4B", True, id="in its list"),
        pytest.param("openai/gpt-oss-20b", True, id="too"),
        pytest.param("google/gemma-3-27b-it", False, id="not in it: every layer keeps all tokens"),
        pytest.param("CohereLabs/c4ai-command-a-03-2025", False, id="nor this"),
    ],
)
def test_sglang_keeps_windows_whole_in_families_that_it_does_not_list(
    name: str, *, apart: bool
) -> None:
    model = load_model(name)
    page = Serving(engine=Engine.SGLANG)

    listed = kv_capacity(dataclasses.replace(model, windows_apart=True), page, GIB)
    capacity = kv_capacity(model, page, GIB)

    assert model.windows_apart is apart
    assert (capacity == listed) is apart
    if not apart:
        cells = sum(2 * 2 * c.kv_heads * c.head_dim for c in attentions(model))
        assert capacity.reported_tokens == GIB // cells
        assert capacity.request_slots is None


def test_sglang_admits_as_many_requests_as_it_has_states() -> None:
    hybrid = architecture(*(MAMBA,) * 4, attention())
    state = 4 * (1024 * 3 * 2 + 32 * 8_192 * 4)  # 32 bits unless the configuration says otherwise
    slots = int(GIB * 0.9 // state) - 1  # one slot is padding

    serving = Serving(engine=Engine.SGLANG, max_model_len=100)
    capacity = kv_capacity(hybrid, serving, GIB)
    alone = kv_capacity(hybrid, dataclasses.replace(serving, prefix_caching=False), GIB)

    assert capacity.request_slots == slots // 5
    assert capacity.max_concurrency == capacity.request_slots
    assert alone.request_slots == slots


def test_sglang_keeps_three_slots_for_convolutions() -> None:
    lfm = load_model("LiquidAI/LFM2-1.2B")
    state = 10 * 2048 * 2 * 2  # no recurrent part
    slots = int(GIB * 0.9 // state) - 1

    capacity = kv_capacity(lfm, Serving(engine=Engine.SGLANG, max_model_len=100), GIB)

    assert capacity.request_slots == slots // 3


@pytest.mark.parametrize(
    ("slots", "requests"), [pytest.param(360, 72, id="a large pool"), pytest.param(4, 0, id="none")]
)
def test_sglang_logs_pair_slots_with_requests(slots: int, requests: int) -> None:
    hybrid = architecture(*(MAMBA,) * 4, attention())
    state = 4 * (1024 * 3 * 2 + 32 * 8_192 * 4)

    memory = math.ceil((slots + 1) * state / 0.9)
    capacity = kv_capacity(hybrid, Serving(engine=Engine.SGLANG), memory)

    assert capacity.request_slots == requests


def test_sglang_keeps_a_state_for_every_drafted_token() -> None:
    hybrid = architecture(*(MAMBA,) * 4, attention())
    serving = Serving(engine=Engine.SGLANG, draft_layers=1, speculative_tokens=3)
    state = 4 * (1024 * 3 * 2 + 32 * 8_192 * 4)
    # 8 requests of five slots, 4 states for each of 8 + 1 running requests, a padding slot
    memory = math.ceil((8 * 5 + 1 + 4 * 9) * state / 0.9)

    assert kv_capacity(hybrid, serving, memory).request_slots == 8


def test_a_state_may_be_narrower_if_stated() -> None:
    hybrid = architecture(*(MAMBA,) * 4, attention())
    serving = Serving(engine=Engine.SGLANG, state_dtype="bfloat16")
    state = 4 * (1024 * 3 * 2 + 32 * 8_192 * 2)

    assert kv_capacity(hybrid, serving, GIB).request_slots == (int(GIB * 0.9 // state) - 1) // 5


def test_sglang_admits_no_more_than_its_tokens_hold_either() -> None:
    hybrid = architecture(*(MAMBA,) * 4, attention())

    capacity = kv_capacity(hybrid, Serving(engine=Engine.SGLANG, max_model_len=16_384), GIB)

    assert capacity.max_concurrency == 262_144 / 16_384 < (capacity.request_slots or 0)


def test_sglang_without_a_full_layer_has_one_pool() -> None:
    windows = architecture(*(attention(8, 128, window_tokens=1_024),) * 4)
    states = architecture(*(MAMBA,) * 4, attention(8, 128, window_tokens=1_024))

    one = kv_capacity(windows, Serving(engine=Engine.SGLANG), 4_096 * 4 * 100)
    other = kv_capacity(states, Serving(engine=Engine.SGLANG), 4_096 * 100)

    assert (one.num_blocks, one.request_slots) == (100, None)
    assert other.num_blocks == 100


def test_sglang_counts_pages_where_it_is_told_to() -> None:
    serving = Serving(engine=Engine.SGLANG, block_tokens=64, max_model_len=1_000)

    capacity = kv_capacity(architecture(attention()), serving, 4_096 * 6_500)

    assert (capacity.num_blocks, capacity.reported_tokens) == (101, 6_464)
    assert capacity.longest_request_blocks == 16
    assert capacity.max_concurrency == 101 / 16


@pytest.mark.parametrize(
    ("serving", "slots"),
    [
        pytest.param(Serving(engine=Engine.SGLANG), 1_042 // 65, id="a window and a token each"),
        pytest.param(
            Serving(engine=Engine.SGLANG, swa_tokens_ratio=0.5), 651 // 65, id="of fewer tokens"
        ),
        # 1,303 tokens are 81 pages, 1,296 tokens; 0.8 of them are 64 pages.
        pytest.param(
            Serving(engine=Engine.SGLANG, block_tokens=16), 1_024 // 80, id="or a page, of pages"
        ),
    ],
)
def test_sglang_admits_as_many_requests_as_windows_fit(serving: Serving, slots: int) -> None:
    hybrid = architecture(attention(chunk_tokens=64), attention(window_tokens=32), attention())
    pool = 4_096 + serving.swa_tokens_ratio * 8_192

    assert kv_capacity(hybrid, serving, math.ceil(1_303 * pool)).request_slots == slots


def test_sglang_takes_eight_bits_of_sparse_attention_for_its_own_format() -> None:
    latent = LatentCache(rank=512, rope_dim=64, heads=128, nope_dim=128)
    sparse, dense = architecture((latent, IndexerCache(head_dim=128))), architecture(latent)
    fp8, plain = (Serving(engine=Engine.SGLANG, kv_dtype=dtype) for dtype in ("fp8", "auto"))

    assert kv_capacity(sparse, fp8, GIB).kv_dtype == "fp8_ds_mla"
    assert kv_capacity(dense, fp8, GIB).kv_dtype == "fp8"
    assert kv_capacity(sparse, plain, GIB).kv_dtype == "bfloat16"


def test_every_block_of_a_pool_of_tokens_can_be_used_and_is_told() -> None:
    serving = Serving(engine=Engine.TGI, max_model_len=1_000)

    capacity = kv_capacity(architecture(), serving, GIB)

    assert capacity.usable_blocks == capacity.num_blocks == 8_192
    assert [(one.name, one.value, one.unit) for one in capacity.steps] == [
        ("bytes per token", 131_072, "bytes per GPU"),
        ("blocks", 8_192, "blocks of 1 tokens"),
        ("max concurrency", 8.192, "requests"),
    ]


def test_slots_of_a_second_pool_are_a_step() -> None:
    hybrid = architecture(*(MAMBA,) * 4, attention(), max_position_embeddings=None)

    capacity = kv_capacity(hybrid, Serving(engine=Engine.SGLANG), GIB)

    assert [one.name for one in capacity.steps] == ["bytes per token", "blocks", "request slots"]
    assert capacity.steps[2].value == capacity.request_slots
    assert (capacity.max_concurrency, capacity.longest_request_blocks) == (None, None)


@pytest.mark.parametrize("engine", [Engine.TGI, Engine.TRTLLM, Engine.SGLANG])
def test_the_stage_whose_token_costs_most_decides(engine: Engine) -> None:
    uneven = architecture(attention(2), attention(8), attention(4), attention(1))
    serving = Serving(engine=engine, pipeline_parallel=2)

    assert kv_capacity(uneven, serving, GIB).bytes_per_token_per_gpu == 10 * 512


@pytest.mark.parametrize("engine", [Engine.TGI, Engine.TRTLLM])
def test_a_stated_block_is_taken(engine: Engine) -> None:
    serving = Serving(engine=engine, block_tokens=64)

    assert kv_capacity(architecture(), serving, GIB).layout.block_tokens == 64


@pytest.mark.parametrize("engine", list(Engine))
def test_the_longest_request_is_the_models_unless_stated(engine: Engine) -> None:
    short = Serving(engine=engine, max_model_len=4_096)

    assert kv_capacity(architecture(), Serving(engine=engine), GIB).max_model_len == 131_072
    assert kv_capacity(architecture(), short, GIB).max_model_len == 4_096


@pytest.mark.parametrize("engine", list(Engine))
def test_less_than_nothing_holds_nothing(engine: Engine) -> None:
    assert kv_capacity(architecture(), Serving(engine=engine), -1).num_blocks == 0


def test_tensorrt_llm_counts_blocks_of_32() -> None:
    serving = Serving(engine=Engine.TRTLLM, kv_dtype="fp8")

    capacity = kv_capacity(architecture(), serving, round(16.05 * GIB))

    assert capacity.num_blocks == 8_217  # the log's 8,219 to its rounding of 16.05 GiB
    assert capacity.reported_tokens == 8_217 * 32
    assert capacity.steps[0].value == 65_536  # bytes of one token, not of a block


@pytest.mark.parametrize(
    ("version", "block"),
    [
        pytest.param(None, 1, id="now"),
        pytest.param("2.3", 1, id="since 2.3"),
        pytest.param("2.2.9", 16, id="before"),
    ],
)
def test_tgi_counts_tokens(version: str | None, block: int) -> None:
    capacity = kv_capacity(architecture(), Serving(engine=Engine.TGI, version=version), GIB)

    assert capacity.layout.block_tokens == block
    assert capacity.reported_tokens == 8_192


@pytest.mark.parametrize("engine", [Engine.TGI, Engine.TRTLLM])
def test_states_are_refused_where_no_source_tells_their_pool(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match="not modelled here"):
        kv_capacity(architecture(MAMBA, attention()), Serving(engine=engine), GIB)
