"""
Bytes that one layer's cache takes on one GPU: per token where it grows, once where it is a state.

Sources: vLLM's ``v1/kv_cache_interface.py`` and ``layers/mamba/mamba_utils.py`` (0.8.5 to 0.32),
SGLang's ``mem_cache/memory_pool.py``. Tensor parallelism divides heads and repeats them when there
are more ranks than heads; a latent is whole on every rank.
"""

import dataclasses
from collections.abc import Iterator

from scaler.capacity.architecture import (
    AttentionCache,
    Cache,
    IndexerCache,
    LatentCache,
    ModelArchitecture,
    PackedCache,
    StateCache,
)
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from .serving import Serving

ELEMENT_BYTES = {
    "auto": None,
    "float16": 2,
    "half": 2,
    "bfloat16": 2,
    "bf16": 2,
    "fp16": 2,
    "float32": 4,
    "float": 4,
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "fp8_inc": 1,
    "fp8_ds_mla": 1,
    "int8": 1,
}
"""Bytes of one element; None: the checkpoint's declaration, else the model's own type."""

PACKED = {
    "int8_per_token_head": (8, 4),
    "fp8_per_token_head": (8, 4),
    "int4_per_token_head": (4, 4),
}
"""Bits of an element, and bytes of the scale that each head's key and each value carries."""

TURBOQUANT = {
    "turboquant_k8v4": (8, 4),
    "turboquant_4bit_nc": (4, 4),
    "turboquant_k3v4_nc": (3, 4),
    "turboquant_3bit_nc": (3, 3),
}
"""
Bits of a key's and of a value's element. A key has 2 bytes for its norm unless it is in 8 bits, a
value 4 for scale and zero. vLLM 0.21 to 0.33, ``layers/quantization/turboquant/config.py``.
"""

EIGHT = 8
SPARED_LAYERS = 2
"""Layers at either end that TurboQuant leaves in the model's own type."""
SPARSE_LATENT = "fp8_ds_mla"
"""FlashMLA's sparse format: 8-bit latent, a scale per 128 of them, rotary part in 16 bits."""

STATE_BYTES = {"auto": 0, "float16": 2, "bfloat16": 2, "float32": 4}
"""Bytes of an element of a recurrent state; 0: as the configuration says."""

KV_DTYPES = (*ELEMENT_BYTES, *PACKED, *TURBOQUANT, "nvfp4")


def kv_dtype(architecture: ModelArchitecture, stated: str) -> str:
    """
    Return the KV dtype in use, ``auto`` resolved to what the checkpoint declares or its own type.

    Raises:
        ConfigurationError: a dtype whose layout is not known here.
    """
    name = stated.lower()
    if name not in KV_DTYPES:
        raise ConfigurationError(
            Problem(field="kv_cache_dtype", got=repr(stated), allowed=", ".join(KV_DTYPES))
        )
    if name != "auto":
        return name
    if architecture.kv_dtype is not None:
        return architecture.kv_dtype
    return "float32" if architecture.element_bytes == ELEMENT_BYTES["float32"] else "bfloat16"


def with_boundaries(architecture: ModelArchitecture, dtype: str) -> ModelArchitecture:
    """
    Return the model with the layers that a dtype leaves in the model's own type marked.

    TurboQuant spares the first two layers and the last two, but not those of hybrids.
    """
    layers = architecture.layers
    hybrid = any(isinstance(cache, StateCache) for cache in architecture.caches)
    if dtype not in TURBOQUANT or hybrid:
        return architecture
    spared = min(SPARED_LAYERS, len(layers) // 2)
    return dataclasses.replace(
        architecture,
        layers=tuple(
            layer if spared <= place < len(layers) - spared else tuple(map(_plain, layer))
            for place, layer in enumerate(layers)
        ),
    )


def _plain(cache: Cache) -> Cache:
    if isinstance(cache, AttentionCache):
        return dataclasses.replace(cache, unquantized=True)
    return cache


def vector_bytes(elements: int, dtype: str) -> int:
    """Return the bytes of one head's key (or value) of one token."""
    if dtype in PACKED:
        bits, scale = PACKED[dtype]
        return elements * bits // 8 + scale
    if dtype == "nvfp4":
        return elements // 2 + elements // 16
    return elements * (ELEMENT_BYTES[dtype] or 2)


def heads_per_gpu(heads: int, ranks: int) -> int:
    """Return the KV heads that one rank holds: divided, or repeated when ranks exceed heads."""
    return max(1, heads // ranks)


def token_bytes(cache: Cache, dtype: str, ranks: int, *, latent_alignment: int = 1) -> int:
    """Return the bytes per token and GPU of a cache that holds tokens; 0 for a state."""
    match cache:
        case AttentionCache():
            return heads_per_gpu(cache.kv_heads, ranks) * _head_bytes(cache, dtype)
        case LatentCache():
            return _latent_bytes(cache, dtype, latent_alignment)
        case IndexerCache():
            return cache.head_dim + 4 * -(-cache.head_dim // 128)
        case StateCache():
            return 0
        case PackedCache():
            return -(-cache.row_bytes // cache.tokens_per_row)


def _head_bytes(cache: AttentionCache, dtype: str) -> int:
    """Return the bytes of one head's key and value of one token."""
    if cache.unquantized:
        return vector_bytes(cache.head_dim, "bfloat16") + vector_bytes(cache.value_dim, "bfloat16")
    if dtype in TURBOQUANT:
        key_bits, value_bits = TURBOQUANT[dtype]
        key = -(-cache.head_dim * key_bits // 8) + (0 if key_bits == EIGHT else 2)
        value = -(-cache.value_dim * value_bits // 8) + 4
        return key + value + (key + value) % 2
    return vector_bytes(cache.head_dim, dtype) + vector_bytes(cache.value_dim, dtype)


def _latent_bytes(cache: LatentCache, dtype: str, alignment: int) -> int:
    if dtype == SPARSE_LATENT:
        return cache.rank + 4 * (cache.rank // 128) + 2 * cache.rope_dim
    elements = -(-cache.elements // alignment) * alignment
    return vector_bytes(elements, dtype)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StateBytes:
    """One layer's state of one request on one GPU: convolution tail and recurrent part."""

    tail: int
    recurrent: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.tail + self.recurrent


def state_bytes(cache: StateCache, architecture: ModelArchitecture, serving: Serving) -> StateBytes:
    """Return the bytes of one layer's recurrent state of one request on one GPU."""
    ranks = 1 if cache.replicated else serving.tensor_parallel
    groups = cache.groups
    if groups % ranks:
        groups += ranks - groups  # each rank needs the groups of its own heads
    channels = (cache.channels + groups * cache.group_channels) // ranks
    steps = max(0, cache.kernel - 1) + (serving.drafted_tokens if cache.kernel else 0)
    recurrent = cache.heads // ranks * cache.per_head
    own = architecture.element_bytes
    stated = None if serving.state_dtype is None else STATE_BYTES.get(serving.state_dtype.lower())
    if serving.state_dtype is not None and stated is None:
        allowed = ", ".join(STATE_BYTES)
        raise ConfigurationError(
            Problem(field="state_dtype", got=repr(serving.state_dtype), allowed=allowed)
        )
    each = stated or cache.recurrent_bytes or own
    return StateBytes(tail=channels * steps * own, recurrent=recurrent * each)


def check_split(architecture: ModelArchitecture, serving: Serving) -> None:
    """
    Refuse a parallel layout that splits a head between ranks, or has stages without a layer.

    What it would hold is not known: vLLM 0.33 asserts whole heads (``config/model.py``,
    verify_with_parallel_config; ``models/llama.py``), SGLang 0.5.23 as well (``models/llama.py``).

    Raises:
        ConfigurationError: with every uneven split.
    """
    ranks = serving.tensor_parallel
    problems = [
        Problem(field="tensor_parallel", got=f"{ranks}", allowed=allowed)
        for allowed in _uneven(architecture, ranks)
    ]
    if serving.pipeline_parallel > len(architecture.layers):
        allowed = Said("at most {count}, the model's layers", count=len(architecture.layers))
        got = str(serving.pipeline_parallel)
        problems.append(Problem(field="pipeline_parallel", got=got, allowed=allowed))
    problems += [
        Problem(
            field="context_parallel",
            got=str(serving.context_parallel),
            allowed=allowed,
            others=("tensor_parallel",),
        )
        for allowed in _unshared(architecture, serving)
    ]
    if problems:
        raise ConfigurationError(*problems)


def _unshared(architecture: ModelArchitecture, serving: Serving) -> Iterator[str]:
    """
    Yield what ranks that share one request's tokens would have to be.

    A rank holds other tokens of the same heads, so only ranks that would repeat heads can share;
    windows are not shared. vLLM 0.33 ``config/model.py`` (verify_with_parallel_config).
    """
    shared, ranks = serving.context_parallel, serving.tensor_parallel
    if shared == 1:
        return
    if ranks % shared:
        yield Said("a divisor of {key} ({ranks})", key="tensor_parallel", ranks=ranks)
    attention = [cache for cache in architecture.caches if isinstance(cache, AttentionCache)]
    if any(not cache.grows for cache in attention):
        yield Said("1 with sliding or chunked attention: sharing a window is not modelled here")
    heads = max((cache.kv_heads for cache in attention), default=1)
    if attention and shared > max(1, ranks // heads):
        yield Said(
            "at most {most}: {ranks} ranks / {heads} KV heads",
            most=max(1, ranks // heads),
            ranks=ranks,
            heads=heads,
        )


def _uneven(architecture: ModelArchitecture, ranks: int) -> tuple[str, ...]:
    """Return what each uneven split would have to be."""
    found: dict[str, None] = {}
    heads = architecture.attention_heads
    if heads is not None and heads % ranks:
        found[Said("a divisor of the {heads} attention heads", heads=heads)] = None
    for cache in architecture.caches:
        if isinstance(cache, AttentionCache) and _splits_badly(cache.kv_heads, ranks):
            found[Said("a divisor or a multiple of the {heads} KV heads", heads=cache.kv_heads)] = (
                None
            )
        if isinstance(cache, StateCache) and cache.heads % ranks:
            found[Said("a divisor of the {heads} state heads", heads=cache.heads)] = None
    return tuple(found)


def _splits_badly(heads: int, ranks: int) -> bool:
    return bool(heads % ranks) if heads >= ranks else bool(ranks % heads)
