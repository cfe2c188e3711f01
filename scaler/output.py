"""Where a command prints: a terminal, a pipe or a file; any of them may be taken away meanwhile."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import TextIO


def is_reader_gone(error: OSError) -> bool:
    """Tell whether writing failed since a pipe's reader, or a terminal, is gone."""
    return error.errno in {errno.EPIPE, errno.EIO}


def drop_all(file: TextIO) -> None:
    """Let what is written from now on, and what was not taken yet, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, file.fileno())
    os.close(nowhere)


class Watched:
    """
    A file that tells of it when it cannot be written to.

    Args:
        on_failure: is called in the place of raising the error; it may raise that, or another.
    """

    def __init__(self, file: TextIO, on_failure: Callable[[OSError], object]) -> None:
        self._file = file
        self._on_failure = on_failure

    def write(self, text: str) -> int:
        """Write a text."""
        with self._tried():
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        with self._tried():
            self._file.flush()

    @contextlib.contextmanager
    def _tried(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._on_failure(error)

    def __getattr__(self, name: str) -> object:
        """Everything else is as the file has it."""
        return getattr(self._file, name)
