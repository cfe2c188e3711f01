"""
GPUs by name: the memory that CUDA reports, which is less than the marketing size.

The numbers are what engines' start-up logs and ``nvidia-smi`` print, not datasheets; the table
says where each was seen.
"""

import dataclasses
import difflib
import functools
import json
import pathlib
import re

from scaler.errors import ConfigurationError, Problem

from .kv_cache import GpuClass

TABLE = pathlib.Path(__file__).with_name("gpus.json")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One kind of GPU."""

    name: str
    memory_gib: float
    """What CUDA reports as total."""
    generation: GpuClass
    source: str


def find_gpu(name: str) -> Gpu:
    """
    Return the GPU that a name means: ``H100``, ``nvidia-a100-80gb``, ``NVIDIA-H100-80GB-HBM3``.

    Raises:
        ConfigurationError: no such GPU in the table; similar names are suggested.
    """
    wanted = _plain(name)
    gpus = _table()
    if wanted in gpus:
        return gpus[wanted]
    held = [key for key in gpus if _words(key) <= _words(wanted)]
    if held:
        return gpus[max(held, key=len)]
    close = difflib.get_close_matches(wanted, list(gpus), n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(gpus[key].name for key in close)}?" if close else ""
    known = ", ".join(dict.fromkeys(gpu.name for gpu in gpus.values()))
    raise ConfigurationError(
        Problem(field="gpu", got=repr(name), allowed=f"one of {known}, or state its memory{hint}")
    )


def _plain(name: str) -> str:
    """Return the name in lower case, without the maker, sizes glued to their unit."""
    text = re.sub(r"(\d)\s*gi?b\b", r"\1gb", name.lower())
    words = re.split(r"[^a-z0-9.]+", text)
    skipped = ("nvidia", "amd", "geforce", "tesla", "instinct", "hbm3", "hbm3e", "hbm2e", "")
    return " ".join(word for word in words if word not in skipped)


def _words(name: str) -> frozenset[str]:
    return frozenset(name.split())


@functools.cache
def _table() -> dict[str, Gpu]:
    document = json.loads(TABLE.read_text(encoding="utf-8"))
    found: dict[str, Gpu] = {}
    for name, entry in document["gpus"].items():
        gpu = Gpu(
            name=name,
            memory_gib=entry["memory_gib"],
            generation=GpuClass(entry["generation"]),
            source=entry["source"],
        )
        for alias in (name, *entry.get("also", ())):
            found[_plain(alias)] = gpu
    return found
