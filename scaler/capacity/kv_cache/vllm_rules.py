"""
vLLM's defaults by version: what a flag is when nobody states it, and how blocks are sized.

Every rule was read in the released source of the version it begins with (the Python files of the
wheels 0.8.5 to 0.33.0). V0 is the first engine, the only one before 0.8 and gone since 0.11.
"""

from scaler.capacity.architecture import (
    AttentionCache,
    IndexerCache,
    LatentCache,
    ModelArchitecture,
    PackedCache,
    StateCache,
)

from . import pages
from .groups import aligned_block
from .serving import GpuClass, Serving, Version, parse_version

NEWEST = Version((0, 33, 0))
"""The newest release whose rules were read; assumed where no version is stated."""

GROUPS_SINCE = Version((0, 9, 1))
CHUNKED_GROUPS_OFF = (Version((0, 10, 1)), Version((0, 14)))
"""From and until when chunked attention was kept out of the hybrid manager by default."""
GROUP_RATIOS = ((Version((0, 18)), 1.5), (Version((0, 12)), 1.25))
DERIVED_TOKENS_SINCE = Version((0, 20, 1))
"""Since then the printed tokens are ``int(max_concurrency × max_model_len)``."""
UTILIZATION_092_SINCE = Version((0, 20))
IN_FLIGHT_SINCE = Version((0, 26))
"""Since then windows are sized for every batch in flight, and hybrids cache prefixes."""
CHECKPOINTS_SINCE = Version((0, 29))
BATCH_16K_SINCE = Version((0, 28))
ASCEND_KEYS_SINCE = Version((0, 18))
SMALL_GB10_SINCE = Version((0, 33))
"""Since then a GB10 has the defaults of a small card, for all its memory."""
LATENT_SINCE = Version((0, 7))
LATENT_128_SINCE = Version((0, 27))
PACKED_SINCE = Version((0, 30))
"""The first release that packs blocks as those whose logs were followed to their own numbers."""
SPARSE_BY_BACKEND_SINCE = Version((0, 18))
WIDE_BLOCKS = (Version((0, 15)), Version((0, 18)))
"""From and until when heads of 256 on Blackwell needed blocks of 32 (flashinfer #1993)."""
V0_LATENT_ALIGNMENT = 128
"""V0 pads a latent of 576 elements to 640: 256 bytes in 16-bit elements."""
BLOCK_OF_CHOOSERS = 128
"""The only block of MiniMax M3's kernels (vLLM ``models/minimax_m3/common/indexer.py``)."""
COMPRESSED_BLOCK = 256
"""Tokens of a block of DeepSeek V4: 64 rows of its 4-to-1 latents, 2 of its 128-to-1."""
ROUNDED_HEAD = 256
"""Head size that 0.6 cached latent attention's keys and values with."""


def version(serving: Serving) -> Version:
    """Return the version whose rules apply."""
    return NEWEST if serving.version is None else parse_version(serving.version)


def default_utilization(release: Version) -> float:
    """Return ``--gpu-memory-utilization`` where it is not stated (config/cache.py)."""
    return 0.92 if release >= UTILIZATION_092_SINCE else 0.9


def batched_tokens(serving: Serving) -> int:
    """Return ``--max-num-batched-tokens`` of a server, stated or by GPU (engine/arg_utils.py)."""
    if serving.max_num_batched_tokens is not None:
        return serving.max_num_batched_tokens
    memory = serving.gpu_memory_gib or 0.0
    tokens = 8_192 if _is_large(serving) else 2_048
    if memory >= 160 and version(serving) >= BATCH_16K_SINCE:
        tokens = 16_384
    longest = serving.max_model_len
    return tokens if longest is None else min(tokens, max_num_seqs(serving) * longest)


def max_num_seqs(serving: Serving) -> int:
    """Return ``--max-num-seqs``, stated or by GPU."""
    if serving.max_num_seqs is not None:
        return serving.max_num_seqs
    return 1_024 if _is_large(serving) and not version(serving).v0 else 256


def _is_large(serving: Serving) -> bool:
    """Whether a GPU has the defaults of a large one: by memory, but for A100 and GB10."""
    small_gb10 = version(serving) >= SMALL_GB10_SINCE
    if serving.gpu_class is GpuClass.A100 or (small_gb10 and serving.gpu_class is GpuClass.UNIFIED):
        return False
    return (serving.gpu_memory_gib or 0.0) >= 70


def batches_in_flight(serving: Serving) -> int:
    """Return the batches whose window blocks are not freed yet: two with async scheduling."""
    if version(serving) < IN_FLIGHT_SINCE:
        return 1
    return serving.pipeline_parallel if serving.pipeline_parallel > 1 else 2


def state_blocks(serving: Serving, kind: str) -> int:
    """Return the blocks that one group of states holds for a request."""
    release = version(serving)
    caching = serving.prefix_caching
    if caching is None:
        caching = release >= IN_FLIGHT_SINCE
    blocks = 1 + serving.drafted_tokens
    if caching:
        blocks += 1
        blocks += kind in ("mamba", "mamba2") and release >= CHECKPOINTS_SINCE
    return blocks


def resolved_dtype(architecture: ModelArchitecture, serving: Serving) -> str:
    """Return the KV dtype, with the formats that sparse attention's backends turn it into."""
    dtype = pages.kv_dtype(architecture, serving.kv_dtype)
    if dtype == "bfloat16" and serving.kv_dtype == "auto":
        dtype = serving.sixteen_bits
    if architecture.family == "compressed MLA":
        return pages.SPARSE_LATENT
    sparse = any(isinstance(cache, IndexerCache) for cache in architecture.caches)
    if not sparse:
        return dtype
    release = version(serving)
    eight_bit = dtype.startswith("fp8")
    if release < SPARSE_BY_BACKEND_SINCE:
        first = release < Version((0, 11, 1)) and serving.kv_dtype == "auto"
        return pages.SPARSE_LATENT if eight_bit or first else dtype
    workstation = serving.gpu_class in (GpuClass.BLACKWELL_WORKSTATION, GpuClass.UNIFIED)
    if workstation and serving.kv_dtype == "auto":
        return pages.SPARSE_LATENT
    plain = serving.gpu_class is GpuClass.BLACKWELL and dtype != pages.SPARSE_LATENT
    return pages.SPARSE_LATENT if eight_bit and not plain else dtype


def block_tokens(architecture: ModelArchitecture, serving: Serving, dtype: str) -> int:
    """Return the tokens of an attention block, stated or the backend's, a state fitting into it."""
    latent = any(isinstance(cache, LatentCache) for cache in architecture.caches)
    base = serving.block_tokens or _default_block(latent=latent, serving=serving)
    if architecture.family == "compressed MLA" and serving.block_tokens is None:
        base = COMPRESSED_BLOCK
    if architecture.chooses_blocks and serving.block_tokens is None:
        base = BLOCK_OF_CHOOSERS
    states = [
        pages.state_bytes(cache, architecture, serving)
        for cache in architecture.caches
        if isinstance(cache, StateCache)
    ]
    per_token = max(
        (
            pages.token_bytes(cache, dtype, serving.tensor_parallel)
            for cache in architecture.caches
            if not isinstance(cache, StateCache | PackedCache)
        ),
        default=0,
    )
    if not states or not per_token:
        return base
    if keys_hold_states(serving):
        # its tensors are contiguous: the keys alone have to hold the recurrent part
        state, per_token = max(part.recurrent for part in states), per_token // 2
    else:
        state = max(part.total for part in states)
    return aligned_block(
        state_bytes=state,
        token_bytes=per_token,
        smallest_block=base,
        kernel_block=max(base, _kernel_block(architecture, serving, latent=latent)),
    )


def keys_hold_states(serving: Serving) -> bool:
    """
    Whether a block's keys alone are as large as a recurrent state: Ascend, but for its 310P.

    Until vllm-ascend 0.13, and on the 310P still, the whole page holds the whole state, in
    multiples of 128 tokens (``patch/platform/patch_mamba_config.py`` and ``…_310.py``).
    """
    return serving.gpu_class is GpuClass.ASCEND and version(serving) >= ASCEND_KEYS_SINCE


def _kernel_block(architecture: ModelArchitecture, serving: Serving, *, latent: bool) -> int:
    """Return what a block of a model with states is a multiple of."""
    release = version(serving)
    if serving.gpu_class in (GpuClass.ASCEND, GpuClass.ASCEND_310P):
        return 128
    if latent:
        return 128 if release >= LATENT_128_SINCE else 64
    heads = {cache.head_dim for cache in architecture.caches if isinstance(cache, AttentionCache)}
    wide = serving.gpu_class is GpuClass.BLACKWELL and heads == {256}
    return 32 if wide and WIDE_BLOCKS[0] <= release < WIDE_BLOCKS[1] else 16


def _default_block(*, latent: bool, serving: Serving) -> int:
    if serving.gpu_class in (GpuClass.ASCEND, GpuClass.ASCEND_310P):
        return 128
    data_centre = serving.gpu_class in (GpuClass.HOPPER, GpuClass.BLACKWELL)
    return 64 if latent and data_centre and not version(serving).v0 else 16
