"""
MiniMax M3's sparse attention: beside keys and values, a key by which a layer chooses blocks.

One key of ``sparse_index_dim`` elements a token, whole on every tensor-parallel rank and in 16
bits whatever the cache's type is (vLLM ``models/minimax_m3/common/indexer.py``, SGLang
``pool_configurator.py``). The first layers attend to everything and keep none.
"""

from collections.abc import Mapping
from typing import Any

from scaler.capacity.architecture import AttentionCache
from scaler.said import Said

from .fields import Config

FAMILY = "minimax_m3"
SECTION = "sparse_attention_config"


def chooses_blocks(config: Config) -> bool:
    """Return whether the model is of the family, and says that it chooses blocks."""
    types = (config.model_type, str(config.outer.get("model_type") or ""))
    section = config.get(SECTION)
    switched = not isinstance(section, Mapping) or section.get("use_sparse_attention", True)
    return any(each.startswith(FAMILY) for each in types) and bool(switched)


def block_keys(config: Config, layer: int) -> tuple[AttentionCache, ...]:
    """
    Return what a layer keeps beside keys and values: nothing where it chooses no blocks.

    Raises:
        ConfigurationError: a section without its keys, or a layer that keeps values as well.
    """
    if not chooses_blocks(config):
        return ()
    section = _section(config)
    if not _flag(config, section, "sparse_attention_freq", layer):
        return ()
    if not _flag(config, section, "sparse_disable_index_value", layer):
        raise config.wrong(
            "sparse_disable_index_value",
            got=Said("0 for layer {layer}", layer=layer),
            allowed=Said("1: values beside the keys of blocks are not modelled"),
        )
    width = Config(config.name, section, {}).required("sparse_index_dim")
    return (AttentionCache(kv_heads=1, head_dim=width, value_dim=0, unquantized=True),)


def index_heads(config: Config) -> int:
    """Return the query heads that choose blocks."""
    return Config(config.name, _section(config), {}).required("sparse_num_index_heads")


def _section(config: Config) -> Mapping[str, Any]:
    section = config.get(SECTION)
    if not isinstance(section, Mapping):
        raise config.wrong(SECTION, got=repr(section)[:60], allowed=Said("an object"))
    return section


def _flag(config: Config, section: Mapping[str, Any], key: str, layer: int) -> bool:
    listed = section.get(key)
    if not isinstance(listed, list) or layer >= len(listed):
        got = Said("{count} entries", count=len(listed)) if isinstance(listed, list) else "nothing"
        raise config.wrong(key, got=got, allowed=Said("0 or 1, one per layer"))
    return bool(listed[layer])
