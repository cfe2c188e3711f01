"""Where a GPU's memory goes: stated parts exactly, told parts with their interval."""

import dataclasses
from typing import Any

import pytest

from scaler.capacity.architecture import LatentCache, Parameters
from scaler.capacity.gpu_memory import MemoryEstimate, estimate_memory, overhead_gib
from scaler.capacity.kv_cache import Engine, Serving
from scaler.capacity.weights import STORAGE
from scaler.errors import ConfigurationError
from tests.builders import architecture

QWEN3_32B = architecture(
    parameters=Parameters(
        mixer=6_040_000_000, dense=25_165_000_000, expert=0, embedding=778_000_000, tables=2
    ),
    hidden_size=5_120,
    intermediate_size=25_600,
    vocab_size=151_936,
)


def h100(version: str = "0.11.0", **more: object) -> MemoryEstimate:
    serving = Serving(gpu_memory_gib=79.18, version=version, max_model_len=16_000)
    return estimate_memory(QWEN3_32B, serving, **more)  # type: ignore[arg-type]


def test_a_log_of_qwen3_32b_on_one_h100_is_told() -> None:
    """The log: weights 61.03, activation 5.64, outside torch 0.14, cache 4.45 GiB."""
    told = h100()

    assert told.utilization == 0.9
    assert told.weights_gib == pytest.approx(61.03, abs=0.1)
    assert told.overhead_gib == pytest.approx(5.78, abs=0.2)
    assert told.available_gib == pytest.approx(4.45, abs=0.3)
    assert told.low_gib < 66.81 < told.high_gib
    assert told.high_gib - told.low_gib <= 8.1


@pytest.mark.parametrize(
    ("version", "fraction"),
    [
        pytest.param("0.19.1", 0.90, id="until 0.19"),
        pytest.param("0.20.0", 0.92, id="since 0.20"),
        pytest.param("0.20.0rc1", 0.92, id="its candidate"),
    ],
)
def test_the_share_that_vllm_takes_depends_on_its_version(version: str, fraction: float) -> None:
    assert h100(version).utilization == fraction


A_STEP = "a profiling step: the larger of sampling"
ALONE = 5.58 + 0.13


@pytest.mark.parametrize(
    ("more", "gib", "why"),
    [
        pytest.param(
            {"version": "0.17.1"},
            ALONE,
            f"{A_STEP} 1,024 rows of 151,936 logits (5.58) and a pass of 8,192 tokens (1.33); "
            "outside torch 0.13",
            id="38.5 bytes a logit, and CUDA's context",
        ),
        pytest.param(
            {"version": "0.17.1", "tensor_parallel": 2},
            ALONE + 0.85,
            f"{A_STEP} 1,024 rows of 151,936 logits (5.58) and a pass of 8,192 tokens (0.74); "
            "outside torch 0.98",
            id="ranks talk to one another, and share the inner width",
        ),
        pytest.param(
            {"version": "0.18.0"},
            4.20 + 0.13,
            f"{A_STEP} 1,024 rows of 151,936 logits (4.20) and a pass of 8,192 tokens (1.33); "
            "outside torch 0.13",
            id="29 bytes a logit since 0.18",
        ),
        pytest.param(
            {"version": "0.20.0"},
            4.20 + 0.13 + 0.90,
            f"{A_STEP} 1,024 rows of 151,936 logits (4.20) and a pass of 8,192 tokens (1.33); "
            "outside torch 0.13; CUDA graphs 0.90",
            id="graphs since 0.20",
        ),
        pytest.param(
            {"version": "0.17.1", "max_num_seqs": 16, "max_num_batched_tokens": 32_768},
            5.31 + 0.13,
            f"{A_STEP} 16 rows of 151,936 logits (0.09) and a pass of 32,768 tokens (5.31); "
            "outside torch 0.13",
            id="a large pass",
        ),
        pytest.param(
            {"version": "0.7.0"},
            2.59 + 0.13,
            f"{A_STEP} 256 rows of 151,936 logits (1.39) and a pass of 16,000 tokens (2.59); "
            "outside torch 0.13",
            id="V0 runs a whole context",
        ),
        pytest.param(
            {"version": "0.7.0", "max_model_len": 40_000},
            1.39 + 0.13,
            f"{A_STEP} 256 rows of 151,936 logits (1.39) and a pass of 2,048 tokens (0.33); "
            "outside torch 0.13",
            id="V0 chunks beyond 32 k",
        ),
        pytest.param(
            {"version": "0.7.0", "max_model_len": 32_768},
            5.31 + 0.13,
            f"{A_STEP} 256 rows of 151,936 logits (1.39) and a pass of 32,768 tokens (5.31); "
            "outside torch 0.13",
            id="and not up to there",
        ),
        pytest.param(
            {"version": "0.7.0", "max_model_len": 1_000},
            1.39 + 0.13,
            f"{A_STEP} 256 rows of 151,936 logits (1.39) and a pass of 2,048 tokens (0.33); "
            "outside torch 0.13",
            id="V0 with a short context",
        ),
        pytest.param(
            {"version": "0.7.0", "max_num_batched_tokens": 4_096},
            1.39 + 0.13,
            f"{A_STEP} 256 rows of 151,936 logits (1.39) and a pass of 4,096 tokens (0.66); "
            "outside torch 0.13",
            id="V0 with a stated pass",
        ),
    ],
)
def test_what_a_step_needs(more: dict[str, Any], gib: float, why: str) -> None:
    serving = Serving(**{"gpu_memory_gib": 79.18, "max_model_len": 16_000, **more})

    told, said = overhead_gib(QWEN3_32B, serving)

    assert told == pytest.approx(gib, abs=0.006)
    assert said == why


def test_v0_never_chunks_latent_attention() -> None:
    latent = architecture(
        LatentCache(rank=512, rope_dim=64, heads=128, nope_dim=128), hidden_size=1_024
    )
    serving = Serving(gpu_memory_gib=79.18, version="0.7.0", max_model_len=65_536)

    assert "a pass of 65,536 tokens" in overhead_gib(latent, serving)[1]


def test_an_inner_width_that_nobody_states_is_four_hidden_ones() -> None:
    serving = Serving(gpu_memory_gib=79.18, max_num_seqs=1, max_num_batched_tokens=8_192)
    stated = architecture(hidden_size=4_096, intermediate_size=16_384, vocab_size=1_000)

    told = overhead_gib(stated, serving)

    assert overhead_gib(dataclasses.replace(stated, intermediate_size=None), serving) == told
    unknown = dataclasses.replace(stated, intermediate_size=None, hidden_size=None)
    assert overhead_gib(unknown, serving) == told


def test_a_vocabulary_that_nobody_states_is_a_typical_one() -> None:
    serving = Serving(gpu_memory_gib=79.18)

    assert "1,024 rows of 150,000 logits" in overhead_gib(architecture(), serving)[1]


def test_experts_of_a_token_are_hidden_widths_of_at_most_32_k_tokens() -> None:
    shapes = {"hidden_size": 4_096, "intermediate_size": 8_192, "vocab_size": 1_000}
    dense = architecture(**shapes)
    mixture = architecture(**shapes, experts=64, experts_per_token=8)
    small, large = (
        Serving(gpu_memory_gib=79.18, max_num_seqs=16, max_num_batched_tokens=tokens)
        for tokens in (16_384, 65_536)
    )

    more = [overhead_gib(mixture, one)[0] - overhead_gib(dense, one)[0] for one in (small, large)]

    routed = 2 * 8 * 4_096 / 2**30
    assert more == [pytest.approx(16_384 * routed), pytest.approx(32_768 * routed)]


@pytest.mark.parametrize(
    ("engine", "gib"), [(Engine.SGLANG, 1.0), (Engine.TGI, 2.0), (Engine.TRTLLM, 2.5)]
)
def test_other_engines_hold_a_round_number_beside(engine: Engine, gib: float) -> None:
    told = overhead_gib(QWEN3_32B, Serving(engine=engine, gpu_memory_gib=79.18))

    assert told == (gib, "context and work space, a round number")


@pytest.mark.parametrize(
    ("serving", "experts", "widths"),
    [
        pytest.param({}, 0, (0.8 * 1.0, 2.0), id="few rows on one rank"),
        pytest.param({"max_num_seqs": 257}, 0, (0.8 * 1.0, 3.4), id="many rows"),
        pytest.param({"tensor_parallel": 2}, 0, (0.8 * 1.0, 3.4), id="several ranks"),
        pytest.param({}, 8, (0.8 * 1.0, 3.4), id="experts"),
    ],
)
def test_the_interval_is_wider_where_logs_spread(
    serving: dict[str, Any], experts: int, widths: tuple[float, float]
) -> None:
    engine = {"engine": Engine.SGLANG, "gpu_memory_gib": 79.18, "max_num_seqs": 256}
    model = architecture(experts=experts)

    told = estimate_memory(model, Serving(**{**engine, **serving}), weights_gib=20.0)

    assert (21.0 - told.low_gib, told.high_gib - 21.0) == pytest.approx(widths)
    assert told.available_range_gib == pytest.approx(
        (told.budget_gib - told.high_gib, told.budget_gib - told.low_gib)
    )


def test_a_vague_format_widens_the_interval_by_what_its_bits_stray() -> None:
    vague = dataclasses.replace(QWEN3_32B, quantization="gguf")

    told = estimate_memory(vague, Serving(gpu_memory_gib=79.18, version="0.11.0"))

    middle = told.weights_gib + told.overhead_gib
    wide = 3.4 + STORAGE["gguf"].slack * told.weights_gib
    assert (middle - told.low_gib, told.high_gib - middle) == pytest.approx((wide, wide))


def test_the_estimate_is_explained_line_by_line() -> None:
    told = h100(weights_gib=61.03, utilization=0.95)

    assert [(one.name, round(one.value, 2), one.unit, one.why) for one in told.steps[:3]] == [
        ("GPU memory", 79.18, "GiB per GPU", "as stated"),
        ("budget", 75.22, "GiB per GPU", "79.18 × 0.95, the share that vllm takes"),
        ("weights", 61.03, "GiB per GPU", "as stated"),
    ]
    assert told.steps[3].value == told.overhead_gib


def test_stated_weights_are_taken_as_they_are() -> None:
    told = h100(weights_gib=61.03, utilization=0.95)

    assert told.weights_gib == pytest.approx(61.03)
    assert told.budget_gib == pytest.approx(0.95 * 79.18)


def test_a_model_that_does_not_fit_leaves_nothing() -> None:
    told = h100(weights_gib=100.0)

    assert told.available_gib == 0.0
    assert told.available_range_gib == (0.0, 0.0)


@pytest.mark.parametrize(
    ("memory_gib", "ranks", "fraction"),
    [
        pytest.param(23.6, 1, round((23.6 - 2.9) / 23.6, 3), id="a workstation's"),
        pytest.param(79.19, 8, round((79.19 - 13.5) / 79.19, 3), id="H100 with eight ranks"),
        pytest.param(35.0, 2, round((35.0 - 10.5) / 35.0, 3), id="35 GiB are no workstation's"),
        pytest.param(90.0, 2, round((90.0 - 13.0) / 90.0, 3), id="90 GiB are an H200's"),
        pytest.param(160.0, 2, round((160.0 - 32) / 160.0, 3), id="160 GiB are a B200's"),
        pytest.param(178.35, 1, round((178.35 - 32) / 178.35, 3), id="B200"),
    ],
)
def test_sglang_reserves_by_the_gpus_size(memory_gib: float, ranks: int, fraction: float) -> None:
    serving = Serving(engine=Engine.SGLANG, gpu_memory_gib=memory_gib, tensor_parallel=ranks)

    assert estimate_memory(QWEN3_32B, serving).utilization == fraction


def test_sglang_reserves_for_the_ranks_of_every_stage() -> None:
    serving = Serving(
        engine=Engine.SGLANG, gpu_memory_gib=79.19, tensor_parallel=4, pipeline_parallel=2
    )

    told = estimate_memory(QWEN3_32B, serving)

    assert told.utilization == round((79.19 - 13.5) / 79.19, 3)


@pytest.mark.parametrize("engine", [Engine.TGI, Engine.TRTLLM])
def test_others_take_nine_tenths(engine: Engine) -> None:
    serving = Serving(engine=engine, gpu_memory_gib=80.0)

    assert estimate_memory(QWEN3_32B, serving).utilization == 0.9


def test_a_whole_gpu_may_be_stated() -> None:
    assert h100(utilization=1.0).budget_gib == 79.18


@pytest.mark.parametrize(
    ("serving", "utilization", "named"),
    [
        pytest.param(Serving(), None, "gpu", id="no GPU"),
        pytest.param(Serving(gpu_memory_gib=80.0), 1.2, "gpu_memory_utilization", id="over 1"),
        pytest.param(Serving(gpu_memory_gib=80.0), 0.0, "gpu_memory_utilization", id="nothing"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    serving: Serving, utilization: float | None, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        estimate_memory(QWEN3_32B, serving, utilization=utilization)
