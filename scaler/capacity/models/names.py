"""
From the name a person writes to a record of the table.

``RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic`` is Llama-3.3-70B in fp8: the organisation and the
words that say how a checkpoint was tuned or stored are taken off, and what the storage words say
is kept.
"""

import difflib
import functools
import json
import pathlib
import re
from collections.abc import Collection, Mapping
from typing import Any

from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

TABLE = pathlib.Path(__file__).with_name("table.json")

STORED = (
    ("nvfp4-fp8", "nvfp4-fp8"),
    ("nvfp4a16", "nvfp4"),
    ("nvfp4", "nvfp4"),
    ("mxfp4", "mxfp4"),
    ("fp8", "fp8"),
    ("mxfp8", "fp8"),
    ("fp4", "nvfp4"),
    ("gptq-int8", "gptq-int8-g128"),
    ("awq", "awq"),
    ("gptq", "gptq"),
    ("autoround", "gptq"),
    ("w8a16", "int8"),
    ("w4a16", "int4"),
    ("int4", "int4"),
    ("w8a8", "int8"),
    ("int8", "int8"),
    ("bnb-4bit", "bitsandbytes"),
    ("gguf", "gguf"),
    ("bf16", "none"),
    ("fp16", "none"),
)
"""Words of a checkpoint's name that say how its weights are stored."""

LLM_COMPRESSOR = ("redhatai/", "neuralmagic/", "unsloth/")
"""Publishers whose NVFP4 checkpoints quantize attention too."""

ALIKE = 0.5
"""How alike a suggestion of another family has to be, 0 to 1."""
MOST_COMPARED = 80
"""Letters of a name that are compared: no model's is longer."""

TUNED = (
    "instruct",
    "chat",
    "it",
    "base",
    "hf",
    "dynamic",
    "static",
    "quantized",
    "block",
    "int4",
    "thinking",
    "preview",
    "bf16",
    "fp16",
    "rl",
    "qat",
    "ct",
    "mtp",
    "distilled",
    "uncensored",
    "qad",
    "w4a4",
)
"""Words that do not change a model's shape."""
OF_STORAGE = re.compile(
    r"quantized\.|(?<=awq)-4bit|(?<=gptq)-4bit|(?<=bnb)-4bit|unsloth-(?=bnb)|(?<=fp8)-kv|(?<=fp4)-v2"
)
"""Parts of words that say more of how weights are stored, and nothing of the shape."""
DATE = re.compile(r"\d{4}")
"""Neither does a month or a day: ``2507``, ``0731``."""


def stored_as(name: str) -> str | None:
    """
    Return the format of the weights that a name says: ``…-NVFP4`` is NVFP4.

    Of the KV cache a name says nothing: that is in the checkpoint's own files alone.
    """
    kind = next((kind for word, kind in STORED if word in name.lower()), None)
    if kind == "nvfp4" and name.lower().startswith(LLM_COMPRESSOR):
        return "nvfp4-all"
    return kind


def find(name: str) -> Mapping[str, Any] | None:
    """Return the record that a name means, or None."""
    bare = name.rsplit("/", 1)[-1]
    records = _table()
    record = records.get(bare.lower()) or records.get(_plain(bare))
    return record and _as_named(record, re.split(r"[-_]", bare.lower()))


def _as_named(record: Mapping[str, Any], words: Collection[str]) -> Mapping[str, Any]:
    """Return a record with what a word of the name changes: a later release's longer context."""
    changes = [more for word, more in record.get("words", {}).items() if word in words]
    return {**record, **{key: value for more in changes for key, value in more.items()}}


SHAPE = ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "hidden_size")
OF_WEIGHTS = ("vocab_size", "intermediate_size", "tie_word_embeddings")
"""Keys that a record of the same shape may lend: they tell weights, and no cache."""


def completed(name: str, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Return a record with the keys that it leaves out, from the table's entry for the same model.

    The entry is found by the record's name or by the file that its ``source`` names; what the
    record says wins. A model of the same shape and size lends what tells its weights alone: what
    attention keeps is each model's own (Mistral v0.1 has a window, v0.2 has none).
    """
    named = re.search(r"--([^/]+?)_config\.json", str(record.get("source")))
    entry = find(name) or (find(named.group(1)) if named else None)
    if entry is not None:
        return {**entry, **record}
    return {**_same_shape(record), **record}


def _same_shape(record: Mapping[str, Any]) -> Mapping[str, Any]:
    wanted = [record.get(key) for key in (*SHAPE, "num_params")]
    if None in wanted:
        return {}
    for entry in _table().values():
        if [entry.get(key) for key in (*SHAPE, "num_params")] == wanted:
            return {key: entry[key] for key in OF_WEIGHTS if key in entry}
    return {}


def known_names() -> Mapping[str, tuple[str, ...]]:
    """Return the table's names in order, each with the others that its record goes by."""
    records = _document()["models"]
    return {name: tuple(record.get("also", ())) for name, record in records.items()}


def declared_of(name: str) -> Mapping[str, Any]:
    """Return what the files of a published checkpoint declare, by its full name; or nothing."""
    declared: Mapping[str, Any] = _document()["checkpoints"].get(name, {})
    return declared


def look_up(name: str) -> Mapping[str, Any]:
    """
    Return the record that a name means.

    Raises:
        ConfigurationError: no record of that name; similar ones are suggested.
    """
    record = find(name)
    if record is not None:
        return record
    near = _near(name[-MOST_COMPARED:].rsplit("/", 1)[-1])
    hint = Said("; did you mean {names}?", names=", ".join(near)) if near else ""
    raise ConfigurationError(
        Problem(
            field="model",
            got=Said(
                "no known model is called {name}; state its config.json, or a name that"
                " `kvtide capacity --list` shows{hint}",
                name=_shown(name),
                hint=hint,
            ),
        )
    )


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:77]}...")


def _near(bare: str) -> tuple[str, ...]:
    """Return the names most like one, those of its own family first."""
    wanted = _plain(bare)
    family = re.split(r"[-\d.]", wanted, maxsplit=1)[0]

    def likeness(name: str) -> tuple[bool, float]:
        plain = _plain(name)
        same = bool(family) and plain.startswith(family)
        return same, difflib.SequenceMatcher(None, plain, wanted).ratio()

    ranked = sorted(known_names(), key=likeness, reverse=True)
    return tuple(name for name in ranked[:3] if likeness(name) > (False, ALIKE))


def _plain(bare: str) -> str:
    """Return a name without the words that do not change a model's shape."""
    words = [word for word in re.split(r"[-_]", OF_STORAGE.sub("", bare.lower())) if word]
    kept = [
        word
        for word in words
        if word not in TUNED
        and not DATE.fullmatch(word)
        and not any(word in (stored, stored.partition("-")[0]) for stored, _ in STORED)
    ]
    return "-".join(kept)


@functools.cache
def _document() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    document: Mapping[str, Mapping[str, Mapping[str, Any]]]
    document = json.loads(TABLE.read_text(encoding="utf-8"))
    return document


@functools.cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    """Return the table's records under every name they go by, in lower case."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, record in _document()["models"].items():
        named = {"name": name, **record}
        for alias in (name, *record.get("also", ())):
            found[alias.lower()] = named
            found.setdefault(_plain(alias), named)
    return found
