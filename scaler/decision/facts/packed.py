"""
Columns at rest: the same numbers, in less than half of the room.

Most of what is known of a bucket is a small count, or nothing: a row of such is held in 16 bits,
others as floats as short as hold them exactly. What is read is always the whole, in 64 bits. The
newest few buckets stay as they are: they come and are made anew far more often than they are worth
packing.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from .columns import Columns
from .matrices import COUNTS, Array, Matrices, begun

Halves = npt.NDArray[np.int16]
"""Numbers doubled: a mean of two counts is whole, too."""

_UNKNOWN = -(2**15)
"""Stands for NaN."""
NO_COLUMNS = Columns.of(())
"""Those of no sample."""
MOST_LOOSE = 8
"""Buckets that are not packed, at most."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Resting:
    """Columns that are kept: the newest buckets as they are, and those before them packed."""

    newest: Matrices
    packs: bool
    """Else none is ever packed."""
    older: "Packed | None" = None
    gone: int = 0
    """Oldest buckets in ``older`` that are no longer part of the past."""

    @classmethod
    def of(cls, columns: Columns, *, packs: bool) -> "Resting":
        """Return columns, none of them packed yet."""
        return cls(columns.matrices, packs)

    def __len__(self) -> int:
        """Return how many buckets there are."""
        return self._packed + self.newest.buckets

    @property
    def _packed(self) -> int:
        return 0 if self.older is None else len(self.older) - self.gone

    @property
    def columns(self) -> Columns:
        """The whole."""
        return Columns(*self.whole)

    @property
    def whole(self) -> Matrices:
        """The same, its numbers alone."""
        return self.newest if self.older is None else self.older.before(self.newest, self.gone)

    def followed_by(self, new: Matrices) -> "Resting":
        """Return these columns and newer ones, which know of these."""
        newest = new.after(self.newest)
        more = dataclasses.replace(self, newest=newest)
        if not self.packs or newest.buckets <= MOST_LOOSE:
            return more
        return Resting(NO_COLUMNS.matrices, self.packs, Packed.of(more.whole))

    def between(self, first: int, end: int) -> "Resting":
        """Return the buckets from one number on, and before another, as a past of their own."""
        packed = self._packed
        if first < packed <= end:
            newest = self.newest.between(0, end - packed)
            return Resting(newest, self.packs, self.older, self.gone + first)
        return Resting(self.whole.between(first, end), self.packs)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Columns that nobody reads for now."""

    instants: "Rows"
    readings: "Rows"
    queues: Array

    @classmethod
    def of(cls, past: Matrices) -> "Packed":
        """Return matrices packed."""
        return cls(Rows.of(past.by_instant), Rows.of(past.by_reading), past.by_queue.copy())

    def __len__(self) -> int:
        """Return how many buckets there are."""
        return self.instants.shape[1]

    def before(self, newest: Matrices, gone: int) -> Matrices:
        """Return the very same numbers but for the oldest ``gone`` buckets, and newer ones."""
        instants = self.instants.before(newest.by_instant)
        readings, queues = np.add.reduce(instants[COUNTS, :gone], axis=1).astype(np.int64)
        whole = Matrices(
            instants[:, gone:],
            self.readings.before(newest.by_reading, readings),
            np.concatenate((self.queues[:, queues:], newest.by_queue), axis=1),
        )
        return begun(whole) if gone else whole

    @property
    def nbytes(self) -> int:
        """Bytes that the numbers take."""
        return self.instants.nbytes + self.readings.nbytes + self.queues.nbytes


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A matrix whose rows are held by how wide their numbers are."""

    small: Halves
    single: npt.NDArray[np.float32]
    double: Array
    order: npt.NDArray[np.int8]
    """The number of each row of these three in the matrix."""

    @classmethod
    def of(cls, matrix: Array) -> "Rows":
        """Return a matrix packed."""
        unknown = np.isnan(matrix)
        small, is_small = _halves(matrix, unknown)
        with np.errstate(over="ignore"):
            single = matrix.astype(np.float32)
        is_single = ~is_small & ((single == matrix) | unknown).all(axis=1)
        is_double = ~(is_small | is_single)
        numbers = [each.nonzero()[0] for each in (is_small, is_single, is_double)]
        order = np.concatenate(numbers).astype(np.int8)
        return cls(small[is_small], single[is_single], matrix[is_double], order)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        return len(self.order), self.small.shape[1]

    def before(self, newest: Array, gone: int = 0) -> Array:
        """Return the matrix without its first columns, and newer ones behind it."""
        kept = self.shape[1] - gone
        matrix = np.empty((len(self.order), kept + newest.shape[1]))
        first, last = len(self.small), len(self.small) + len(self.single)
        small = self.small[:, gone:]
        halves = small * 0.5
        halves[small == _UNKNOWN] = np.nan
        matrix[self.order[:first], :kept] = halves
        matrix[self.order[first:last], :kept] = self.single[:, gone:]
        matrix[self.order[last:], :kept] = self.double[:, gone:]
        matrix[:, kept:] = newest
        return matrix

    @property
    def nbytes(self) -> int:
        """Bytes that the numbers take."""
        return self.small.nbytes + self.single.nbytes + self.double.nbytes


def _halves(matrix: Array, unknown: npt.NDArray[np.bool_]) -> tuple[Halves, npt.NDArray[np.bool_]]:
    """Return numbers doubled, and which rows are told by these to the bit (-0.0 is not)."""
    with np.errstate(invalid="ignore", over="ignore"):
        small = np.where(unknown, _UNKNOWN, matrix * 2).astype(np.int16)
    again = small * 0.5
    is_same = (again.view(np.int64) == matrix.view(np.int64)) & (small != _UNKNOWN)
    return small, (is_same | unknown).all(axis=1)
