"""Files that somebody names: read as text, whatever the name turns out to be."""

import os
import pathlib
import stat

from scaler.errors import ConfigurationError, Problem

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
    try:
        return _content(path, most).decode()
    except UnicodeDecodeError:
        reason = "bytes that are not UTF-8"
    except _UnfitError as error:
        reason = str(error)
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
    got = reason if field is None else f"{path} ({reason})"
    raise ConfigurationError(
        Problem(field=field or str(path), got=got, allowed="a readable file")
    ) from None


class _UnfitError(Exception):
    """A file that is not read, and why."""


def _content(path: pathlib.Path, most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _UnfitError("no regular file")
        content = file.read(most + 1)
    if len(content) > most:
        whole = f"{most / _MIB:g} MiB" if most >= _MIB else f"{most} bytes"
        raise _UnfitError(f"more than {whole}")
    return content
