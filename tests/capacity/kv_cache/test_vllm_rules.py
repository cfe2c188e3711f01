"""vLLM's defaults on either side of the release, the memory and the flag that change them."""

from typing import Any

import pytest

from scaler.capacity.architecture import Cache, IndexerCache, LatentCache, StateCache
from scaler.capacity.kv_cache import GpuClass, Serving, vllm_rules
from tests.builders import architecture, attention

LATENT = LatentCache(rank=512, rope_dim=64, heads=128, nope_dim=128)


@pytest.mark.parametrize(
    ("flags", "tokens", "requests"),
    [
        pytest.param({"gpu_memory_gib": 69.9}, 2_048, 256, id="a small GPU"),
        pytest.param({}, 2_048, 256, id="nobody says which GPU"),
        pytest.param({"gpu_memory_gib": 70.0}, 8_192, 1_024, id="70 GiB are a large one"),
        pytest.param(
            {"gpu_memory_gib": 79.2, "gpu_class": GpuClass.A100}, 2_048, 256, id="but an A100"
        ),
        pytest.param({"gpu_memory_gib": 159.9}, 8_192, 1_024, id="less than 160 GiB"),
        pytest.param({"gpu_memory_gib": 160.0}, 16_384, 1_024, id="160 GiB since 0.28"),
        pytest.param(
            {"gpu_memory_gib": 160.0, "version": "0.27.9"}, 8_192, 1_024, id="and not before"
        ),
        pytest.param({"gpu_memory_gib": 79.2, "version": "0.7.3"}, 8_192, 256, id="V0"),
        pytest.param({"max_model_len": 4}, 1_024, 256, id="no more than all requests at once"),
        pytest.param({"max_model_len": 8}, 2_048, 256, id="which may be as many"),
        pytest.param(
            {"max_num_seqs": 7, "max_num_batched_tokens": 99}, 99, 7, id="what is stated is so"
        ),
        pytest.param({"max_num_seqs": 2, "max_model_len": 100}, 200, 2, id="few long requests"),
    ],
)
def test_a_servers_batch(flags: dict[str, Any], tokens: int, requests: int) -> None:
    serving = Serving(**flags)

    assert vllm_rules.batched_tokens(serving) == tokens
    assert vllm_rules.max_num_seqs(serving) == requests


@pytest.mark.parametrize(
    ("version", "stages", "batches"),
    [
        pytest.param("0.25.1", 1, 1, id="one at a time before 0.26"),
        pytest.param("0.25.1", 3, 1, id="whatever the stages"),
        pytest.param("0.26", 1, 2, id="scheduled ahead since"),
        pytest.param("0.26.0", 2, 2, id="one per stage"),
        pytest.param("0.26.0", 3, 3, id="with more of them more"),
        pytest.param(None, 1, 2, id="the newest is assumed"),
    ],
)
def test_batches_in_flight(version: str | None, stages: int, batches: int) -> None:
    serving = Serving(version=version, pipeline_parallel=stages)

    assert vllm_rules.batches_in_flight(serving) == batches


@pytest.mark.parametrize(
    ("flags", "kind", "blocks"),
    [
        pytest.param({"version": "0.25.1"}, "mamba2", 1, id="one state"),
        pytest.param({"version": "0.25.1", "prefix_caching": True}, "gdn", 2, id="and a cached"),
        pytest.param({"version": "0.28.0"}, "mamba2", 2, id="cached by default since 0.26"),
        pytest.param({"version": "0.29.0"}, "mamba2", 3, id="Mamba's checkpoint since 0.29"),
        pytest.param({"version": "0.29.0"}, "mamba", 3, id="of either Mamba"),
        pytest.param({"version": "0.29.0"}, "gdn", 2, id="and of no other state"),
        pytest.param({"version": "0.29.0", "prefix_caching": False}, "mamba2", 1, id="off"),
        pytest.param({"version": "0.25.1", "speculative_tokens": 3}, "gdn", 4, id="drafts"),
    ],
)
def test_blocks_of_a_state(flags: dict[str, Any], kind: str, blocks: int) -> None:
    assert vllm_rules.state_blocks(Serving(**flags), kind) == blocks


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        pytest.param({"version": "0.11.0"}, "fp8_ds_mla", id="0.11.0 chose it by itself"),
        pytest.param({"version": "0.11.1"}, "bfloat16", id="0.11.1 does not"),
        pytest.param(
            {"version": "0.11.0", "kv_dtype": "bfloat16"}, "bfloat16", id="unless told otherwise"
        ),
        pytest.param({"version": "0.17.1", "kv_dtype": "fp8"}, "fp8_ds_mla", id="8 bits are it"),
        pytest.param({"version": "0.18"}, "bfloat16", id="since 0.18 by backend"),
        pytest.param({"version": "0.18.0", "kv_dtype": "fp8"}, "fp8_ds_mla", id="8 bits on Hopper"),
        pytest.param(
            {"version": "0.18", "kv_dtype": "fp8", "gpu_class": GpuClass.BLACKWELL},
            "fp8",
            id="8 bits on Blackwell stay plain",
        ),
        pytest.param(
            {"version": "0.18.0", "kv_dtype": "fp8_ds_mla", "gpu_class": GpuClass.BLACKWELL},
            "fp8_ds_mla",
            id="unless the format is asked for",
        ),
        pytest.param(
            {"version": "0.17.1", "kv_dtype": "fp8", "gpu_class": GpuClass.BLACKWELL},
            "fp8_ds_mla",
            id="Blackwell before 0.18",
        ),
        pytest.param(
            {"gpu_class": GpuClass.BLACKWELL_WORKSTATION}, "fp8_ds_mla", id="a workstation's"
        ),
        pytest.param({"gpu_class": GpuClass.UNIFIED}, "fp8_ds_mla", id="with shared memory, too"),
        pytest.param(
            {"gpu_class": GpuClass.UNIFIED, "kv_dtype": "bfloat16"}, "bfloat16", id="unless told"
        ),
    ],
)
def test_what_sparse_attention_stores_its_latent_in(flags: dict[str, Any], dtype: str) -> None:
    sparse = architecture((LATENT, IndexerCache(head_dim=128)))

    assert vllm_rules.resolved_dtype(sparse, Serving(**flags)) == dtype


def test_dense_attention_stores_what_it_is_told_to() -> None:
    old = Serving(version="0.11.0", kv_dtype="fp8", gpu_class=GpuClass.UNIFIED)

    assert vllm_rules.resolved_dtype(architecture(LATENT), old) == "fp8"


@pytest.mark.parametrize(
    ("cache", "flags", "tokens"),
    [
        pytest.param(attention(), {}, 16, id="the backend's"),
        pytest.param(attention(), {"block_tokens": 64}, 64, id="as stated"),
        pytest.param(attention(), {"gpu_class": GpuClass.ASCEND}, 128, id="Ascend's"),
        pytest.param(LATENT, {}, 16, id="a latent"),
        pytest.param(LATENT, {"gpu_class": GpuClass.HOPPER}, 64, id="a latent on Hopper"),
        pytest.param(LATENT, {"gpu_class": GpuClass.BLACKWELL}, 64, id="and on Blackwell"),
        pytest.param(
            LATENT, {"gpu_class": GpuClass.HOPPER, "version": "0.7.3"}, 16, id="not with V0"
        ),
        pytest.param(attention(), {"gpu_class": GpuClass.HOPPER}, 16, id="heads on Hopper"),
    ],
)
def test_tokens_of_a_block(cache: Cache, flags: dict[str, Any], tokens: int) -> None:
    assert vllm_rules.block_tokens(architecture(cache), Serving(**flags), "bfloat16") == tokens


@pytest.mark.parametrize(
    ("cache", "flags", "multiple"),
    [
        pytest.param(attention(), {}, 16, id="heads"),
        pytest.param(LATENT, {"version": "0.26.0"}, 64, id="a latent before 0.27"),
        pytest.param(LATENT, {"version": "0.27"}, 128, id="a latent since"),
        pytest.param(attention(), {"gpu_class": GpuClass.ASCEND}, 128, id="Ascend"),
        pytest.param(
            attention(1, 256),
            {"gpu_class": GpuClass.BLACKWELL, "version": "0.15"},
            32,
            id="wide heads on Blackwell from 0.15",
        ),
        pytest.param(
            attention(1, 256),
            {"gpu_class": GpuClass.BLACKWELL, "version": "0.18"},
            16,
            id="until 0.18",
        ),
        pytest.param(
            attention(1, 256),
            {"gpu_class": GpuClass.BLACKWELL, "version": "0.14.9"},
            16,
            id="and not before",
        ),
        pytest.param(
            attention(1, 256),
            {"gpu_class": GpuClass.HOPPER, "version": "0.15.0"},
            16,
            id="nor on Hopper",
        ),
        pytest.param(
            attention(1, 128),
            {"gpu_class": GpuClass.BLACKWELL, "version": "0.15.0"},
            16,
            id="nor with narrow heads",
        ),
    ],
)
def test_a_block_that_holds_a_state_is_a_multiple(
    cache: Cache, flags: dict[str, Any], multiple: int
) -> None:
    # One state is a token's bytes and a few more, whatever the block: the least multiple holds it.
    tiny = StateCache(kind="gdn", channels=1, kernel=0, heads=1, per_head=1)

    found = vllm_rules.block_tokens(architecture(tiny, cache), Serving(**flags), "bfloat16")

    assert found == multiple


def test_states_alone_have_no_token_to_hold_them() -> None:
    tiny = StateCache(kind="gdn", channels=1, kernel=0, heads=1, per_head=1)

    assert vllm_rules.block_tokens(architecture(tiny), Serving(), "bfloat16") == 16


def test_a_block_is_long_enough_for_the_largest_state_beside_the_widest_token() -> None:
    small = StateCache(kind="gdn", channels=0, kernel=0, heads=1, per_head=8_192)
    large = StateCache(kind="gdn", channels=0, kernel=0, heads=1, per_head=65_536)
    model = architecture(small, large, attention(1, 64), attention(2, 64))

    # 131,072 bytes of state over 512 a token are 256 tokens.
    assert vllm_rules.block_tokens(model, Serving(), "bfloat16") == 256
    assert vllm_rules.block_tokens(model, Serving(block_tokens=512), "bfloat16") == 512
    # On Ascend the keys alone hold it: half of a token.
    ascend = Serving(gpu_class=GpuClass.ASCEND)
    assert vllm_rules.block_tokens(model, ascend, "bfloat16") == 512


@pytest.mark.parametrize(("version", "share"), [("0.19.9", 0.9), ("0.20", 0.92), ("0.7.0", 0.9)])
def test_the_share_of_the_gpu(version: str, share: float) -> None:
    release = vllm_rules.version(Serving(version=version))

    assert vllm_rules.default_utilization(release) == share


def test_without_a_version_the_newest_is_meant() -> None:
    assert vllm_rules.version(Serving()) == vllm_rules.NEWEST
