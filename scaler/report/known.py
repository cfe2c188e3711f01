"""
What ``kvtide capacity --list`` shows: the models and GPUs that a name alone is enough for.

The property that must stay true: what is listed is understood, under the name that is shown.
"""

from collections.abc import Sequence
from typing import Any

from scaler.capacity.gpus import Gpu, gpus
from scaler.capacity.models import known_names, named_model
from scaler.errors import ConfigurationError, Problem

BILLION = 1e9


def known_json(word: str) -> dict[str, Any]:
    """
    Return the models and GPUs whose names contain a word; all of them for none.

    Raises:
        ConfigurationError: no name contains it.
    """
    models = [name for name, aliases in known_names().items() if _has(word, name, *aliases)]
    cards = [gpu for gpu in gpus() if _has(word, gpu.name)]
    if not models and not cards:
        allowed = "part of a model's or a GPU's name; --list alone shows all"
        raise ConfigurationError(Problem(field="--list", got=repr(word), allowed=allowed))
    return {"models": [_model(name) for name in models], "gpus": [_gpu(gpu) for gpu in cards]}


def known_text(word: str) -> str:
    """
    Return the same as a person reads it.

    Raises:
        ConfigurationError: no name contains the word.
    """
    known = known_json(word)
    models = [
        (one["name"], one["keeps"], one["billion_parameters"], one["source"])
        for one in known["models"]
    ]
    cards = [(one["name"], f"{one['memory_gib']:g} GiB", one["source"]) for one in known["gpus"]]
    parts = (_table("Models", models), _table("GPUs", cards))
    return "\n\n".join(part for part in parts if part)


def _has(word: str, *names: str) -> bool:
    return any(word.lower() in name.lower() for name in names)


def _model(name: str) -> dict[str, Any]:
    model = named_model(name)
    count = model.parameters.total / BILLION if model.parameters is not None else None
    return {
        "name": name,
        "keeps": model.family,
        "billion_parameters": "" if count is None else f"{count:,.1f} B",
        "source": model.source,
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {"name": gpu.name, "memory_gib": gpu.memory_gib, "source": gpu.source}


def _table(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join((f"{title}:", *(f"  {line}".rstrip() for line in lines)))
