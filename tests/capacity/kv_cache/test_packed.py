"""Blocks of pages of different sizes: grouped as vLLM groups them, down to the numbers of logs."""

import pytest

from scaler.capacity.architecture import PackedCache, StateCache
from scaler.capacity.kv_cache import GIB, Engine, GpuClass, Serving, kv_capacity, pages
from scaler.capacity.kv_cache.groups import Kind, Page
from scaler.capacity.kv_cache.packed import pack_pages
from scaler.capacity.models import load_model
from scaler.errors import ConfigurationError
from tests.builders import architecture, attention

H100_NODE = Serving(
    version="0.31.1",
    gpu_memory_gib=79.19,
    gpu_class=GpuClass.HOPPER,
    tensor_parallel=8,
    max_model_len=262_144,
    max_num_batched_tokens=8_192,
    max_num_seqs=64,
    prefix_caching=False,
)


def page(size: int, kind: Kind = Kind.FULL, *, span: int = 0, block: int = 256) -> Page:
    return Page(kind=kind, page_bytes=size, block_tokens=block, span_tokens=span)


@pytest.mark.parametrize(
    ("name", "gib", "tokens"),
    [
        pytest.param("DeepSeek-V4-Flash-0731", 47.43, 1_728_531, id="DeepSeek V4"),
        pytest.param("GLM-5.3-Flash", 28.73, 2_618_281, id="GLM-5.3-Flash"),
    ],
)
def test_a_log_of_eight_h100_is_reproduced(name: str, gib: float, tokens: int) -> None:
    least, most = (
        kv_capacity(load_model(name), H100_NODE, int((gib + off) * GIB)) for off in (-0.005, 0.005)
    )

    assert (least.reported_tokens or 0) <= tokens <= (most.reported_tokens or 0)


def test_glm_flash_makes_a_block_of_640_tokens_that_holds_a_state() -> None:
    capacity = kv_capacity(load_model("GLM-5.3-Flash"), H100_NODE, GIB)

    assert capacity.layout.block_tokens == 640
    # 11 latents of 512 values in 16 bits and 11 keys of 132 bytes for 4 tokens each
    assert capacity.layout.bytes_per_block_per_gpu == 11 * (640 * 1_024 + 640 // 4 * 132)
    assert (capacity.layout.growing_groups, capacity.layout.constant_blocks) == (1, 4 + 1)


def test_a_bucket_of_a_repeating_pattern_is_cut_like_the_others() -> None:
    """43 windows, 21 layers of two partial states each, 20 of one: 22 repeats pad least."""
    windows = (page(37_440, Kind.SLIDING, span=128, block=64),) * 43
    fours = (page(32_832, Kind.SLIDING, span=8, block=4),) * 21
    keys = (page(8_640, Kind.SLIDING, span=8, block=4),) * 21
    far = (page(32_832, Kind.SLIDING, span=128, block=8),) * 20
    whole = (page(37_440),) * 21 + (page(8_640),) * 21 + (page(1_728),) * 20

    groups = pack_pages(((*windows, *fours, *keys, *far, *whole),))

    assert sorted(group.bytes_by_stage[0] for group in groups) == sorted(
        (
            22 * 37_440,
            21 * 37_440,
            21 * (32_832 + 8_640),
            20 * 32_832,
            21 * (37_440 + 8_640) + 20 * 1_728,
        )
    )


def test_states_are_cut_into_what_a_block_holds_anyway() -> None:
    whole = (page(1_000), page(10)) * 11
    states = (page(1_000, Kind.STATE),) * 34
    rings = (page(5, Kind.RING, block=4),) * 11

    groups = pack_pages(((*whole, *states, *rings),))
    kinds = [group.page.kind for group in groups]

    assert [kinds.count(kind) for kind in (Kind.FULL, Kind.STATE, Kind.RING)] == [1, 4, 1]
    assert max(group.bytes_by_stage[0] for group in groups) == 11 * 1_010


def test_windows_alone_beside_whole_pages_float() -> None:
    groups = pack_pages(
        ((page(100), page(30, Kind.SLIDING, span=64), page(30, Kind.SLIDING, span=64)),)
    )

    assert [group.bytes_by_stage for group in groups] == [(100,), (60,)]


def test_a_stage_counts_its_own_layers() -> None:
    groups = pack_pages(((page(100), page(10)), (page(100), page(10), page(100), page(10))))

    assert [group.bytes_by_stage for group in groups] == [(110, 220)]


def test_a_ring_holds_the_drafts_as_well() -> None:
    ring = PackedCache(row_bytes=512, block_tokens=4, ring=True)
    model = architecture(attention(), ring)

    def size(drafted: int) -> int:
        serving = Serving(version="0.33.0", speculative_tokens=drafted)
        return kv_capacity(model, serving, GIB).layout.bytes_per_block_per_gpu

    assert size(0) == size(8)  # the attention's page is the wider one


@pytest.mark.parametrize(
    ("serving", "told"),
    [
        pytest.param(Serving(engine=Engine.SGLANG), "not on sglang", id="another engine"),
        pytest.param(Serving(version="0.25.0"), "0.30 or later", id="an earlier version"),
        pytest.param(Serving(kv_dtype="bfloat16"), "fp8_ds_mla: others", id="another row"),
        pytest.param(Serving(gpu_class=GpuClass.UNIFIED), "a Hopper GPU", id="another GPU"),
        pytest.param(Serving(draft_layers=1), "drafter's caches are not modelled", id="a drafter"),
    ],
)
def test_what_was_not_read_is_refused(serving: Serving, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        kv_capacity(load_model("DeepSeek-V4-Flash"), serving, GIB)


@pytest.mark.parametrize(
    ("dtype", "longest", "block", "blocks"),
    [
        pytest.param("auto", 262_144, 1_600, 181, id="1,077,542 tokens are 744 / 181 requests"),
        pytest.param("auto", 8_192, 1_600, 23, id="260,006 tokens are 730 / 23 requests"),
        pytest.param("fp8", 262_144, 3_184, 100, id="1,853,358 tokens are 707 / 100 requests"),
    ],
)
def test_qwens_sparse_attention_counts_as_its_logs_print(
    dtype: str, longest: int, block: int, blocks: int
) -> None:
    """vLLM on a GB10 with two drafted tokens, three start-up logs of one machine."""
    serving = Serving(
        version="0.30.0",
        gpu_class=GpuClass.UNIFIED,
        kv_dtype=dtype,
        draft_layers=1,
        speculative_tokens=2,
        max_model_len=longest,
    )
    capacity = kv_capacity(load_model("Qwen3.8-Flash-Next"), serving, 40 * GIB)

    assert capacity.layout.block_tokens == block
    assert capacity.longest_request_blocks == blocks


def test_a_replicated_state_is_whole_on_every_rank() -> None:
    model = load_model("Qwen3.8-Flash-Next")
    ngrams = next(cache for cache in model.caches if getattr(cache, "replicated", False))

    assert isinstance(ngrams, StateCache)
    one, two = (pages.state_bytes(ngrams, model, Serving(tensor_parallel=n)) for n in (1, 2))
    assert one == two == pages.StateBytes(tail=9 * 10_240 * 2, recurrent=0)


def test_a_sparse_cache_in_another_dtype_is_refused() -> None:
    model = load_model("Qwen3.8-Flash-Next")

    with pytest.raises(ConfigurationError, match="kv_dtype: got nvfp4 with Qwen3.8-Flash-Next"):
        kv_capacity(model, Serving(kv_dtype="nvfp4"), GIB)
