"""Many runs: kept as JSON, so that an interrupted benchmark goes on, and played side by side."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

Task = TypeVar("Task")


def digest(*parts: bytes) -> str:
    """Return a fingerprint of bytes, 64 characters."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def code(paths: Iterable[pathlib.Path]) -> str:
    """Return a fingerprint of the files that a run depends on."""
    return digest(*(path.read_bytes() for path in paths))


def file_of(folder: pathlib.Path, about: object, *, prefix: str = "") -> pathlib.Path:
    """Return where a run is kept; ``about``, as JSON, is all that its result depends on."""
    return folder / f"{prefix}{digest(json.dumps(about).encode())[:16]}.json"


def kept(path: pathlib.Path, play: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a run came to, from its file or played now; the file is written whole."""
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    found = play()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    return found


def played(
    tasks: Sequence[Task],
    play: Callable[[Task], dict[str, Any]],
    processes: int,
    *,
    told: Callable[[dict[str, Any]], str],
) -> Iterator[dict[str, Any]]:
    """Yield the results as they come, saying on stderr how far it is and what each was."""
    began_s = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(processes) as pool:
        running = [pool.submit(play, task) for task in tasks]
        for done, future in enumerate(concurrent.futures.as_completed(running), 1):
            found = future.result()
            print(
                f"{done}/{len(running)}  {(time.monotonic() - began_s) / 60:.1f} min  "
                f"{told(found)}  ({found['cpu_s']:g} s of CPU)",
                file=sys.stderr,
                flush=True,
            )
            yield found
