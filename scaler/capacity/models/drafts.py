"""
What one layer of a checkpoint's own drafter keeps, where it is not what a full layer keeps.

A drafter that the checkpoint ships (multi-token prediction) is mostly one more full layer. Some
families differ: MiMo's has a window, Gemma 4's reads the target's keys and keeps none, and lists
longer than the model name the drafter's own kinds. Sources: vLLM 0.33 ``mimo_v2_mtp.py``,
``gemma4_mtp.py``, ``step3p5.py``.
"""

from collections.abc import Callable, Mapping

from scaler.capacity.architecture import Cache

from .fields import Config
from .kinds import SLIDING, WORDS

WINDOWED = ("mimo_v2",)
"""Families whose drafter has the windows of the model, whatever its other layers keep."""
READS_THE_TARGET = ("gemma4",)
"""Families whose drafter reads the model's keys."""


def own_draft_layer(
    config: Config, builders: Mapping[str, Callable[[int], tuple[Cache, ...]]]
) -> tuple[Cache, ...] | None:
    """
    Return what one layer of the checkpoint's drafter keeps; None: what its full layers keep.

    ``builders`` make the caches of a kind of layer.
    """
    if config.model_type.startswith(READS_THE_TARGET):
        return ()
    kind = SLIDING if config.model_type.startswith(WINDOWED) else _listed(config)
    return None if kind is None else builders[kind](config.layers - 1)


def _listed(config: Config) -> str | None:
    """Return the kind that ``mtp_layer_types`` or the entry after the last layer's names."""
    own = config.get("mtp_layer_types")
    if isinstance(own, list) and own:
        return WORDS.get(str(own[0]).lower())
    listed = config.get("layer_types")
    if isinstance(listed, list) and len(listed) > config.layers:
        return WORDS.get(str(listed[config.layers]).lower())
    return None
