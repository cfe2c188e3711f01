"""Bytes of weights on one GPU, against checkpoints' and logs' own numbers."""

import dataclasses

import pytest

from scaler.capacity.architecture import Parameters
from scaler.capacity.kv_cache import GIB, Serving
from scaler.capacity.models import load_model
from scaler.capacity.weights import weights_on_gpu
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
        pytest.param(
            DENSE, "nvfp4", 4 * 4.5 / 8 + 2 + 2, id="attention between 4 and 16, not told"
        ),
        pytest.param(DENSE, "nvfp4-fp8", 4 * 4.5 / 8 + 2 + 2, id="attention in 8"),
        pytest.param(MIXTURE, "mxfp4", 100 * 4.25 / 8 + 2 + 2, id="MXFP4: experts alone"),
        pytest.param(DENSE, "int8", 6 + 2, id="int8 likewise"),
        pytest.param(DENSE, "gptq-int8-g128", 6 * (8 + 24 / 128) / 8 + 2, id="GPTQ in 8 bits"),
        pytest.param(DENSE, "int4-g64", 6 * (4 + 16 / 64) / 8 + 2, id="no zero, per 64"),
        pytest.param(DENSE, "int4-g32", 6 * 4.5 / 8 + 2, id="no experts: all there is"),
        pytest.param(DENSE, "mxfp4", 6 * 4.25 / 8 + 2, id="MXFP4 of a dense model"),
        pytest.param(DENSE, "w4a16", 6 * (4 + 16 / 128) / 8 + 2, id="compressed-tensors: per 128"),
        pytest.param(MIXTURE, "int4-g32", 100 * 4.5 / 8 + 2 + 2, id="Kimi: experts alone, per 32"),
        pytest.param(DENSE, "nvfp4-all", 6 * 4.5 / 8 + 2, id="NVFP4 of attention as well: per 16"),
        pytest.param(DENSE, "bnb", 6 * 4.5 / 8 + 2, id="NF4: 32 bits per 64"),
        pytest.param(DENSE, "gguf", 7 * 8.5 / 8, id="Q8_0 takes the tables, too"),
        pytest.param(DENSE, "gptq_marlin", 6 * (4 + 20 / 128) / 8 + 2, id="a kernel's name"),
    ],
)
def test_bits_per_weight(counted: Parameters, quantization: str | None, gigabytes: float) -> None:
    model = architecture(parameters=counted, quantization=quantization)

    assert weights_on_gpu(model, Serving()).gpu_bytes == pytest.approx(gigabytes * 1e9, rel=1e-6)


@pytest.mark.parametrize(
    ("quantization", "mixers", "gigabytes"),
    [
        pytest.param("nvfp4", True, 6 * 4.5 / 8 + 2, id="attention is quantized as well"),
        pytest.param("fp8", False, 4 + 4 + 2, id="attention is left out"),
        pytest.param("fp8", 0.5, 4 + 3 + 2, id="half of attention is left out"),
        pytest.param(None, False, 14.0, id="nothing is quantized: nothing to leave out"),
    ],
)
def test_a_checkpoint_says_whether_it_quantizes_attention(
    quantization: str | None, mixers: float, gigabytes: float
) -> None:
    model = architecture(parameters=DENSE, quantization=quantization, quantized_mixers=mixers)

    assert weights_on_gpu(model, Serving()).gpu_bytes == pytest.approx(gigabytes * 1e9, rel=1e-6)


def test_a_quantized_output_leaves_the_input_alone() -> None:
    untied = dataclasses.replace(DENSE, tables=2)
    sizes = [
        weights_on_gpu(
            architecture(parameters=untied, quantization="fp8", quantized_head=head), Serving()
        ).gpu_bytes
        for head in (False, True)
    ]

    assert sizes[0] - sizes[1] == untied.embedding


@pytest.mark.parametrize(
    ("counted", "model", "slack"),
    [
        pytest.param(DENSE, {}, 0.01 * 14e9, id="16 bits: little"),
        pytest.param(DENSE, {"quantization": "fp8"}, 0.03 * 8e9, id="a quantized checkpoint: more"),
        pytest.param(
            dataclasses.replace(DENSE, stated=True), {}, 0.06 * 14e9, id="the split is a guess"
        ),
        pytest.param(
            dataclasses.replace(DENSE, other=BILLION),
            {"multimodal": True},
            0.01 * 16e9 + 2e9,
            id="a tower may be whole on every rank",
        ),
    ],
)
def test_how_far_the_truth_may_be_off(
    counted: Parameters, model: dict[str, object], slack: float
) -> None:
    told = weights_on_gpu(architecture(parameters=counted, **model), Serving())

    assert told.slack_bytes == pytest.approx(slack, rel=1e-6)


def test_the_weights_are_explained() -> None:
    model = architecture(parameters=DENSE, quantization="fp8")

    assert weights_on_gpu(model, Serving(tensor_parallel=4)).why == (
        "7.00 billion parameters, fp8: 7.45 GiB in all, 25.0% of it on the fullest of 4 GPU(s)"
    )


def test_a_kind_of_a_format_is_the_checkpoints_own() -> None:
    declared = architecture(parameters=DENSE, quantization="nvfp4-all")

    assert weights_on_gpu(declared, Serving(), "nvfp4").gpu_bytes == (
        weights_on_gpu(declared, Serving()).gpu_bytes
    )


def test_tables_of_a_long_rotation_are_whole_on_every_gpu() -> None:
    long = dataclasses.replace(DENSE, rotation=BILLION)

    told = weights_on_gpu(
        architecture(parameters=long, quantization="fp8"), Serving(tensor_parallel=4)
    )

    assert told.gpu_bytes == pytest.approx(8e9 / 4 + 2e9, rel=1e-6)
    assert told.why.endswith(", beside 1.86 GiB of rotary tables on each")


@pytest.mark.parametrize("pipeline", [1, 2])
def test_one_table_for_input_and_output_is_held_by_either_end(pipeline: int) -> None:
    tied = dataclasses.replace(DENSE, tables=1)

    told = weights_on_gpu(architecture(parameters=tied), Serving(pipeline_parallel=pipeline))

    assert told.gpu_bytes == pytest.approx(2 * (6e9 / pipeline + 0.5e9), rel=1e-6)


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


@pytest.mark.parametrize(
    ("serving", "gigabytes"),
    [
        pytest.param(Serving(), 6 + 2, id="loaded only where it drafts"),
        pytest.param(Serving(draft_layers=1), 6 + 2 + 2, id="in 16 bits"),
        pytest.param(Serving(draft_layers=1, tensor_parallel=2), 5, id="shared by ranks"),
        pytest.param(
            Serving(draft_layers=1, pipeline_parallel=2), 6 / 2 + 1 + 2, id="on the last stage"
        ),
    ],
)
def test_a_draft_layer_weighs(serving: Serving, gigabytes: float) -> None:
    model = architecture(parameters=dataclasses.replace(DENSE, draft=BILLION), quantization="fp8")

    assert weights_on_gpu(model, serving).gpu_bytes == pytest.approx(gigabytes * 1e9, rel=1e-6)


def test_data_parallel_attention_shares_experts() -> None:
    model = architecture(parameters=MIXTURE)

    alone, shared = (weights_on_gpu(model, Serving(data_parallel=ranks)) for ranks in (1, 4))

    assert (alone.gpu_bytes - shared.gpu_bytes) == pytest.approx(150e9, rel=1e-6)

    alone, shared = (
        weights_on_gpu(model, Serving(data_parallel=ranks, pipeline_parallel=2)) for ranks in (1, 4)
    )

    assert (alone.gpu_bytes - shared.gpu_bytes) == pytest.approx(75e9, rel=1e-6)


@pytest.mark.parametrize(
    ("quantization", "gigabytes"),
    [
        pytest.param(None, 14 / 2 + 1, id="16 bits"),
        pytest.param("fp8", 8 / 2 + 0.5, id="8 bits, as all of attention"),
        pytest.param("nvfp4", (4 * 4.5 / 8 + 2 + 2) / 2 + 0.5, id="8 bits, as attention may be"),
    ],
)
def test_what_every_rank_holds_whole_is_not_divided(
    quantization: str | None, gigabytes: float
) -> None:
    whole = dataclasses.replace(DENSE, replicated=BILLION)
    model = architecture(parameters=whole, quantization=quantization)

    on_gpu = weights_on_gpu(model, Serving(tensor_parallel=2)).gpu_bytes

    assert on_gpu == pytest.approx(gigabytes * 1e9, rel=1e-6)


def test_mxfp4_kernels_round_an_experts_rows_up() -> None:
    def padding(quantization: str) -> int:
        plain, padded = (
            architecture(parameters=MIXTURE, quantization=quantization, hidden_size=hidden)
            for hidden in (2816, 2880)
        )
        return (
            weights_on_gpu(padded, Serving()).gpu_bytes - weights_on_gpu(plain, Serving()).gpu_bytes
        )

    assert padding("mxfp4") == pytest.approx(100e9 * 4.25 / 8 * (3072 / 2880 - 1), rel=1e-6)
    assert padding("int4-g32") == 0


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


def test_an_nvfp4_checkpoint_by_name_alone_has_an_interval_for_its_attention() -> None:
    """Logs of one 27B in NVFP4 had 19.8 and 21.3 GiB: attention in 4, in 8 or in 16 bits."""
    told = weights_on_gpu(load_model("Qwen3.8-27B-NVFP4"), Serving())

    low, high = told.gpu_bytes - told.slack_bytes, told.gpu_bytes + told.slack_bytes
    assert all(low / GIB < true < high / GIB for true in (19.78, 21.28))
    assert told.gpu_bytes / GIB == pytest.approx(19.78, abs=3)


def test_embeddings_of_each_layer_stay_in_16_bits() -> None:
    """A log of gemma-4-E2B with weights in 4 bits had 8.02 GiB: most of it are tables."""
    told = weights_on_gpu(load_model("google/gemma-4-E2B-it-qat-w4a16-ct"), Serving())

    low, high = told.gpu_bytes - told.slack_bytes, told.gpu_bytes + told.slack_bytes
    assert low / GIB < 8.02 < high / GIB


def test_a_drafter_with_shapes_of_its_own_weighs_something() -> None:
    drafter = architecture(parameters=DENSE)
    model = architecture(parameters=DENSE, drafter=drafter)

    alone, drafting = (
        weights_on_gpu(one, Serving()) for one in (architecture(parameters=DENSE), model)
    )

    assert drafting.gpu_bytes - alone.gpu_bytes == 12 * BILLION  # its tables are the model's
