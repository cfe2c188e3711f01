"""
What a quantized checkpoint leaves in 16 bits: its section's list of exceptions, as written.

Lists name modules whole (``*self_attn*``, ``re:.*self_attn.*``), or layer by layer and matrix by
matrix (``model.layers.3.self_attn.q_proj``), and mix norms, gates and convolutions, which are
never quantized and weigh nothing, with matrices. Sources: nvidia's ``hf_quant_config.json``,
Qwen's and GLM's FP8 and llm-compressor's ``config.json``; vLLM ``quantization/modelopt.py``
(``exclude_modules``) and ``compressed_tensors/utils.py`` (``should_ignore_layer``).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scaler.capacity.architecture import Cache, LatentCache, StateCache

from .declared import quantization_sections
from .fields import Config
from .parameters import dense_weights, expert_weights, mixer_weights

LISTS = ("ignore", "exclude_modules", "modules_to_not_convert", "llm_int8_skip_modules", "exclude")
MODULE = re.compile(r"(attn|attention|mixer|mamba|mlp|ffn|feed_forward)$")
MLP = re.compile(r"(mlp|ffn|feed_forward)$")
LAYER = re.compile(r"(?:^|\.)(?:layers|blocks|h)\.(\d{1,5})\.?\*?$")
STATES = re.compile("linear_attn|mamba|mixer")
ATTENTIONS = re.compile("self_attn|self_attention|mixer")
NAMED_APART = ("gdn", "mamba", "mamba2", "short-conv")
"""States whose modules have a name of their own; Kimi's and MiniMax's are ``self_attn`` too."""
SMALL = re.compile(
    r"norm|^gate$|conv1d|index|A_log|dt_|bias|rotary|scale|in_proj_(a|b|ba)\b|expert|router"
)
"""Parts of a mixer that are no matrix worth counting, or belong to the MLP (Nemotron's mixer)."""
ELSEWHERE = re.compile(r"visual|vision|audio|encoder|tower|talker|code2wav|mtp|draft|eagle")
"""Modules that are not the model's own layers, though they have attention too."""


class Excepted(NamedTuple):
    """One exception: which module (``""``: the layer), of which layer (None: all), and its part."""

    kind: str
    layer: int | None
    part: str


def quantized_mixers(config: Config, layers: tuple[tuple[Cache, ...], ...]) -> float | None:
    """Return the share of attention's weights that is quantized, 0 to 1; None: no list tells."""
    listed = _listed(config)
    if listed is None:
        return None
    if config.get("expert_dtype") is not None:
        return 1.0  # DeepSeek V4: what its list leaves as it was is in 8 bits already
    held = kept = 0.0
    for number, caches in enumerate(layers):
        if caches:
            weights = mixer_weights(config, config.hidden, caches) if config.hidden else 1
            held += weights
            kept += weights * _excepted_share(config, number, caches, listed)
    return 1 - kept / held if held else None


def quantized_dense(config: Config, layers: tuple[tuple[Cache, ...], ...]) -> float | None:
    """Return the same of the MLPs of layers without experts."""
    listed = _listed(config)
    if listed is None or config.hidden is None or config.get("expert_dtype") is not None:
        return None
    held = kept = 0
    for number, caches in enumerate(layers):
        if not expert_weights(config, config.hidden, number):
            weights = dense_weights(config, config.hidden, number)
            held += weights
            kept += weights * any(_takes_mlp(each, number, caches) for each in listed)
    return 1 - kept / held if held else None


def _takes_mlp(each: Excepted, number: int, caches: tuple[Cache, ...]) -> bool:
    if each.layer not in (None, number):
        return False
    named = not each.kind or MLP.search(each.kind) is not None
    return named or (each.kind == "mixer" and not caches and each.layer is not None)


def quantizes_head(config: Config) -> bool:
    """Return whether the output's table is quantized too: only a list of layers says so."""
    return any(
        isinstance(layers := section.get("quantized_layers"), Mapping) and "lm_head" in layers
        for section in quantization_sections(config)
    )


def _listed(config: Config) -> list[Excepted] | None:
    names = next(_lists(config), None)
    return names and [found for name in names if (found := _read(name)) is not None]


def _lists(config: Config) -> Iterator[list[Any]]:
    for section in quantization_sections(config):
        for key in LISTS:
            if isinstance(listed := section.get(key), list) and listed:
                yield listed


def _read(name: object) -> Excepted | None:
    """Return what a name excepts of a mixer or an MLP; None: nothing that counts."""
    plain = str(name).removeprefix("re:").replace("\\", "")
    if ELSEWHERE.search(plain):
        return None
    if whole := LAYER.search(plain):
        return Excepted("", int(whole.group(1)), "")
    words = [word.strip("*^$()") for word in plain.split(".")]
    place = next((at for at, word in enumerate(words) if MODULE.search(word)), None)
    if place is None:
        return None
    part = next((word for word in words[place + 1 :] if word), "")
    if SMALL.search(part):
        return None
    layer = next((int(word) for word in words[:place] if re.fullmatch(r"\d{1,5}", word)), None)
    return Excepted(words[place], layer, part)


def _excepted_share(
    config: Config, number: int, caches: tuple[Cache, ...], listed: list[Excepted]
) -> float:
    """Return which share of one layer's mixer stays as it is."""
    named = [each for each in listed if each.layer in (None, number)]
    parts = {each.part for each in named if _concerns(each.kind, caches)}
    output = _output_share(config, caches)
    if not parts or output is None or "" in parts:
        return 1.0 if parts else 0.0
    outputs = any("o_proj" in part for part in parts)
    others = any("o_proj" not in part for part in parts)
    return outputs * output + others * (1 - output)


def _concerns(kind: str, caches: tuple[Cache, ...]) -> bool:
    if MLP.search(kind):
        return False
    states = [cache.kind for cache in caches if isinstance(cache, StateCache)]
    if not set(states) <= set(NAMED_APART):
        return True
    own, other = (STATES, ATTENTIONS) if states else (ATTENTIONS, STATES)
    return own.search(kind) is not None or other.search(kind) is None


def _output_share(config: Config, caches: tuple[Cache, ...]) -> float | None:
    """Return the output projection's share of a latent layer: nvidia quantizes it alone."""
    latent = next((cache for cache in caches if isinstance(cache, LatentCache)), None)
    if latent is None or config.hidden is None:
        return None
    wide = latent.heads * (config.whole("v_head_dim") or latent.nope_dim)
    return wide * config.hidden / mixer_weights(config, config.hidden, caches)
