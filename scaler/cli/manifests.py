"""The YAML texts that a person names: files, folders, and standard input."""

import pathlib
import sys
from collections.abc import Iterator, Sequence

from scaler.errors import ConfigurationError, Problem
from scaler.files import MOST_BYTES, read_text

STANDARD_INPUT = pathlib.Path("-")
_ENDINGS = {".yaml", ".yml"}


def texts_of(named: Sequence[pathlib.Path]) -> dict[str, str]:
    """
    Return texts by the name to call them: ``-`` is standard input, a folder all YAML below it.

    Raises:
        ConfigurationError: one cannot be read, or a folder has no YAML.
    """
    texts = {}
    for path in named:
        if path == STANDARD_INPUT:
            texts["standard input"] = _standard_input()
        else:
            texts.update((str(file), read_text(file)) for file in _files(path))
    return texts


def _files(path: pathlib.Path) -> Iterator[pathlib.Path]:
    if not path.is_dir():
        yield path
        return
    found = [one for one in sorted(path.rglob("*")) if one.suffix in _ENDINGS and one.is_file()]
    if not found:
        got = "no .yaml or .yml file is in this folder"
        raise ConfigurationError(Problem(field=str(path), got=got))
    yield from found


def _standard_input() -> str:
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        got, allowed = f"more than {MOST_BYTES >> 20} MiB", "a readable text"
        raise ConfigurationError(Problem(field="standard input", got=got, allowed=allowed))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            Problem(
                field="standard input", got="bytes that are not UTF-8", allowed="a readable text"
            )
        ) from error
