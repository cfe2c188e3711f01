"""A plan as text and JSON: the contract's keys, and a chain that can be followed."""

import json
from typing import Any

from scaler.capacity.question import CapacityQuestion, planned_capacity
from scaler.report.capacity import capacity_json, capacity_text

KEYS = {
    "kv_bytes_per_token_per_gpu",
    "kv_constant_bytes_per_request_per_gpu",
    "kv_cache_gib_per_gpu",
    "num_blocks",
    "kv_capacity_tokens",
    "engine_reported_tokens",
    "max_concurrency_at_max_model_len",
    "safe_concurrency",
    "binding_limit",
    "steps",
}


def question(**more: Any) -> CapacityQuestion:
    return CapacityQuestion(
        **{
            "model": "Llama-3.1-8B",
            "available_kv_gib": 10.0,
            "max_model_len": 8192,
            "prompt_tokens": "1200:3000",
            "output_tokens": "300:800",
            **more,
        }
    )


def test_the_json_has_what_the_contract_names() -> None:
    told = json.loads(json.dumps(capacity_json(planned_capacity(question()))))

    assert told.keys() >= KEYS
    assert told["kv_bytes_per_token_per_gpu"] == 131_072
    assert told["num_blocks"] == 5_120
    assert told["kv_capacity_tokens"] == told["engine_reported_tokens"] == 81_920
    assert told["max_concurrency_at_max_model_len"] == 10.0
    assert told["binding_limit"] == "kv"
    assert all(step.keys() == {"name", "value", "unit", "why"} for step in told["steps"])
    assert told["steps"][-1]["value"] == told["safe_concurrency"]


def test_the_text_says_what_enforces_the_number() -> None:
    planned = planned_capacity(question())

    text = capacity_text(planned)

    assert f"--max-num-seqs {planned.requests}" in text
    assert f"max_conns={planned.requests}" in text
    assert "5,120 blocks / 512 blocks of a request of 8,192 tokens" in text
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_an_estimate_states_its_interval() -> None:
    planned = planned_capacity(question(available_kv_gib=None, gpu="H100"))
    told = capacity_json(planned)

    memory = told["memory"]
    assert memory["kv_cache_low_gib"] < told["kv_cache_gib_per_gpu"] < memory["kv_cache_high_gib"]
    assert any("told, not measured" in note for note in told["notes"])
    assert any("0.33.0 is assumed" in note for note in told["notes"])


def test_a_checkpoint_that_declares_its_cache_is_said_to() -> None:
    told = capacity_json(
        planned_capacity(question(model="nvidia/Llama-3.1-70B-Instruct-FP8", tensor_parallel=2))
    )

    assert told["kv_cache_dtype"] == "fp8"
    assert "auto means fp8: the checkpoint declares it" in told["notes"]


def test_a_name_is_no_proof_of_the_caches_type() -> None:
    told = capacity_json(planned_capacity(question(model="someone/Llama-3.1-8B-NVFP4")))

    assert told["kv_cache_dtype"] == "bfloat16"
    assert told["kv_capacity_tokens"] == 81_920
    [note] = [note for note in told["notes"] if "no proof" in note]
    assert "--kv-cache-dtype fp8: 163,840 tokens of cache" in note


def test_without_lengths_nothing_is_advised() -> None:
    planned = planned_capacity(question(prompt_tokens=None, output_tokens=None))
    text, told = capacity_text(planned), capacity_json(planned)

    assert "81,920 tokens of cache; at worst 9 requests of the full 8,192 tokens" in text
    assert "state --prompt-tokens and --output-tokens" in text
    assert "max-num-seqs" not in text
    assert "maxConcurrency" not in text
    assert (told["safe_concurrency"], told["binding_limit"]) == (None, None)
    assert (told["limits"], told["enforced_by"]) == ([], [])


def test_what_does_not_fit_enforces_nothing() -> None:
    told = capacity_json(planned_capacity(question(available_kv_gib=0.001)))

    assert told["safe_concurrency"] == 0
    assert told["enforced_by"] == []


def test_each_engine_is_held_by_its_own_flag() -> None:
    text = capacity_text(planned_capacity(question(engine="sglang", data_parallel=2)))

    assert "--max-running-requests" in text
    assert "on each of the 2 engines" in text


def test_hints_are_for_the_gpu_at_hand() -> None:
    old = capacity_text(
        planned_capacity(question(model="Qwen3-1.7B", gpu="T4", available_kv_gib=None))
    )
    new = capacity_text(
        planned_capacity(question(model="Qwen3-1.7B", gpu="H100", available_kv_gib=None))
    )

    assert "float16" in old
    assert "bfloat16" not in old
    assert "fp8" not in old
    assert "an awq checkpoint" in old
    assert "bfloat16" in new
    assert "--kv-cache-dtype fp8" in new


def test_a_slice_is_not_told_to_use_more_slices() -> None:
    text = capacity_text(planned_capacity(question(gpu="H100-3g.40gb", available_kv_gib=None)))

    assert "H100-3g.40gb: nvidia-smi mig -lgip" in text
    assert "tensor-parallel-size" not in text


def test_one_request_is_said_as_one() -> None:
    text = capacity_text(planned_capacity(question(available_kv_gib=1.1, prompt_tokens="7000")))

    assert ": 1 request at once" in text


def test_unquantized_weights_are_called_so() -> None:
    text = capacity_text(planned_capacity(question(gpu="H100", available_kv_gib=None)))

    assert "8.03 billion parameters, unquantized" in text
    assert "none" not in text


def test_states_that_may_be_narrower_are_said_to() -> None:
    asked = question(model="Nemotron-3-Nano-30B-A3B")
    notes = capacity_json(planned_capacity(asked))["notes"]

    assert any("--mamba-ssm-cache-dtype float16, state it too:" in note for note in notes)
    stated = question(model="Nemotron-3-Nano-30B-A3B", mamba_ssm_cache_dtype="float32")
    assert not any("32 bits" in note for note in capacity_json(planned_capacity(stated))["notes"])


def test_windows_that_an_engine_keeps_whole_are_said_to_be() -> None:
    told = {
        model: capacity_text(planned_capacity(question(model=model, engine="sglang")))
        for model in ("google/gemma-3-27b-it", "google/gemma-4-26B-A4B")
    }

    assert "no pool for this family's windows" in told["google/gemma-3-27b-it"]
    assert "no pool" not in told["google/gemma-4-26B-A4B"]
    assert not any("None is assumed" in text for text in told.values())


def test_on_several_gpus_the_poorest_worker_counts() -> None:
    said = "blocks are the least over the 2 GPUs of an engine"

    alone = capacity_json(planned_capacity(question(data_parallel=2)))["notes"]
    together = capacity_json(planned_capacity(question(tensor_parallel=2)))["notes"]
    assert not any("the least over" in note for note in alone)
    assert any(note.startswith(said) for note in together)
