"""
TensorRT-LLM's rules: ``free_gpu_memory_fraction`` of what is free, in blocks of 32 tokens.

Layers with windows are counted as if they kept every token: the engine may give them less, so the
true capacity is this or more. Source: TensorRT-LLM ``kvCacheManager`` and its start-up log.
"""

from scaler.capacity.architecture import ModelArchitecture
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from .capacity import KvCapacity
from .serving import Serving
from .tokens import has_states, uniform_capacity

BLOCK_TOKENS = 32


def capacity(architecture: ModelArchitecture, serving: Serving, available_bytes: int) -> KvCapacity:
    """
    Return what fits into ``available_bytes`` of allocated cache per GPU.

    Raises:
        ConfigurationError: a model whose memory is not known here.
    """
    if has_states(architecture):
        raise ConfigurationError(
            Problem(
                field="model",
                got=Said(
                    "{name} on TensorRT-LLM is not modelled here: how its pool is split between"
                    " states and tokens was not found in a source",
                    name=architecture.name,
                ),
            )
        )
    block = serving.block_tokens or BLOCK_TOKENS
    return uniform_capacity(architecture, serving, available_bytes, block_tokens=block)
