"""Where a GPU's memory goes: stated parts exactly, told parts with their interval."""

import pytest

from scaler.decision.architecture import Parameters
from scaler.decision.gpu_memory import MemoryEstimate, estimate_memory
from scaler.decision.kv_cache import Engine, Serving
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
    assert told.high_gib - told.low_gib <= 8.0


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
        pytest.param(178.35, 1, round((178.35 - 32) / 178.35, 3), id="B200"),
    ],
)
def test_sglang_reserves_by_the_gpus_size(memory_gib: float, ranks: int, fraction: float) -> None:
    serving = Serving(engine=Engine.SGLANG, gpu_memory_gib=memory_gib, tensor_parallel=ranks)

    assert estimate_memory(QWEN3_32B, serving).utilization == fraction


@pytest.mark.parametrize(
    ("serving", "utilization", "named"),
    [
        pytest.param(Serving(), None, "gpu", id="no GPU"),
        pytest.param(Serving(gpu_memory_gib=80.0), 1.2, "gpu_memory_utilization", id="over 1"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    serving: Serving, utilization: float | None, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        estimate_memory(QWEN3_32B, serving, utilization=utilization)
