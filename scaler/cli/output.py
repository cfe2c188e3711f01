"""What a command prints on standard output: text, or one JSON document."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TextIO, cast

from scaler.errors import ConfigurationError, Problem
from scaler.output import Watched, drop_all, is_reader_gone


def show(result: str | Mapping[str, Any]) -> None:
    """Print a text as it is, and anything else as JSON."""
    print(result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False))


@contextlib.contextmanager
def written() -> Iterator[None]:
    """
    See to it that what is printed arrives, or that it is told why not.

    Raises:
        ConfigurationError: standard output takes no more (a full disk).
        SystemExit: whoever read it has gone away (``| head``), which is nobody's mistake: 1.
    """
    file = sys.stdout
    if file is None:  # the process was started without one
        yield
        return
    failures: list[OSError] = []

    def tell(error: OSError) -> NoReturn:
        failures.append(error)
        drop_all(file)  # else it is tried again when the process ends
        if is_reader_gone(error):
            raise error
        got = f"cannot be written: {error.strerror}"
        raise ConfigurationError(Problem(field="standard output", got=got)) from error

    watched = cast("TextIO", Watched(file, tell))
    try:
        with contextlib.redirect_stdout(watched):
            try:
                yield
            finally:
                watched.flush()
    except OSError as error:
        if error not in failures:
            raise
        sys.exit(1)
