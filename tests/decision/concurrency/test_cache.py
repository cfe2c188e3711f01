import dataclasses
from typing import Any

import pytest

from scaler.capacity.kv_cache import KvCapacity, KvLayout, WindowGroup
from scaler.decision.concurrency.cache import cache_of, difference_note
from tests.builders import inference, replica, sample_of

UNIFORM = KvLayout(block_tokens=16, growing_groups=1, constant_blocks=0, bytes_per_block_per_gpu=1)
HYBRID = dataclasses.replace(UNIFORM, block_tokens=1568, constant_blocks=12)
WINDOWS = dataclasses.replace(
    UNIFORM, constant_blocks=5, windows=(WindowGroup(block_tokens=16, most_blocks=5),)
)


def capacity(layout: KvLayout = UNIFORM, **more: Any) -> KvCapacity:
    return KvCapacity(
        **{
            "layout": layout,
            "num_blocks": 20_000,
            "reserved_blocks": 1,
            "cache_bytes_per_gpu": 2**35,
            "capacity_tokens": 320_000,
            "reported_tokens": 320_000,
            "max_model_len": 32_768,
            "max_concurrency": 9.76,
            "kv_dtype": "auto",
            **more,
        }
    )


def test_the_engines_own_blocks_come_first():
    sample = sample_of(replica(kv_blocks=24_000.0))

    cache = cache_of(sample, inference(kv_layout=UNIFORM, kv_capacity=capacity()))

    assert cache is not None
    assert (cache.blocks, cache.origin) == (23_999, "as the engine reports")


def test_the_smallest_of_the_replicas_counts():
    sample = sample_of(replica("a", kv_blocks=24_000.0), replica("b", kv_blocks=18_000.0))

    cache = cache_of(sample, inference(kv_layout=UNIFORM))

    assert cache is not None
    assert cache.blocks == 17_999


def test_blocks_are_computed_where_none_are_reported():
    cache = cache_of(sample_of(replica()), inference(kv_layout=UNIFORM, kv_capacity=capacity()))

    assert cache is not None
    assert (cache.blocks, cache.origin) == (19_999, "computed from the model and the GPU")


def test_every_engine_of_a_replica_has_a_cache_of_its_own():
    computed = capacity(data_parallel=4, request_slots=128)
    policy = inference(kv_layout=UNIFORM, kv_capacity=computed)

    cache = cache_of(sample_of(replica(kv_blocks=24_000.0)), policy)

    assert cache is not None
    assert (cache.blocks, cache.engines, cache.request_slots) == (5_999, 4, 128)


@pytest.mark.parametrize(
    ("layout", "blocks"),
    [
        pytest.param(UNIFORM, 9_999, id="a uniform model's tokens are blocks"),
        pytest.param(HYBRID, None, id="a hybrid's tokens are not"),
        pytest.param(WINDOWS, None, id="nor those of a model with windows"),
    ],
)
def test_a_count_of_tokens(layout, blocks):
    sample = sample_of(replica(kv_capacity_tokens=160_000.0))

    cache = cache_of(sample, inference(kv_layout=layout))

    assert (None if cache is None else cache.blocks) == blocks


@pytest.mark.parametrize(
    ("policy", "reported"),
    [
        pytest.param({}, 24_000.0, id="no footprint law"),
        pytest.param({"kv_layout": UNIFORM}, None, id="no blocks"),
        pytest.param({"kv_layout": UNIFORM}, 0.0, id="none so far: the engine is starting"),
    ],
)
def test_what_is_not_known(policy, reported):
    assert cache_of(sample_of(replica(kv_blocks=reported)), inference(**policy)) is None


@pytest.mark.parametrize(
    ("reported", "told"),
    [
        pytest.param(19_000.0, False, id="5 % apart is rounding and overhead"),
        pytest.param(17_000.0, True, id="18 % apart is another process"),
        pytest.param(24_000.0, True, id="more than computed is a wrong model"),
        pytest.param(1.0, True, id="one block, of a cache that never came up"),
        pytest.param(None, False, id="nothing is reported"),
    ],
)
def test_a_computed_cache_that_is_not_the_reported_one_is_told(reported, told):
    policy = inference(kv_layout=UNIFORM, kv_capacity=capacity())

    note = difference_note(sample_of(replica(kv_blocks=reported)), policy)

    assert (note is not None) is told


def test_the_note_has_both_numbers():
    policy = inference(kv_layout=UNIFORM, kv_capacity=capacity(data_parallel=2))

    assert difference_note(sample_of(replica(kv_blocks=32_000.0)), policy) == (
        "The engine reports 32,000 blocks of KV cache, and 40,000 were computed (+25%): "
        "another process on the GPU, or a wrong model or flag."
    )


def test_the_smallest_of_the_replicas_is_compared():
    policy = inference(kv_layout=UNIFORM, kv_capacity=capacity())
    sample = sample_of(replica("a", kv_blocks=20_000.0), replica("b", kv_blocks=10_000.0))

    note = difference_note(sample, policy)

    assert note is not None
    assert note.startswith("The engine reports 10,000 blocks")


def test_a_cache_of_the_reserved_blocks_alone_holds_nothing():
    policy = inference(kv_layout=UNIFORM, kv_capacity=capacity(reserved_blocks=3))

    cache = cache_of(sample_of(replica(kv_blocks=2.0)), policy)

    assert cache is not None
    assert cache.blocks == 0


def test_without_a_computed_cache_there_is_nothing_to_compare():
    assert difference_note(sample_of(replica(kv_blocks=5.0)), inference()) is None
