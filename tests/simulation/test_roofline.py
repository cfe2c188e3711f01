"""A replica by its GPU's data sheet: what fits, and how fast it can be at best."""

import dataclasses

import pytest

from scaler.errors import ConfigurationError
from scaler.simulation.engine import EngineConfig
from scaler.simulation.presets import ENGINE_8B_H100, preset
from scaler.simulation.roofline import GPUS, MODELS, GpuSheet, ModelSheet, roofline

H100, A100, T4 = GPUS["h100"], GPUS["a100"], GPUS["t4"]
EIGHT, SEVENTY = MODELS["8b"], MODELS["70b"]


def fitting(gpu: GpuSheet, model: ModelSheet, *, gpus: int = 1) -> EngineConfig:
    engine = roofline(gpu, model, gpus=gpus)
    assert engine is not None
    return engine


def test_the_8b_model_on_an_h100_is_within_an_eighth_of_its_preset_in_weights_and_compute():
    found, stated = fitting(H100, EIGHT).step_cost, ENGINE_8B_H100.step_cost
    assert found.a_s == pytest.approx(stated.a_s, rel=0.01)
    assert found.c_s == pytest.approx(stated.c_s, rel=0.01)
    assert fitting(H100, EIGHT).num_blocks == pytest.approx(ENGINE_8B_H100.num_blocks, rel=0.13)


@pytest.mark.parametrize(
    ("model", "bytes_"),
    [("8b", 131_072), ("70b", 327_680), ("7b", 57_344), ("1.5b", 28_672)],
)
def test_a_token_s_cache_is_what_the_architecture_says(model, bytes_):
    assert MODELS[model].kv_bytes_per_token == bytes_


def test_several_gpus_read_and_compute_at_once():
    four, eight = (fitting(H100, SEVENTY, gpus=gpus) for gpus in (4, 8))
    assert eight.step_cost.a_s == pytest.approx(four.step_cost.a_s / 2)
    assert eight.step_cost.c_s == pytest.approx(four.step_cost.c_s / 2)
    assert eight.num_blocks > 2 * four.num_blocks


def test_twice_the_bandwidth_is_half_a_step_and_leaves_prefill_alone():
    faster = dataclasses.replace(A100, bytes_per_s=2 * A100.bytes_per_s)
    slow, fast = fitting(A100, EIGHT).step_cost, fitting(faster, EIGHT).step_cost
    assert (fast.a_s, fast.b_s, fast.c_s) == pytest.approx((slow.a_s / 2, slow.b_s / 2, slow.c_s))


@pytest.mark.parametrize(
    ("gpu", "model", "gpus"),
    [(T4, "8b", 1), (H100, "70b", 1)],
    ids=["16 GB of weights on 16 GB", "141 GB of weights on 80"],
)
def test_a_model_that_does_not_fit_is_no_replica(gpu, model, gpus):
    assert roofline(gpu, MODELS[model], gpus=gpus) is None


@pytest.mark.parametrize(
    "name",
    ["1.5b-t4", "7b-a10", "7b-l4", "8b-l4", "8b-l40s", "8b-a100", "70b-a100x4", "70b-h100x4"],
)
def test_every_preset_has_room_for_its_longest_request(name):
    engine = preset(name)
    assert engine.usable_blocks * engine.block_tokens >= engine.max_model_len


def test_an_unknown_preset_is_told_with_those_there_are():
    with pytest.raises(ConfigurationError, match=r"--engine.*8b-h100, .*70b-h100x4"):
        preset("8b-h200")
