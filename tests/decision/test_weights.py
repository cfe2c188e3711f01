"""Bytes of weights on one GPU, against checkpoints' and logs' own numbers."""

import dataclasses

import pytest

from scaler.decision.architecture import Parameters
from scaler.decision.kv_cache import GIB, Serving
from scaler.decision.weights import weights_on_gpu
from scaler.errors import ConfigurationError
from tests.builders import architecture

BILLION = 10**9
DENSE = Parameters(mixer=2 * BILLION, dense=4 * BILLION, expert=0, embedding=BILLION // 2, tables=2)
MIXTURE = Parameters(
    mixer=1 * BILLION, dense=0, expert=100 * BILLION, embedding=BILLION // 2, tables=2
)


@pytest.mark.parametrize(
    ("counted", "quantization", "gigabytes"),
    [
        pytest.param(DENSE, None, 14.0, id="16 bits throughout"),
        pytest.param(DENSE, "fp8", 6 + 2, id="fp8 leaves the tables in 16"),
        pytest.param(DENSE, "awq", 6 * (4 + 20 / 128) / 8 + 2, id="AWQ: scale and zero per 128"),
        pytest.param(DENSE, "nvfp4", 4 * 4.5 / 8 + 4 + 2, id="ModelOpt leaves attention in 16"),
        pytest.param(MIXTURE, "mxfp4", 100 * 4.25 / 8 + 2 + 2, id="MXFP4: experts alone"),
        pytest.param(DENSE, "gptq_marlin", 6 * (4 + 20 / 128) / 8 + 2, id="a kernel's name"),
    ],
)
def test_bits_per_weight(counted: Parameters, quantization: str | None, gigabytes: float) -> None:
    model = architecture(parameters=counted, quantization=quantization)

    assert weights_on_gpu(model, Serving()).gpu_bytes == pytest.approx(gigabytes * 1e9, rel=1e-6)


@pytest.mark.parametrize(
    ("serving", "share"),
    [
        pytest.param(Serving(tensor_parallel=4), 1 / 4, id="ranks share everything"),
        pytest.param(Serving(pipeline_parallel=2), (6 / 2 + 0.5) / 7, id="an end holds a table"),
        pytest.param(Serving(data_parallel=2), 1.0, id="dense models are copied"),
    ],
)
def test_the_fullest_gpu_of_a_layout(serving: Serving, share: float) -> None:
    model = architecture(parameters=DENSE)

    assert weights_on_gpu(model, serving).gpu_bytes == pytest.approx(14e9 * share, rel=1e-6)


def test_data_parallel_attention_shares_experts() -> None:
    model = architecture(parameters=MIXTURE)

    alone, shared = (weights_on_gpu(model, Serving(data_parallel=ranks)) for ranks in (1, 4))

    assert (alone.gpu_bytes - shared.gpu_bytes) == pytest.approx(150e9, rel=1e-6)


def test_what_every_rank_holds_whole_is_not_divided() -> None:
    whole = dataclasses.replace(DENSE, replicated=BILLION)
    model = architecture(parameters=whole)

    on_gpu = weights_on_gpu(model, Serving(tensor_parallel=2)).gpu_bytes

    assert on_gpu == pytest.approx(7e9 + 1e9, rel=1e-6)


def test_mxfp4_kernels_round_an_experts_rows_up() -> None:
    plain, padded = (
        architecture(parameters=MIXTURE, quantization="mxfp4", hidden_size=hidden)
        for hidden in (2816, 2880)
    )

    more = weights_on_gpu(padded, Serving()).gpu_bytes - weights_on_gpu(plain, Serving()).gpu_bytes

    assert more == pytest.approx(100e9 * 4.25 / 8 * (3072 / 2880 - 1), rel=1e-6)


def test_an_index_states_the_bytes_unless_another_format_is_asked_for() -> None:
    model = architecture(parameters=DENSE, checkpoint_bytes=3 * GIB)

    assert weights_on_gpu(model, Serving()).gpu_bytes == 3 * GIB
    assert weights_on_gpu(model, Serving(), "fp8").gpu_bytes == 8 * BILLION


def test_an_unknown_format_asks_for_the_weights() -> None:
    with pytest.raises(ConfigurationError, match="exl3.*or state the weights"):
        weights_on_gpu(architecture(parameters=DENSE), Serving(), "exl3")


def test_a_model_without_a_count_asks_for_the_weights() -> None:
    with pytest.raises(ConfigurationError, match="weights_gib"):
        weights_on_gpu(architecture(), Serving())
