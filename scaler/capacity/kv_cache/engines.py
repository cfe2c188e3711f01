"""
One function for whoever has a model, an engine's flags and a memory size: what fits.

``kv_capacity`` asks the engine's rules; ``kv_layout`` asks for the footprint law alone, which turns
the blocks that a running engine reports into requests.
"""

from collections.abc import Callable

from scaler.capacity.architecture import ModelArchitecture, PackedCache
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from . import sglang, tgi, trtllm, vllm
from .block_keys import refuse_unread_keys
from .capacity import KvCapacity
from .layout import KvLayout
from .pages import TURBOQUANT
from .serving import Engine, Serving

ENGINES: dict[Engine, Callable[[ModelArchitecture, Serving, int], KvCapacity]] = {
    Engine.VLLM: vllm.capacity,
    Engine.SGLANG: sglang.capacity,
    Engine.TGI: tgi.capacity,
    Engine.TRTLLM: trtllm.capacity,
}


def kv_capacity(
    architecture: ModelArchitecture, serving: Serving, available_bytes: int
) -> KvCapacity:
    """
    Return what fits into ``available_bytes`` of KV cache on each GPU of a replica.

    Raises:
        ConfigurationError: an architecture, layout or dtype that is refused or not supported.
    """
    packed = any(isinstance(cache, PackedCache) for cache in architecture.caches)
    if packed and serving.engine is not Engine.VLLM:
        raise ConfigurationError(
            Problem(
                field="engine",
                got=Said(
                    "{name} is modelled on vllm only, and not on {engine}",
                    name=architecture.name,
                    engine=serving.engine,
                ),
            )
        )
    if architecture.chooses_blocks:
        refuse_unread_keys(architecture, serving)
    turbo = serving.kv_dtype.lower() in TURBOQUANT and serving.engine is not Engine.VLLM
    if turbo:
        raise ConfigurationError(
            Problem(field="kv_dtype", got=Said("{dtype} is vllm's only", dtype=serving.kv_dtype))
        )
    return ENGINES[serving.engine](architecture, serving, available_bytes)


def kv_layout(architecture: ModelArchitecture, serving: Serving) -> KvLayout:
    """
    Return the footprint law of a model in an engine, whatever the memory.

    Raises:
        ConfigurationError: as ``kv_capacity``.
    """
    return kv_capacity(architecture, serving, 0).layout
