"""
Where a model's shapes come from: a file, a folder of a checkpoint, or a name.

A folder or a ``config.json`` beside a ``model.safetensors.index.json`` tells the checkpoint's
bytes as well; a name is looked up in the shipped table, its suffix telling the quantization.
"""

import dataclasses
import json
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from scaler.capacity.architecture import ModelArchitecture
from scaler.errors import ConfigurationError, Problem
from scaler.files import read_text
from scaler.said import Said

from .accounted import refuse_unaccounted
from .caches import builders, layer_caches
from .declared import declared_kv_dtype, declared_quantization
from .drafts import own_draft_layer
from .excepted import quantized_dense, quantized_mixers, quantizes_head
from .fields import POSITIONS, Config, read_config
from .kinds import pools_windows
from .names import completed, declared_of, look_up, stored_as
from .parameters import count_parameters, inner_width, is_multimodal

INDEX = "model.safetensors.index.json"
QUANTIZATION = "hf_quant_config.json"
MOST_TOTAL = 1e18
"""Bytes of a checkpoint; a larger number is none."""


def load_model(name: str, not_a_cache: Collection[str] = ()) -> ModelArchitecture:
    """
    Return the architecture of a model: the path of a JSON file or a checkpoint's folder, or a name.

    ``not_a_cache`` are keys of the file that a person states to hold no cache.

    Raises:
        ConfigurationError: no such file or name, not JSON, not supported.
    """
    path = _file(name)
    if path is None:
        return named_model(name)
    document = _read(path)
    beside = path.with_name(QUANTIZATION)
    if beside.is_file():
        document = {**document, "hf_quant_config": _read(beside)}
    return architecture_of(
        path.parent.name if path.name == "config.json" else path.stem,
        document,
        checkpoint_bytes=_checkpoint_bytes(path.with_name(INDEX)),
        not_a_cache=not_a_cache,
    )


def named_model(name: str) -> ModelArchitecture:
    """
    Return the architecture of a model that the shipped table has; no file is looked for.

    What the files of the checkpoint of that very name declare is known for some.

    Raises:
        ConfigurationError: no such name.
    """
    declared = declared_of(name)
    record = {**look_up(name), **{key: declared[key] for key in declared if key != "source"}}
    model = architecture_of(name, record, quantization=stored_as(name))
    if not declared:
        return dataclasses.replace(model, by_name=True)
    return dataclasses.replace(model, source=f"{model.source}; {declared['source']}")


def _file(name: str) -> pathlib.Path | None:
    """Return the file that describes a model; None: the text is no path."""
    path = pathlib.Path(name)
    try:
        path = path / "config.json" if path.is_dir() else path
        if path.is_file():
            return path
    except (OSError, ValueError):  # longer than a path may be, or with a NUL
        return None
    if path.suffix == ".json":
        raise ConfigurationError(
            Problem(field="model", got=Said("there is no file {path}", path=path))
        )
    return None


def architecture_of(
    name: str,
    document: Mapping[str, Any],
    *,
    quantization: str | None = None,
    checkpoint_bytes: int | None = None,
    not_a_cache: Collection[str] = (),
) -> ModelArchitecture:
    """
    Return the architecture that a configuration, or a record of the table, describes.

    ``quantization`` is what a checkpoint's name says; the document's own wins.

    Raises:
        ConfigurationError: a key that is missing or not understood, an unsupported architecture.
    """
    is_record = "source" in document
    config = read_config(name, completed(name, document) if is_record else document)
    layers = layer_caches(config)
    refuse_unaccounted(config, layers, not_a_cache)
    if not any(layers):
        raise config.wrong(
            "layers", got=Said("none that keeps a cache"), allowed=Said("at least one")
        )
    return ModelArchitecture(
        name=name,
        source=str(config.get("source") or f"config.json of {name}"),
        layers=layers,
        own_draft_layer=own_draft_layer(config, builders(config)),
        windows_apart=pools_windows(config),
        attention_heads=config.heads,
        hidden_size=config.hidden,
        intermediate_size=inner_width(config),
        vocab_size=config.whole("vocab_size"),
        max_position_embeddings=_positions(config),
        parameters=None if config.get("ple_layer_ids") else count_parameters(config, layers),
        multimodal=is_multimodal(config),
        experts=config.whole("num_local_experts", "n_routed_experts", "num_experts") or 0,
        experts_per_token=config.whole("num_experts_per_tok", "top_k_experts") or 0,
        quantization=declared_quantization(config, quantization),
        quantized_mixers=quantized_mixers(config, layers),
        quantized_dense=quantized_dense(config, layers),
        quantized_head=quantizes_head(config),
        kv_dtype=declared_kv_dtype(config),
        checkpoint_bytes=checkpoint_bytes,
    )


def _positions(config: Config) -> int | None:
    return config.whole(*POSITIONS)


def _read(path: pathlib.Path) -> Mapping[str, Any]:
    try:
        document = json.loads(read_text(path, field="model"))
    except (ValueError, RecursionError) as error:
        why = Said("nested too deep") if isinstance(error, RecursionError) else error
        raise ConfigurationError(
            Problem(field="model", got=Said("{path} is no JSON: {why}", path=path, why=why))
        ) from None
    if not isinstance(document, dict):
        raise ConfigurationError(
            Problem(
                field="model",
                got=Said("{path} holds no JSON object", path=path),
            )
        )
    return document


def _checkpoint_bytes(path: pathlib.Path) -> int | None:
    """Return the bytes of all tensors that a safetensors index states, or None."""
    if not path.is_file():
        return None
    beside = _read(path).get("metadata")
    total = beside.get("total_size") if isinstance(beside, Mapping) else None
    return int(total) if isinstance(total, int | float) and 0 < total < MOST_TOTAL else None
