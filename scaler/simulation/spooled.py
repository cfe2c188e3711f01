"""
Requests kept in a file and not in memory: a trace is played once for each policy, and is long.

What must stay true: they come out as they went in, as often as they are asked for, and memory does
not grow with how many there are. They may be sent to another process, and read by one that was
forked: nobody's place in the file is another's.
"""

import itertools
import os
import struct
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

from .traffic import Arrival

_ROW = struct.Struct("<dII")
_AT_ONCE = 4096
"""Rows that are read or written together."""


class Spooled(Sequence[Arrival]):
    """Requests in order of time, in a temporary file that is gone with this process."""

    def __init__(self, arrivals: Iterable[Arrival]) -> None:
        """Write all of ``arrivals``, going through them once."""
        self._file = tempfile.TemporaryFile("w+b")  # noqa: SIM115 -- as long as this lives
        weakref.finalize(self, self._file.close)
        self._count = 0
        self.last_s = 0.0
        """When the last one arrives, seconds."""
        rows = iter(arrivals)
        while part := list(itertools.islice(rows, _AT_ONCE)):
            self._file.write(b"".join(itertools.starmap(_ROW.pack, part)))
            self._count += len(part)
            self.last_s = part[-1].at_s
        self._file.flush()

    def __reduce__(self) -> tuple[Callable[[bytes], "Spooled"], tuple[bytes]]:
        """Return what another process makes the same of: 16 bytes a request."""
        return _unpacked, (b"".join(self._parts()),)

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    @overload
    def __getitem__(self, index: int) -> Arrival: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Arrival]: ...
    def __getitem__(self, index: int | slice) -> Arrival | Sequence[Arrival]:
        """Return one of them, or some."""
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(self._count))]
        place = range(self._count)[index] * _ROW.size
        return Arrival(*_ROW.unpack(os.pread(self._file.fileno(), _ROW.size, place)))

    def __iter__(self) -> Iterator[Arrival]:
        """Read them from the first one on, whoever else is reading."""
        for part in self._parts():
            yield from itertools.starmap(Arrival, _ROW.iter_unpack(part))

    def _parts(self) -> Iterator[bytes]:
        place = 0
        while part := os.pread(self._file.fileno(), _AT_ONCE * _ROW.size, place):
            place += len(part)
            yield part


def _unpacked(rows: bytes) -> Spooled:
    """Return the requests of some bytes, as another process sent them."""
    return Spooled(itertools.starmap(Arrival, _ROW.iter_unpack(rows)))
