"""What else one could do: which changes are offered, and what each would hold."""

import dataclasses
from typing import Any

import pytest

from scaler.capacity.alternatives import Alternative, alternatives, length_table
from scaler.capacity.architecture import LatentCache, ModelArchitecture, Parameters, StateCache
from scaler.capacity.kv_cache import Engine, Serving
from scaler.capacity.planned import MemoryTerms, plan
from tests.builders import architecture, attention

LLAMA = architecture(
    parameters=Parameters(
        mixer=1_342_000_000, dense=5_637_000_000, expert=0, embedding=525_000_000, tables=2
    ),
    hidden_size=4_096,
    intermediate_size=14_336,
    vocab_size=128_256,
)
H100 = Serving(gpu_memory_gib=79.19, max_model_len=8_192)
KV = "KV cache in 8 bits (--kv-cache-dtype fp8)"
WEIGHTS = "weights in 8 bits (an fp8 checkpoint)"


def ranks(count: int) -> str:
    return f"more tensor parallelism (--tensor-parallel-size {count})"


def more(flag: str) -> str:
    return f"more of the GPU ({flag} 0.95), where nothing else runs on it"


VLLM = more("--gpu-memory-utilization")


def found(
    model: ModelArchitecture, serving: Serving, terms: dict[str, Any]
) -> tuple[Alternative, ...]:
    return alternatives(plan(model, serving, MemoryTerms(**terms)))


@pytest.mark.parametrize(
    ("terms", "serving", "changes"),
    [
        pytest.param({}, {}, [KV, ranks(2), WEIGHTS, VLLM], id="all that is left"),
        pytest.param(
            {"utilization": 0.95}, {}, [KV, ranks(2), WEIGHTS], id="the GPU is taken already"
        ),
        pytest.param({"weights_gib": 15.0}, {}, [KV, ranks(2), VLLM], id="weights are stated"),
        pytest.param({"quantization": "fp8"}, {}, [KV, ranks(2), VLLM], id="or in 8 bits"),
        pytest.param({}, {"kv_dtype": "fp8"}, [ranks(2), WEIGHTS, VLLM], id="keys are in 8 bits"),
        pytest.param({}, {"kv_dtype": "int8"}, [ranks(2), WEIGHTS, VLLM], id="or in others"),
        pytest.param(
            {},
            {"kv_dtype": "int8_per_token_head"},
            [ranks(2), WEIGHTS, VLLM],
            id="or in 8 bits with scales, which fp8 does without",
        ),
        pytest.param({"available_kv_gib": 9.0}, {}, [KV], id="nothing is estimated"),
        pytest.param(
            {},
            {"tensor_parallel": 2},
            [KV, ranks(4), WEIGHTS, VLLM],
            id="twice the ranks there are",
        ),
    ],
)
def test_what_is_offered(
    terms: dict[str, Any], serving: dict[str, Any], changes: list[str]
) -> None:
    offered = found(LLAMA, dataclasses.replace(H100, **serving), terms)

    assert sorted(one.change for one in offered) == sorted(changes)


@pytest.mark.parametrize(
    ("engine", "change"),
    [
        (Engine.SGLANG, more("--mem-fraction-static")),
        (Engine.TGI, more("--cuda-memory-fraction")),
        (Engine.TRTLLM, more("--kv_cache_free_gpu_memory_fraction")),
    ],
)
def test_every_engine_has_its_flag(engine: Engine, change: str) -> None:
    offered = found(LLAMA, dataclasses.replace(H100, engine=engine), {})

    assert change in [one.change for one in offered]


def test_the_largest_gain_per_gpu_comes_first() -> None:
    offered = found(LLAMA, H100, {})

    assert [(one.change, one.gpus) for one in offered] == [
        (KV, 1),
        (ranks(2), 2),
        (WEIGHTS, 1),
        (VLLM, 1),
    ]
    assert all(one.requests / one.gpus > 53 for one in offered)  # what it holds as it is


def test_as_many_ranks_are_offered_as_hold_one_request() -> None:
    small = Serving(gpu_memory_gib=14.74, max_model_len=8_192)

    # A share of the stated weights, or of the counted ones, is left on each rank.
    for gib, count in ((60.0, 8), (30.0, 4)):
        (offered,) = found(LLAMA, small, {"weights_gib": gib})
        assert (offered.change, offered.gpus) == (ranks(count), count)
    assert ranks(2) in [one.change for one in found(LLAMA, small, {})]
    assert found(LLAMA, small, {"weights_gib": 200.0}) == ()


def test_ranks_that_repeat_the_cache_are_not_offered() -> None:
    latent = LatentCache(rank=512, rope_dim=64, heads=16, nope_dim=128)
    model = dataclasses.replace(LLAMA, layers=((latent,),) * 32)

    # A latent is whole on every rank: two GPUs hold more than one, and less than two alone.
    assert sorted(one.change for one in found(model, H100, {})) == sorted([KV, WEIGHTS, VLLM])


def test_what_an_engine_refuses_is_not_offered() -> None:
    odd = dataclasses.replace(LLAMA, attention_heads=3)

    assert not any("parallel" in one.change for one in found(odd, H100, {}))


@pytest.mark.parametrize("name", ["awq", "gguf"])
def test_weights_that_are_quantized_are_not_offered_in_eight_bits(name: str) -> None:
    # Layers outweigh tables so far that fp8 would be smaller than the 8.5 bits of GGUF.
    large = dataclasses.replace(
        LLAMA,
        parameters=Parameters(
            mixer=5_000_000_000, dense=20_000_000_000, expert=0, embedding=525_000_000, tables=2
        ),
    )
    quantized = dataclasses.replace(large, quantization=name)

    assert WEIGHTS not in [one.change for one in found(quantized, H100, {})]
    assert WEIGHTS not in [one.change for one in found(large, H100, {"quantization": name})]


@pytest.mark.parametrize(
    ("longest", "tokens"),
    [
        pytest.param(None, [1_024, 4_096, 16_384, 65_536, 262_144], id="no longest is known"),
        pytest.param(4_096, [1_024, 4_096], id="one of the round ones is the longest"),
        pytest.param(5_000, [1_024, 4_096, 5_000], id="the longest is the last"),
        pytest.param(500, [500], id="and may be the only one"),
    ],
)
def test_lengths_go_up_to_the_longest(longest: int | None, tokens: list[int]) -> None:
    model = dataclasses.replace(LLAMA, max_position_embeddings=longest)

    planned = plan(model, Serving(kv_dtype="int8"), MemoryTerms(available_kv_gib=10.0))

    rows = length_table(planned)
    assert [row.tokens for row in rows] == tokens
    assert list(rows[0].requests) == ["int8", "bfloat16", "fp8"]
    assert rows[0].requests["int8"] == rows[0].requests["fp8"] > rows[0].requests["bfloat16"]


def test_engines_of_a_replica_add_up_in_the_table() -> None:
    terms = MemoryTerms(available_kv_gib=10.0)
    one, two = (
        length_table(plan(LLAMA, Serving(max_model_len=8_192, data_parallel=count), terms))
        for count in (1, 2)
    )

    assert [row.requests["bfloat16"] for row in two] == [
        2 * row.requests["bfloat16"] for row in one
    ]


def test_a_second_pool_admits_no_more_short_requests_than_it_has_slots() -> None:
    states = StateCache(kind="mamba2", channels=1024, kernel=4, heads=32, per_head=8_192)
    hybrid = architecture(*(states,) * 4, attention())
    serving = Serving(
        engine=Engine.SGLANG,
        max_model_len=4_096,
        prefix_caching=False,
        state_dtype="bfloat16",
    )

    rows = length_table(plan(hybrid, serving, MemoryTerms(available_kv_gib=1.0)))

    # 2^30 bytes hold 262,144 tokens of 4,096 bytes, twice as many in 8 bits; 0.9 of it 454 states
    # and one that pads.
    assert [row.requests for row in rows] == [
        {"bfloat16": 262_144 // 1_024, "fp8": 454},
        {"bfloat16": 262_144 // 4_096, "fp8": 524_288 // 4_096},
    ]


def test_a_stated_length_is_the_longest() -> None:
    planned = plan(LLAMA, Serving(max_model_len=2_000), MemoryTerms(available_kv_gib=10.0))

    assert [row.tokens for row in length_table(planned)] == [1_024, 2_000]
