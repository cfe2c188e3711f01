"""SGLang, TGI and TensorRT-LLM: pools of tokens, against logs followed by hand."""

import pytest

from scaler.decision.architecture import StateCache
from scaler.decision.kv_cache import GIB, Engine, Serving, kv_capacity
from scaler.errors import ConfigurationError
from tests.builders import architecture, attention

MAMBA = StateCache(kind="mamba2", channels=1024, kernel=4, heads=32, per_head=8_192)


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


def test_sglang_admits_as_many_requests_as_it_has_states() -> None:
    hybrid = architecture(*(MAMBA,) * 4, attention())
    state = 4 * (1024 * 3 * 2 + 32 * 8_192 * 2)

    capacity = kv_capacity(hybrid, Serving(engine=Engine.SGLANG, max_model_len=100), GIB)

    assert capacity.request_slots == int(GIB * 0.9 // state)
    assert capacity.max_concurrency == capacity.request_slots


def test_tensorrt_llm_counts_blocks_of_32() -> None:
    serving = Serving(engine=Engine.TRTLLM, kv_dtype="fp8")

    capacity = kv_capacity(architecture(), serving, round(16.05 * GIB))

    assert capacity.num_blocks == 8_217  # the log's 8,219 to its rounding of 16.05 GiB
    assert capacity.reported_tokens == 8_217 * 32


@pytest.mark.parametrize(
    ("version", "block"),
    [pytest.param(None, 1, id="now"), pytest.param("2.2.0", 16, id="before 2.3")],
)
def test_tgi_counts_tokens(version: str | None, block: int) -> None:
    capacity = kv_capacity(architecture(), Serving(engine=Engine.TGI, version=version), GIB)

    assert capacity.layout.block_tokens == block
    assert capacity.reported_tokens == 8_192


@pytest.mark.parametrize("engine", [Engine.TGI, Engine.TRTLLM])
def test_states_are_refused_where_no_source_tells_their_pool(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match="not supported"):
        kv_capacity(architecture(MAMBA, attention()), Serving(engine=engine), GIB)
