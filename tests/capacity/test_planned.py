"""A replica on paper: cache, lengths and engine limits meet, and alternatives are planned alike."""

import pytest

from scaler.capacity.alternatives import alternatives, length_table
from scaler.capacity.architecture import Parameters, StateCache
from scaler.capacity.concurrency.lengths import fixed
from scaler.capacity.concurrency.result import Limit
from scaler.capacity.kv_cache import GIB, Engine, Serving
from scaler.capacity.planned import MemoryTerms, RequestLengths, plan
from tests.builders import architecture, attention

LLAMA = architecture(
    parameters=Parameters(
        mixer=1_342_000_000, dense=5_637_000_000, expert=0, embedding=525_000_000, tables=2
    ),
    hidden_size=4_096,
    intermediate_size=14_336,
    vocab_size=128_256,
)
TEN_GIB = MemoryTerms(available_kv_gib=10.0)
H100 = Serving(gpu_memory_gib=79.19, max_model_len=8_192)


def test_without_lengths_every_request_is_as_long_as_it_may_be() -> None:
    planned = plan(LLAMA, Serving(max_model_len=8_192), TEN_GIB)

    assert planned.requests == 5_119 // 512 == 9
    assert planned.safe.binding is Limit.KV


def test_every_bound_says_what_it_rests_on() -> None:
    lengths = RequestLengths(prompt=fixed(1_600), output=fixed(320))
    one, four = Serving(max_model_len=8_192), Serving(max_model_len=8_192, data_parallel=4)

    (kv, engine), (kvs, engines) = (
        plan(LLAMA, serving, TEN_GIB, lengths).safe.bounds for serving in (one, four)
    )

    assert kv.detail == (
        "45 requests of 110.4 ± 5.5 blocks overflow 5,119 blocks at most 1.00% of the time; "
        "prompt and output lengths are taken as independent"
    )
    assert kvs.detail == f"{kv.detail}; 4 engines in a replica"
    assert (kv.requests, kvs.requests) == (45, 180)
    assert (engine.requests, engines.requests) == (256, 1_024)
    assert engine.detail == (
        "the engine runs at most 256 requests at once, vLLM's default for this GPU and version"
    )


def test_what_is_stated_of_the_engine_is_said_as_such() -> None:
    planned = plan(LLAMA, Serving(max_num_seqs=8, data_parallel=2), TEN_GIB)

    assert planned.safe.bounds[1].detail == (
        "the engine runs at most 16 requests at once, as stated"
    )


def test_without_any_length_one_request_fits_where_there_is_a_block() -> None:
    endless = architecture(max_position_embeddings=None)

    # A block is 16 tokens of 131,072 bytes, and vLLM keeps the first for itself.
    requests = [
        plan(endless, Serving(), MemoryTerms(available_kv_gib=blocks * 2**-9))
        for blocks in (0, 1, 2, 9)
    ]

    assert [one.kv_requests for one in requests] == [0, 0, 1, 1]
    assert requests[2].safe.bounds[0].detail == "neither lengths nor a max_model_len are known"


def test_a_pool_of_states_may_be_full_before_the_blocks_are() -> None:
    states = StateCache(kind="mamba2", channels=1024, kernel=4, heads=32, per_head=8_192)
    hybrid = architecture(*(states,) * 4, attention())
    serving = Serving(engine=Engine.SGLANG, max_model_len=100, data_parallel=2)

    planned = plan(hybrid, serving, MemoryTerms(available_kv_gib=1.0))

    slots = planned.capacity.request_slots
    assert slots is not None
    assert planned.requests == 2 * slots
    assert planned.safe.bounds[0].detail == (
        f"the pool of states or windows has room for {slots} requests; 2 engines in a replica"
    )
    assert {row.requests["bfloat16"] for row in length_table(planned)} == {2 * slots}


def test_blocks_may_be_full_before_a_pool_of_states_is() -> None:
    states = StateCache(kind="mamba2", channels=1024, kernel=4, heads=32, per_head=8_192)
    hybrid = architecture(*(states,) * 4, attention())

    serving = Serving(
        engine=Engine.SGLANG, max_model_len=4_096, prefix_caching=False, state_dtype="bfloat16"
    )
    planned = plan(hybrid, serving, MemoryTerms(available_kv_gib=1))

    assert planned.capacity.request_slots == 454
    assert planned.kv_requests == 262_144 // 4_096
    assert planned.safe.bounds[0].detail.startswith("262,144 blocks / 4,096 blocks of a request")


def test_alike_requests_fit_as_a_pencil_says() -> None:
    """Outputs of 320 at a random moment: 160 more tokens than the 1,600 of the prompt, evenly."""
    lengths = RequestLengths(prompt=fixed(1_600), output=fixed(320))

    planned = plan(LLAMA, Serving(max_model_len=8_192), TEN_GIB, lengths)

    assert planned.footprint is not None
    assert planned.footprint.mean == pytest.approx(110.5, abs=0.2)  # 101 to 120 blocks
    assert 5_119 / 120 < planned.requests < 5_119 / 110.5


def test_the_engines_own_limit_binds_where_it_is_less() -> None:
    lengths = RequestLengths(prompt=fixed(100), output=fixed(50))

    planned = plan(LLAMA, Serving(max_num_seqs=8), TEN_GIB, lengths)

    assert planned.requests == 8
    assert planned.safe.binding is Limit.ENGINE
    assert planned.kv_requests > 8


def test_data_parallel_engines_add_up() -> None:
    planned = plan(LLAMA, Serving(max_model_len=8_192, data_parallel=4), TEN_GIB)

    assert planned.requests == 4 * 9


def test_other_engines_have_no_limit_that_nobody_states() -> None:
    planned = plan(LLAMA, Serving(engine=Engine.SGLANG, max_model_len=8_192), TEN_GIB)

    assert [bound.limit for bound in planned.safe.bounds] == [Limit.KV]


def test_other_engines_have_the_limit_that_is_stated() -> None:
    planned = plan(LLAMA, Serving(engine=Engine.SGLANG, max_num_seqs=8), TEN_GIB)

    assert [(bound.limit, bound.requests) for bound in planned.safe.bounds[1:]] == [
        (Limit.ENGINE, 8)
    ]


def test_a_model_that_does_not_fit_holds_no_request() -> None:
    planned = plan(LLAMA, Serving(gpu_memory_gib=14.74, max_model_len=8_192), MemoryTerms())

    assert planned.requests == 0
    changes = [one.change for one in alternatives(planned)]
    assert any("--tensor-parallel-size 2" in change for change in changes)


def test_the_table_halves_with_twice_the_length_and_doubles_with_half_the_bits() -> None:
    rows = {row.tokens: row.requests for row in length_table(plan(LLAMA, H100, TEN_GIB))}

    assert rows[4_096]["bfloat16"] == 5_119 // 256
    assert rows[1_024]["bfloat16"] == 5_119 // 64
    assert rows[4_096]["fp8"] == 10_239 // 256
    assert max(rows) == 8_192


def test_alternatives_come_with_the_largest_gain_per_gpu_first() -> None:
    found = alternatives(plan(LLAMA, H100, MemoryTerms()))

    gains = [one.requests / one.gpus for one in found]
    assert "fp8" in found[0].change
    assert gains == sorted(gains, reverse=True)


def test_what_is_stated_leaves_nothing_to_estimate() -> None:
    planned = plan(LLAMA, Serving(max_model_len=8_192), TEN_GIB)

    assert planned.memory is None
    assert [one.change for one in alternatives(planned)] == [
        "KV cache in 8 bits (--kv-cache-dtype fp8)"
    ]


def test_sglang_leaves_tokens_what_its_states_do_not_take() -> None:
    states = StateCache(kind="mamba2", channels=1024, kernel=4, heads=32, per_head=8_192)
    hybrid = architecture(*(states,) * 4, attention(), parameters=LLAMA.parameters)
    card = Serving(engine=Engine.SGLANG, gpu_memory_gib=79.19, max_model_len=4_096)

    planned = plan(hybrid, card, MemoryTerms())

    assert planned.memory is not None
    share = planned.capacity.cache_bytes_per_gpu / GIB / planned.memory.available_gib
    assert share == pytest.approx(1 / 1.9)
    alone = plan(LLAMA, card, MemoryTerms())
    assert alone.memory is not None
    assert alone.capacity.cache_bytes_per_gpu == pytest.approx(alone.memory.available_gib * GIB)
