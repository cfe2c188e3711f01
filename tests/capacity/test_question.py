"""The question of ``kvtide capacity`` and of metadata: names to numbers, all mistakes at once."""

from typing import Any

import pytest

from scaler.capacity.question import CapacityQuestion, planned_capacity
from scaler.errors import ConfigurationError


def ask(**more: Any) -> CapacityQuestion:
    return CapacityQuestion(**{"model": "Llama-3.1-8B", "available_kv_gib": 10.0, **more})


def test_names_are_enough() -> None:
    planned = planned_capacity(
        CapacityQuestion(
            model="meta-llama/Llama-3.1-8B-Instruct",
            gpu="NVIDIA H100 80GB HBM3",
            prompt_tokens="1200:3000",
            output_tokens="300:800",
        )
    )

    assert planned.memory is not None
    assert planned.memory.total_gib == 79.19
    assert planned.capacity.layout.bytes_per_block_per_gpu == 2 * 2**20
    assert 200 < planned.requests < 400


@pytest.mark.parametrize(
    ("more", "ranks"),
    [
        pytest.param({}, (1, 1, 1), id="one GPU"),
        pytest.param({"gpus": 4}, (4, 1, 1), id="unclaimed GPUs are tensor-parallel"),
        pytest.param({"gpus": 8, "pipeline_parallel": 2}, (4, 2, 1), id="what stages leave"),
        pytest.param({"tensor_parallel": 2, "data_parallel": 2}, (2, 1, 2), id="as stated"),
    ],
)
def test_gpus_become_ranks(more: dict[str, int], ranks: tuple[int, int, int]) -> None:
    serving = planned_capacity(ask(**more)).serving

    assert (serving.tensor_parallel, serving.pipeline_parallel, serving.data_parallel) == ranks


@pytest.mark.parametrize(
    ("more", "dtype"),
    [
        pytest.param({}, "bfloat16", id="the model's own type"),
        pytest.param({"quantization": "nvfp4"}, "bfloat16", id="a format declares no cache"),
        pytest.param({"quantization": "awq"}, "bfloat16", id="others do not"),
        pytest.param(
            {"quantization": "nvfp4", "kv_cache_dtype": "bfloat16"}, "bfloat16", id="stated"
        ),
    ],
)
def test_auto_means_the_models_own_type_unless_files_say_more(
    more: dict[str, str], dtype: str
) -> None:
    assert planned_capacity(ask(**more)).capacity.kv_dtype == dtype


@pytest.mark.parametrize(
    ("question", "fields"),
    [
        pytest.param(
            ask(model="Lama", gpu="H1000", engine="vlm", tensor_parallel=0, prompt_tokens="x"),
            {"model", "gpu", "engine", "tensor_parallel", "prompt_tokens"},
            id="five mistakes",
        ),
        pytest.param(ask(block_size=0), {"block_size"}, id="a field as the question names it"),
        pytest.param(ask(tensor_parallel=3), {"tensor_parallel"}, id="what the engine refuses"),
        pytest.param(ask(gpus=4, tensor_parallel=2), {"gpus"}, id="ranks that are not the GPUs"),
        pytest.param(ask(available_kv_gib=None), {"gpu"}, id="no memory"),
        pytest.param(ask(available_kv_gib=-1.0), {"available_kv_gib"}, id="negative memory"),
        pytest.param(ask(prompt_tokens="100"), {"output_tokens"}, id="half of the lengths"),
        pytest.param(
            ask(prompt_tokens="100:9000", output_tokens="5"), {"prompt_tokens"}, id="no such law"
        ),
        pytest.param(ask(overflow_probability=0.0), {"overflow_probability"}, id="never"),
        pytest.param(ask(engine_version="latest"), {"engine_version"}, id="not a version"),
        pytest.param(ask(gpu="8x A100 80GB"), {"tensor_parallel"}, id="how many of eight"),
    ],
)
def test_every_mistake_is_told(question: CapacityQuestion, fields: set[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        planned_capacity(question)

    assert {problem.field for problem in caught.value.problems} == fields


@pytest.mark.parametrize(
    "said", [{"gpus": 8}, {"tensor_parallel": 8}, {"tensor_parallel": 4, "pipeline_parallel": 2}]
)
def test_gpus_that_a_name_counts_are_used_as_is_said(said: dict[str, int]) -> None:
    assert planned_capacity(ask(gpu="8x A100 80GB", **said)).serving.gpus == 8


def test_a_drafter_of_its_own_shapes_adds_its_caches() -> None:
    alone = planned_capacity(ask(model="Llama-3.1-70B", tensor_parallel=8))
    drafting = planned_capacity(
        ask(model="Llama-3.1-70B", tensor_parallel=8, draft_model="Llama-3.2-3B")
    )

    per_token = [
        one.capacity.layout.bytes_per_block_per_gpu / one.capacity.layout.block_tokens
        for one in (alone, drafting)
    ]
    assert per_token == [80 * 2 * 128 * 2, 80 * 2 * 128 * 2 + 28 * 2 * 128 * 2]
    assert drafting.serving.drafted_tokens == 1


def test_a_state_dtype_is_stated_not_guessed() -> None:
    ours = planned_capacity(ask(model="Nemotron-3-Nano-30B-A3B"))
    half = planned_capacity(ask(model="Nemotron-3-Nano-30B-A3B", mamba_ssm_cache_dtype="float16"))

    assert half.capacity.layout.block_tokens < ours.capacity.layout.block_tokens
    with pytest.raises(ConfigurationError, match="mamba_ssm_cache_dtype.*float16"):
        planned_capacity(ask(model="Nemotron-3-Nano-30B-A3B", mamba_ssm_cache_dtype="int8"))
