"""
TGI's rules: blocks of one token (16 before 2.3), every layer keeping every token.

``num_blocks = free memory after warm-up × cuda_memory_fraction × 0.9 / bytes per block``; the log
says "Setting max batch total tokens to N". Source: text-generation-inference
``server/text_generation_server/models/flash_causal_lm.py``.
"""

from scaler.capacity.architecture import ModelArchitecture
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from .capacity import KvCapacity
from .serving import Serving, Version, parse_version
from .tokens import has_states, uniform_capacity

SINGLE_TOKEN_BLOCKS_SINCE = Version((2, 3))


def capacity(architecture: ModelArchitecture, serving: Serving, available_bytes: int) -> KvCapacity:
    """
    Return what fits into ``available_bytes`` of cache per GPU.

    Raises:
        ConfigurationError: a model that TGI does not serve from a pool of blocks.
    """
    if has_states(architecture):
        raise ConfigurationError(
            Problem(
                field="model",
                got=Said(
                    "{name} on TGI is not modelled here: it keeps states outside the pool that it"
                    " sizes",
                    name=architecture.name,
                ),
            )
        )
    old = serving.version is not None and parse_version(serving.version) < SINGLE_TOKEN_BLOCKS_SINCE
    block = serving.block_tokens or (16 if old else 1)
    return uniform_capacity(architecture, serving, available_bytes, block_tokens=block)
