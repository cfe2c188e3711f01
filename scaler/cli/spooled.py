"""
Requests kept in a file and not in memory: a trace is played once for each policy, and is long.

What must stay true: they come out as they went in, as often as they are asked for, and memory does
not grow with how many there are.
"""

import itertools
import struct
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from scaler.simulation.traffic import Arrival

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
        self._file.seek(range(self._count)[index] * _ROW.size)
        return Arrival(*_ROW.unpack(self._file.read(_ROW.size)))

    def __iter__(self) -> Iterator[Arrival]:
        """Read them from the first one on, whoever else is reading."""
        place = 0
        while True:
            self._file.seek(place)
            part = self._file.read(_AT_ONCE * _ROW.size)
            if not part:
                return
            place += len(part)
            yield from itertools.starmap(Arrival, _ROW.iter_unpack(part))
