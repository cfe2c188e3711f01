"""
Finished runs of the lending benchmark, kept as JSON while the code that they depend on is the same.

An interrupted benchmark goes on where it was, and the page can be written anew without playing.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

from benchmarks.lending_cases import CASES

ROOT = pathlib.Path(__file__).parent.parent
KEPT = ROOT / "build" / "lending"


@functools.cache
def _code() -> str:
    """Return a fingerprint of all code that a run depends on."""
    files = [
        *sorted((ROOT / "scaler" / "simulation").rglob("*.py")),
        *sorted((ROOT / "scaler" / "decision").rglob("*.py")),
        *(ROOT / "benchmarks" / f"lending_{part}.py" for part in ("cases", "ways")),
    ]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def kept(case: str, title: str, seed: int, play: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of a run, from where they are kept or played now."""
    about = [title, seed, dataclasses.asdict(CASES[case]), _code()]
    name = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    path = KEPT / f"{name}.json"
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8"))["figures"])
    figures = play()
    KEPT.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    text = json.dumps({"case": case, "run": title, "seed": seed, "figures": figures})
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
    return figures
