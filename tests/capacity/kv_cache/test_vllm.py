"""
vLLM's blocks, tokens and concurrency, against numbers of real logs that were followed by hand.

Llama-3-8B in 16 bits costs 2 × 8 heads × 128 × 2 bytes × 32 layers = 131,072 bytes a token.
"""

import dataclasses
from typing import Any

import pytest

from scaler.capacity.architecture import IndexerCache, LatentCache, StateCache
from scaler.capacity.kv_cache import GIB, GpuClass, Serving, kv_capacity, kv_layout
from scaler.capacity.models import load_model
from scaler.errors import ConfigurationError
from tests.builders import architecture, attention

MIB = 2**20


def gated_delta_net(**more: int) -> StateCache:
    """Return the state of Qwen3.5-27B: 3,207,168 bytes in one rank, 3.1 MB of them in 32 bits."""
    shape: dict[str, Any] = {
        "channels": 2 * 16 * 128 + 48 * 128,
        "heads": 48,
        "per_head": 128 * 128,
    }
    return StateCache(kind="gdn", kernel=4, recurrent_bytes=4, **{**shape, **more})


QWEN35_27B = architecture(
    *(gated_delta_net(),) * 48, *(attention(4, 256),) * 16, attention_heads=24
)
LATENT = LatentCache(rank=512, rope_dim=64, heads=128, nope_dim=128)
GEMMA4_26B = architecture(
    *(attention(8, 256, window_tokens=1024),) * 25, *(attention(2, 512),) * 5, attention_heads=16
)
GPT_OSS_120B = architecture(
    *(attention(8, 64, window_tokens=128),) * 18, *(attention(8, 64),) * 18, attention_heads=64
)


def test_a_uniform_model_fits_its_bytes_per_token() -> None:
    capacity = kv_capacity(architecture(), Serving(max_model_len=8192), 10 * GIB)

    assert capacity.bytes_per_token_per_gpu == 131_072
    assert capacity.num_blocks == 10 * GIB // (16 * 131_072) == 5_120
    assert capacity.capacity_tokens == capacity.reported_tokens == 81_920
    assert capacity.max_concurrency == 10.0
    assert capacity.usable_blocks == 5_119  # the null block


def test_the_first_engine_has_no_null_block() -> None:
    assert kv_capacity(architecture(), Serving(version="0.6.6"), GIB).usable_blocks == 512


@pytest.mark.parametrize(
    ("version", "printed"),
    [
        pytest.param("0.20.1", None, id="tokens are derived from the longest request"),
        pytest.param("0.20.0", 8_192, id="and were not until 0.20.1"),
    ],
)
def test_without_a_longest_request_what_rests_on_it_is_not_known(
    version: str, printed: int | None
) -> None:
    endless = architecture(max_position_embeddings=None)

    capacity = kv_capacity(endless, Serving(version=version), GIB)

    assert capacity.reported_tokens == printed
    assert (capacity.max_concurrency, capacity.longest_request_blocks) == (None, None)
    assert "max concurrency" not in {step.name for step in capacity.steps}


@pytest.mark.parametrize(
    ("ranks", "bytes_per_token"),
    [
        pytest.param(2, 65_536, id="two ranks hold half of the heads each"),
        pytest.param(8, 16_384, id="eight ranks hold one head each"),
        pytest.param(16, 16_384, id="sixteen ranks repeat them"),
    ],
)
def test_tensor_parallelism_divides_heads_and_then_repeats_them(
    ranks: int, bytes_per_token: int
) -> None:
    capacity = kv_capacity(architecture(), Serving(tensor_parallel=ranks), GIB)

    assert capacity.bytes_per_token_per_gpu == bytes_per_token


@pytest.mark.parametrize(
    ("serving", "named"),
    [
        pytest.param(Serving(tensor_parallel=3), "32 attention heads", id="three ranks"),
        pytest.param(Serving(pipeline_parallel=33), "32, the model's layers", id="33 stages"),
        pytest.param(Serving(kv_dtype="fp3"), "int8_per_token_head", id="an unknown dtype"),
        pytest.param(
            Serving(tensor_parallel=4, context_parallel=3), "divisor of tensor_parallel", id="dcp"
        ),
    ],
)
def test_a_layout_that_vllm_refuses_is_refused_by_name(serving: Serving, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        kv_capacity(architecture(), serving, GIB)


def test_kv_heads_that_ranks_neither_divide_nor_repeat_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="10 KV heads"):
        kv_capacity(
            architecture(attention(10), attention_heads=40), Serving(tensor_parallel=4), GIB
        )


def test_the_heaviest_pipeline_stage_decides() -> None:
    lite = LatentCache(rank=512, rope_dim=64, heads=16, nope_dim=128)
    capacity = kv_capacity(
        architecture(*(lite,) * 27, attention_heads=16),
        Serving(tensor_parallel=2, pipeline_parallel=2),
        GIB,
    )

    assert capacity.bytes_per_token_per_gpu == 14 * 576 * 2  # 14 of 27 layers


@pytest.mark.parametrize(
    ("version", "dtype", "bytes_per_token"),
    [
        pytest.param("0.32.0", "auto", 61 * 576 * 2, id="a latent is whole on every rank"),
        pytest.param("0.32.0", "fp8", 61 * 576, id="8 bits halve it"),
        pytest.param("0.8.2 V0", "auto", 78_080, id="V0 pads 576 to 640"),
        pytest.param("0.7", "auto", 78_080, id="and caches the latent since 0.7"),
        pytest.param("0.6.6", "auto", 61 * 16 * 512 * 2, id="0.6 kept keys and values of 256"),
    ],
)
def test_latent_attention(version: str, dtype: str, bytes_per_token: int) -> None:
    serving = Serving(version=version, kv_dtype=dtype, tensor_parallel=8)
    r1 = architecture(*(LATENT,) * 61, attention_heads=128)

    assert kv_capacity(r1, serving, GIB).bytes_per_token_per_gpu == bytes_per_token


@pytest.mark.parametrize(
    ("layers", "owners", "serving", "bytes_per_token"),
    [
        pytest.param(61, 61, Serving(), 78_324, id="DeepSeek-V3.2 in 16 bits"),
        pytest.param(78, 78, Serving(), 100_152, id="GLM-5 in 16 bits"),
        pytest.param(
            78,
            21,
            Serving(kv_dtype="fp8_ds_mla", draft_layers=1),
            54_728,
            id="GLM-5.2 in FlashMLA's format, with its draft layer",
        ),
        pytest.param(
            61,
            61,
            Serving(version="0.11.0", gpu_class=GpuClass.HOPPER),
            61 * (656 + 132),
            id="0.11.0 chose the sparse format by itself",
        ),
        pytest.param(
            61,
            61,
            Serving(version="0.24.0", gpu_class=GpuClass.BLACKWELL, kv_dtype="fp8"),
            61 * (576 + 132),
            id="Blackwell's backend keeps plain 8 bits",
        ),
    ],
)
def test_sparse_attention_adds_its_indexer(
    layers: int, owners: int, serving: Serving, bytes_per_token: int
) -> None:
    plain = ((LATENT,),) * (layers - owners)
    sparse = ((LATENT, IndexerCache(head_dim=128)),) * owners
    model = architecture(*plain, *sparse, attention_heads=128)

    assert kv_capacity(model, serving, GIB).bytes_per_token_per_gpu == bytes_per_token


def test_gpt_oss_groups_windows_apart_and_prints_what_its_log_prints() -> None:
    serving = Serving(
        version="0.20.2",
        block_tokens=64,
        max_model_len=131_072,
        max_num_batched_tokens=8_192,
    )
    memory = 428_888 * 18 * 64 * 2_048

    capacity = kv_capacity(GPT_OSS_120B, serving, memory)

    assert capacity.num_blocks == 428_888
    assert capacity.longest_request_blocks == 2_048 + 131
    assert capacity.max_concurrency == pytest.approx(196.83, abs=0.005)
    assert capacity.reported_tokens == 25_798_626


def test_without_the_hybrid_manager_windows_are_kept_whole() -> None:
    serving = Serving(version="0.30.0", block_tokens=64, max_model_len=131_072, hybrid_groups=False)
    memory = 214_444 * 36 * 64 * 2_048

    capacity = kv_capacity(GPT_OSS_120B, serving, memory)

    assert capacity.num_blocks == 214_444
    assert capacity.max_concurrency == pytest.approx(104.71, abs=0.005)


def test_a_smaller_page_gets_a_longer_block() -> None:
    layout = kv_layout(GEMMA4_26B, Serving())

    assert layout.block_tokens == 32  # global layers: half the bytes of a sliding layer's token
    assert [window.block_tokens for window in layout.windows] == [16] * 5
    assert layout.growing_groups == 1
    assert layout.bytes_per_block_per_gpu == 5 * 16 * 2 * 8 * 256 * 2


@pytest.mark.parametrize(
    ("version", "sizes", "blocks"),
    [
        pytest.param("0.32.0", (13, 12), 2, id="close counts share the larger size"),
        pytest.param("0.11.0", (13, 12), 3, id="before 0.12 the smallest always decided"),
        pytest.param("0.12", (13, 12), 2, id="since 0.12 not, where they are close"),
        pytest.param("0.17.1", (16, 12), 3, id="a third more was far until 0.18"),
        pytest.param("0.18", (16, 12), 2, id="and is close since"),
        pytest.param("0.32.0", (18, 12), 3, id="half as much again is far"),
        pytest.param("0.32.0", (25, 5), 6, id="far ones do not"),
    ],
)
def test_groups_are_of_one_size(version: str, sizes: tuple[int, int], blocks: int) -> None:
    window, full = sizes
    model = architecture(
        *(attention(window_tokens=128),) * window, *(attention(),) * full, attention_heads=32
    )

    layout = kv_layout(model, Serving(version=version))

    assert layout.growing_groups + len(layout.windows) == blocks


@pytest.mark.parametrize(
    ("version", "window", "chunk"),
    [
        pytest.param("0.8.5 V0", False, False, id="V0 keeps all tokens"),
        pytest.param("0.9.2 V0", False, False, id="as long as there is one"),
        pytest.param("0.9.0", False, False, id="and so did 0.9.0"),
        pytest.param("0.9.1", True, True, id="since 0.9.1 they are freed"),
        pytest.param("0.10.0", True, True, id="of chunks, too"),
        pytest.param("0.10.1", True, False, id="which 0.10.1 took back"),
        pytest.param("0.13.9", True, False, id="until 0.14"),
        pytest.param("0.14", True, True, id="since 0.14 again"),
    ],
)
def test_which_versions_free_what_attention_does_not_read(
    version: str, window: bool, chunk: bool
) -> None:
    freed = [
        bool(kv_layout(architecture(attention(), local), Serving(version=version)).windows)
        for local in (attention(window_tokens=64), attention(chunk_tokens=64))
    ]

    assert freed == [window, chunk]


@pytest.mark.parametrize(
    ("flags", "local", "blocks", "counted"),
    [
        # A batch of 2,048 tokens in flight beside the window, and a block that it straddles.
        pytest.param(
            {"version": "0.25.1"}, {"window_tokens": 130}, 10, 137 + 1, id="129 and 2,048 tokens"
        ),
        pytest.param(
            {"version": "0.26.0"}, {"window_tokens": 130}, 10, 265 + 1, id="with two batches"
        ),
        pytest.param(
            {"version": "0.25.1", "speculative_tokens": 16},
            {"window_tokens": 130},
            11,
            137 + 1,
            id="and what is drafted while it decodes",
        ),
        pytest.param(
            {"version": "0.25.1"}, {"window_tokens": 128}, 9, 136 + 1, id="a window of whole blocks"
        ),
        pytest.param(
            {"version": "0.25.1"}, {"window_tokens": 129}, 10, 136 + 1, id="and a token more"
        ),
        pytest.param({"version": "0.25.1"}, {"chunk_tokens": 128}, 8, 136, id="a chunk"),
        pytest.param({"version": "0.25.1"}, {"chunk_tokens": 100}, 7, 135, id="in whole blocks"),
        pytest.param({"version": "0.26.0"}, {"chunk_tokens": 128}, 8, 264, id="a chunk with two"),
    ],
)
def test_what_a_request_holds_of_a_window_and_what_the_engine_counts(
    flags: dict[str, Any], local: dict[str, int], blocks: int, counted: int
) -> None:
    model, serving = architecture(attention(), attention(**local)), Serving(**flags)

    capacity = kv_capacity(model, dataclasses.replace(serving, max_model_len=100_000), GIB)

    assert [window.most_blocks for window in capacity.layout.windows] == [blocks]
    assert capacity.longest_request_blocks == 6_250 + counted
    in_flight = 1 if flags["version"] == "0.25.1" else 2
    assert capacity.reserved_blocks == 1 + in_flight * 128  # the null block, and prefills


@pytest.mark.parametrize(
    ("local", "counted"),
    [({"window_tokens": 4_096}, 100 + 1), ({"chunk_tokens": 4_096}, 100)],
    ids=["a window", "a chunk"],
)
def test_no_more_is_counted_of_a_window_than_the_longest_request_has(
    local: dict[str, int], counted: int
) -> None:
    model = architecture(attention(), attention(**local))

    capacity = kv_capacity(model, Serving(max_model_len=1_600), GIB)

    assert capacity.longest_request_blocks == 100 + counted


def test_a_batch_of_prefills_holds_whole_blocks() -> None:
    model = architecture(attention(), attention(window_tokens=128))
    serving = Serving(version="0.25.1", max_num_batched_tokens=2_049)

    assert kv_capacity(model, serving, GIB).reserved_blocks == 1 + 129


def test_on_ascend_a_state_is_a_page_and_its_tail() -> None:
    layout = kv_layout(QWEN35_27B, Serving(gpu_class=GpuClass.ASCEND))

    tail = 10_240 * 3 * 2
    assert layout.bytes_per_block_per_gpu == 16 * (1_536 * 2 * 4 * 256 * 2 + tail)


@pytest.mark.parametrize(
    ("serving", "block"),
    [
        pytest.param(Serving(), 784, id="16 bits"),
        pytest.param(Serving(kv_dtype="fp8"), 1_568, id="8 bits"),
        pytest.param(
            Serving(kv_dtype="fp8", draft_layers=1, speculative_tokens=3),
            1_600,
            id="drafting lengthens the convolution's tail",
        ),
        pytest.param(
            Serving(kv_dtype="int8_per_token_head", draft_layers=1, speculative_tokens=3),
            1_584,
            id="scales per head count",
        ),
        pytest.param(Serving(gpu_class=GpuClass.ASCEND), 1_536, id="keys alone on Ascend"),
        pytest.param(
            Serving(gpu_class=GpuClass.ASCEND, version="0.13.0"),
            896,
            id="the whole state in 128s on Ascend before 0.18",
        ),
        pytest.param(Serving(gpu_class=GpuClass.ASCEND_310P), 896, id="and on the 310P"),
    ],
)
def test_a_state_has_to_fit_into_an_attention_page(serving: Serving, block: int) -> None:
    assert kv_layout(QWEN35_27B, serving).block_tokens == block


def test_qwen_with_three_drafted_tokens_prints_what_its_log_prints() -> None:
    serving = Serving(
        kv_dtype="fp8",
        draft_layers=1,
        speculative_tokens=3,
        prefix_caching=False,
        max_model_len=262_144,
    )

    capacity = kv_capacity(QWEN35_27B, serving, round(9.28 * GIB))

    assert capacity.bytes_per_token_per_gpu == 17 * 2_048
    assert capacity.layout.constant_blocks == 12  # three groups of states, 1 + 3 blocks each
    assert capacity.constant_bytes_per_request_per_gpu / GIB == pytest.approx(0.62, abs=0.005)
    assert capacity.num_blocks == 178
    assert capacity.reported_tokens == 265_122


@pytest.mark.parametrize(
    ("version", "caching", "blocks"),
    [
        pytest.param("0.25.1", None, 1, id="prefixes were not cached by default"),
        pytest.param("0.26.0", None, 2, id="since 0.26 they are: one state more"),
        pytest.param("0.26.0", False, 1, id="switched off"),
    ],
)
def test_prefix_caching_costs_a_state_per_group(
    version: str, caching: bool | None, blocks: int
) -> None:
    layout = kv_layout(QWEN35_27B, Serving(version=version, prefix_caching=caching))

    assert layout.constant_blocks == 3 * blocks


def test_without_the_hybrid_manager_a_state_is_still_a_state() -> None:
    layout = kv_layout(QWEN35_27B, Serving(hybrid_groups=False))

    assert (layout.growing_groups, layout.constant_blocks) == (1, 3 * 2)


@pytest.mark.parametrize(("version", "blocks"), [("0.28.0", 2), ("0.29.0", 3)])
def test_mamba_keeps_a_checkpoint_since_0_29(version: str, blocks: int) -> None:
    mamba = StateCache(kind="mamba2", channels=1024, kernel=4, heads=32, per_head=8_192)
    model = architecture(*(mamba,) * 4, *(attention(),) * 4)

    assert kv_layout(model, Serving(version=version)).constant_blocks == blocks


def test_older_versions_print_tokens_of_the_smallest_group() -> None:
    """Nemotron-3-Super: 679 × 8,192 tokens at a max_model_len of 8,192, 679 × 8,320 at 10,000."""
    mamba = StateCache(
        kind="mamba2",
        channels=128 * 64,
        kernel=4,
        heads=128,
        per_head=64 * 128,
        groups=8,
        group_channels=256,
        recurrent_bytes=4,
    )
    model = architecture(*(mamba,) * 40, *(attention(2, 128),) * 8)
    pool = kv_layout(model, Serving(version="0.19.0", kv_dtype="fp8"))
    memory = (679 * 6 + 5) * pool.bytes_per_block_per_gpu  # five of six groups get one more

    printed = {
        longest: kv_capacity(
            model, Serving(version="0.19.0", kv_dtype="fp8", max_model_len=longest), memory
        ).reported_tokens
        for longest in (8_192, 10_000)
    }

    assert pool.block_tokens == 8_320
    assert printed == {8_192: 679 * 8_192, 10_000: 679 * 8_320}
    endless = dataclasses.replace(model, max_position_embeddings=None)
    old = Serving(version="0.19.0", kv_dtype="fp8")
    assert kv_capacity(endless, old, memory).reported_tokens == 679 * 8_320


def test_a_model_of_windows_alone_does_not_grow() -> None:
    mistral = architecture(*(attention(window_tokens=4_096),) * 32)

    layout = kv_layout(mistral, Serving())

    assert layout.growing_groups == 0
    assert layout.footprint_blocks(100_000) == layout.constant_blocks
    assert layout.footprint_blocks(160) == 10
    memory = 100 * layout.bytes_per_block_per_gpu
    assert kv_capacity(mistral, Serving(), memory).capacity_tokens == 1_600
    assert kv_layout(mistral, Serving(version="0.8.2 V0")).growing_groups == 1
    # One kind needs no hybrid manager.
    assert kv_layout(mistral, Serving(hybrid_groups=False)) == layout


def test_decode_context_parallelism_spreads_tokens_over_ranks() -> None:
    r1 = architecture(*(LATENT,) * 61, attention_heads=128)
    serving = Serving(tensor_parallel=8, context_parallel=4, max_model_len=131_072)

    layout = kv_layout(r1, serving)

    assert layout.block_tokens == 64
    assert kv_capacity(r1, serving, GIB).longest_request_blocks == 131_072 // 64


@pytest.mark.parametrize("version", ["0.19.0", "0.32.0"])
def test_ranks_that_share_a_requests_tokens_print_those_of_all(version: str) -> None:
    r1 = architecture(*(LATENT,) * 61, attention_heads=128)
    serving = Serving(version=version, tensor_parallel=8, context_parallel=4, max_model_len=1_024)

    capacity = kv_capacity(r1, serving, 100 * 61 * 16 * 576 * 2)

    assert (capacity.num_blocks, capacity.reported_tokens) == (100, 100 * 16 * 4)


def test_a_draft_layer_costs_as_much_as_a_full_layer() -> None:
    capacity = kv_capacity(architecture(), Serving(draft_layers=1), GIB)

    assert capacity.bytes_per_token_per_gpu == 33 * 4_096


def test_states_are_not_sized_for_the_first_engine() -> None:
    with pytest.raises(ConfigurationError, match="V0 keeps states outside"):
        kv_capacity(QWEN35_27B, Serving(version="0.7.3"), GIB)


def test_the_steps_can_be_followed() -> None:
    steps = {step.name: step for step in kv_capacity(architecture(), Serving(), GIB).steps}

    assert steps["groups"].value == 1
    assert steps["block bytes"].value == 2 * MIB
    assert steps["blocks"].value == 512
    assert steps["max concurrency"].value == 512 / 8_192
    assert steps["groups"].why == "layers that share a block table: 1 full; all draw from one pool"
    assert (
        steps["max concurrency"].why == "512 blocks / 8,192 blocks of a request of 131,072 tokens"
    )


def test_the_groups_are_told_by_kind() -> None:
    groups = kv_capacity(GEMMA4_26B, Serving(), GIB).steps[0]

    assert groups.value == 6
    assert "1 full, 5 sliding" in groups.why


def test_a_log_of_eight_ascend_cards_shares_a_request_among_four() -> None:
    """Qwen3.5-35B-A3B on vllm-ascend, context parallel: blocks of 384 tokens, not of 512."""
    serving = Serving(
        gpu_class=GpuClass.ASCEND,
        version="0.13.0",
        tensor_parallel=8,
        context_parallel=4,
        prefix_caching=False,
    )

    layout = kv_layout(load_model("Qwen3.5-35B-A3B"), serving)

    assert layout.block_tokens == 384 * 4


def test_kimi_linear_is_refused_for_the_gibibytes_that_its_log_names() -> None:
    """vLLM 0.33 on four ranks without prefix caching: 7.89 GiB for 1,048,576 tokens."""
    serving = Serving(tensor_parallel=4, prefix_caching=False, max_model_len=1_048_576)
    capacity = kv_capacity(load_model("Kimi-Linear-48B-A3B-Instruct"), serving, 4 * GIB)

    assert capacity.layout.block_tokens == 512
    needed = (capacity.longest_request_blocks or 0) * capacity.layout.bytes_per_block_per_gpu
    assert round(needed / GIB, 2) == 7.89
