"""
What a checkpoint declares about its numbers: weight quantization and the KV cache's type.

``kv_cache_dtype=auto`` is not the model's own type where the checkpoint says otherwise: ModelOpt
checkpoints carry ``kv_cache_quant_algo`` (or ``kv_cache_scheme``), compressed-tensors a
``kv_cache_scheme``. Sources: vLLM ``quantization/modelopt.py``, ``compressed_tensors.py`` and the
configurations of nvidia's NVFP4 checkpoints.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .fields import Config

KINDS = (
    ("mixed_precision", "nvfp4-fp8"),  # attention and states in 8 bits, MLPs in NVFP4
    ("nvfp4", "nvfp4"),
    ("mxfp4", "mxfp4"),
    ("fp8", "fp8"),
    ("awq", "awq"),
    ("gptq", "gptq"),
    ("auto-round", "gptq"),
    ("bitsandbytes", "bitsandbytes"),
    ("float-quantized", "fp8"),
    ("naive-quantized", "fp8"),
    ("int-quantized", "int8"),
    ("dense", "none"),  # compressed-tensors that says how the cache is kept, and nothing more
)
"""What a word of a checkpoint's section means, the first that is part of it."""


USUAL_GROUP = 128
"""How many integers share a scale where a section does not say."""
QUARK = {"fp4": "mxfp4", "fp8_e4m3": "fp8", "int8": "int8", "int4": "int4", "uint4": "int4"}
"""Quark's types of weights."""


def _section(config: Config) -> Mapping[str, Any] | None:
    for mapping in (config.text, config.outer):
        found = mapping.get("quantization_config", mapping.get("compression_config"))
        if isinstance(found, Mapping):
            return found
    return None


def quantization_sections(config: Config) -> tuple[Mapping[str, Any], ...]:
    """Return what declares quantization: of ``hf_quant_config.json`` first, then of the config."""
    beside = config.outer.get("hf_quant_config")
    nested = beside.get("quantization") if isinstance(beside, Mapping) else None
    return tuple(found for found in (nested, _section(config)) if isinstance(found, Mapping))


def declared_quantization(config: Config, named: str | None) -> str | None:
    """Return the weights' quantization: the section's, else the name's, else the published one."""
    section = _section(config)
    beside = config.outer.get("hf_quant_config")
    if isinstance(beside, Mapping) and isinstance(beside.get("quantization"), Mapping):
        return _normal(str(beside["quantization"].get("quant_algo") or "modelopt"), section)
    if section is None:
        stated = config.get("quantization")
        return named or (None if stated is None else str(stated))
    if config.get("expert_dtype") == "fp4" and section.get("quant_method") == "fp8":
        return "mxfp4-fp8"  # DeepSeek V4: experts in 4 bits, the rest in 8
    for key in ("quant_algo", "format", "quant_method"):
        if section.get(key) is not None:
            return _normal(str(section[key]), section)
    return "modelopt"


def _normal(word: str, section: Mapping[str, Any] | None = None) -> str:
    """Return one word per format: ``fp8``, ``nvfp4``, ``int4``, ``gptq-int8-g128`` and so on."""
    lowered, told = word.lower(), section or {}
    if lowered in ("pack-quantized", "marlin-24"):
        return _packed("", told, usual="int4")
    if lowered == "compressed-tensors" and section is not None:
        return _bits(section)
    if lowered == "quark":
        return _quark(told)
    if lowered == "mixed-precision":
        return _mixed(told)
    kind = next((kind for part, kind in KINDS if part in lowered), lowered)
    if kind in ("gptq", "awq"):
        return _packed(f"{kind}-", told, usual=kind)
    return "int8" if kind == "bitsandbytes" and told.get("load_in_8bit") is True else kind


def _packed(method: str, section: Mapping[str, Any], usual: str) -> str:
    """Return the format of packed integers: ``gptq``, or with what is not 4 bits per 128."""
    weights = next(_weights(section), section)
    bits = next((b for key in ("num_bits", "bits", "w_bit") if (b := weights.get(key))), 4)
    group = weights.get("group_size", weights.get("q_group_size", USUAL_GROUP))
    if not isinstance(group, int) or group < 1:
        return f"{method}int{bits}"  # a scale for each row
    return usual if (bits, group) == (4, USUAL_GROUP) else f"{method}int{bits}-g{group}"


def _weights(section: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what each group of compressed-tensors says of its weights."""
    groups = section.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping):
            yield weights


def _bits(section: Mapping[str, Any]) -> str:
    for weights in _weights(section):
        if weights.get("num_bits"):
            kind = "fp" if weights.get("type") == "float" else "int"
            return f"{kind}{weights['num_bits']}"
    return "fp8"


def _mixed(section: Mapping[str, Any]) -> str:
    """Return the format of compressed-tensors' groups that have one each."""
    groups = section.get("config_groups")
    each = groups.values() if isinstance(groups, Mapping) else ()
    formats = {
        _normal(str(group.get("format") or "untold"))
        for group in each
        if isinstance(group, Mapping)
    }
    if formats == {"nvfp4", "fp8"}:
        return "nvfp4-fp8"
    return "mixed-precision"


def _quark(section: Mapping[str, Any]) -> str:
    """Return AMD Quark's format where one is all layers' (vLLM ``quark/quark.py``)."""
    whole = section.get("global_quant_config")
    weights = whole.get("weight") if isinstance(whole, Mapping) else None
    if section.get("layer_quant_config") or not isinstance(weights, Mapping):
        return "quark"
    return QUARK.get(str(weights.get("dtype")), "quark")


def declared_kv_dtype(config: Config) -> str | None:
    """Return the KV dtype that ``auto`` means for this checkpoint, or None: the model's own."""
    beside = config.outer.get("hf_quant_config")
    if isinstance(beside, Mapping) and isinstance(beside.get("quantization"), Mapping):
        algorithm = beside["quantization"].get("kv_cache_quant_algo")
        if algorithm is not None:
            return "fp8" if "8" in str(algorithm) else str(algorithm).lower()
    section = _section(config)
    if section is None:
        stated = config.get("kv_cache_dtype")
        return str(stated) if stated is not None else None
    scheme = section.get("kv_cache_scheme", section.get("kv_cache_quant_algo"))
    if isinstance(scheme, Mapping):
        return "fp8" if scheme.get("num_bits") == 8 else None
    return "fp8" if isinstance(scheme, str) and "8" in scheme else None
