"""Files that somebody names: read as text, whatever the name turns out to be."""

import os
import pathlib
import stat

from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

_MIB = 1024 * 1024
MOST_BYTES = 64 * _MIB
"""Of one file: ten thousand ScaledObjects are a tenth of it."""


def read_text(path: pathlib.Path, *, field: str | None = None, most: int = MOST_BYTES) -> str:
    """
    Return a regular file's text.

    A pipe or a device is refused unread: it might never end.

    Raises:
        ConfigurationError: of ``field`` (the path itself): it cannot be read, or has more bytes
            than ``most``.
    """
    reason: str
    try:
        return _content(path, most).decode()
    except UnicodeDecodeError:
        reason = Said("bytes that are not UTF-8")
    except _UnfitError as error:
        reason = error.why
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
    got = reason if field is None else Said("{path} ({reason})", path=str(path), reason=reason)
    raise ConfigurationError(
        Problem(field=field or str(path), got=got, allowed=Said("a readable file"))
    ) from None


class _UnfitError(Exception):
    """A file that is not read, and why."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def _content(path: pathlib.Path, most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _UnfitError(Said("no regular file"))
        content = file.read(most + 1)
    if len(content) > most:
        whole = f"{most / _MIB:g} MiB" if most >= _MIB else f"{most} bytes"
        raise _UnfitError(Said("more than {size}", size=whole))
    return content
