"""What must hold for any model, engine and memory."""

from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.architecture import Cache, ModelArchitecture, StateCache
from scaler.capacity.kv_cache import Engine, Serving, kv_capacity
from tests.builders import architecture, attention

STATE = StateCache(kind="mamba2", channels=4_096, kernel=4, heads=32, per_head=8_192)
FULL, WINDOW, CHUNK = attention(), attention(window_tokens=1_024), attention(chunk_tokens=8_192)


@st.composite
def models(draw: st.DrawFn) -> ModelArchitecture:
    others: tuple[Cache, ...] = (WINDOW, CHUNK, STATE, FULL)
    kinds: tuple[Cache, ...] = (FULL, draw(st.sampled_from(others)))
    layers = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=24))
    return architecture(FULL, *layers, attention_heads=32)


versions = st.sampled_from(("0.9.2", "0.12.0", "0.19.1", "0.20.2", "0.26.0", "0.32.0"))
memories = st.integers(0, 2**36)


@given(model=models(), version=versions, memory=memories, more=memories)
def test_more_memory_never_fits_less(
    model: ModelArchitecture, version: str, memory: int, more: int
) -> None:
    serving = Serving(version=version, max_model_len=32_768)

    small, large = (kv_capacity(model, serving, size) for size in (memory, memory + more))

    assert small.num_blocks <= large.num_blocks
    assert (small.reported_tokens or 0) <= (large.reported_tokens or 0)
    assert (small.max_concurrency or 0) <= (large.max_concurrency or 0)


@given(model=models(), version=versions, tokens=st.integers(1, 32_768), more=st.integers(0, 32_768))
def test_a_longer_request_never_holds_less(
    model: ModelArchitecture, version: str, tokens: int, more: int
) -> None:
    layout = kv_capacity(model, Serving(version=version), 2**30).layout

    assert layout.footprint_blocks(tokens) <= layout.footprint_blocks(tokens + more)


@given(model=models(), version=versions, tokens=st.integers(1, 32_768))
def test_a_decoding_request_holds_no_more_than_the_engine_counts_for_it(
    model: ModelArchitecture, version: str, tokens: int
) -> None:
    """The printed concurrency counts a prefill in flight for every request; decoding is less."""
    serving = Serving(version=version, max_model_len=tokens)

    capacity = kv_capacity(model, serving, 2**33)

    counted = capacity.longest_request_blocks or 0
    assert capacity.layout.footprint_blocks(tokens) <= counted


@given(model=models(), engine=st.sampled_from((Engine.VLLM, Engine.SGLANG)))
def test_blocks_fill_the_memory_and_no_more(model: ModelArchitecture, engine: Engine) -> None:
    memory = 2**33

    capacity = kv_capacity(model, Serving(engine=engine), memory)

    assert capacity.num_blocks * capacity.layout.bytes_per_block_per_gpu <= memory


@given(model=models(), ranks=st.sampled_from((1, 2, 4, 8)))
def test_more_ranks_never_cost_more_per_gpu(model: ModelArchitecture, ranks: int) -> None:
    one, many = (kv_capacity(model, Serving(tensor_parallel=count), 2**33) for count in (1, ranks))

    assert many.bytes_per_token_per_gpu <= one.bytes_per_token_per_gpu
