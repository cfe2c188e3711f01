"""
The numbers of buckets, in three matrices with a row for each column: cut, and put together.

The first bucket knows nothing of the time before it, whatever lies before.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .bucket import Bucket, Instant, Queued, Reading

Array = npt.NDArray[np.float64]

_SECONDS = Instant._fields.index("seconds")
REPLICAS = Instant._fields.index("replicas")
_QUEUES = Instant._fields.index("queues")
COUNTS = slice(REPLICAS, _QUEUES + 1)
"""The columns that count the rows of a bucket in the other two."""
_SINCE = slice(Instant._fields.index("finished"), Instant._fields.index("kv_usage"))
"""The columns about the time since the sample before."""
_FIRST = (np.nan,) * 5 + (0.0,) * 4 + (np.nan,)
"""What they say where there is none."""
_LATENCIES = slice(Reading._fields.index("itl_requests"), None)


class Matrices(NamedTuple):
    """The columns of buckets, each of them contiguous: of instants, of readings, of queues."""

    by_instant: Array
    by_reading: Array
    by_queue: Array

    @classmethod
    def of(cls, buckets: Sequence[Bucket]) -> Self:
        """Return the matrices of buckets."""
        return cls(
            _matrix([one.instant for one in buckets], len(Instant._fields)),
            _matrix([row for one in buckets for row in one.readings], len(Reading._fields)),
            _matrix([row for one in buckets for row in one.queued], len(Queued._fields)),
        )

    @property
    def buckets(self) -> int:
        """How many buckets there are."""
        return len(self.by_instant[0])

    def between(self, first: int, end: int | None = None) -> "Matrices":
        """Return the buckets from one number on, and before another, as a past of their own."""
        reading, queue = self._rows(slice(first)) if first else (0, 0)
        rest, last = (0, 0) if end is None else self._rows(slice(end, None))
        cut = Matrices(
            self.by_instant[:, first:end],
            self.by_reading[:, reading : self.by_reading.shape[1] - rest],
            self.by_queue[:, queue : self.by_queue.shape[1] - last],
        )
        if not first or not cut.buckets:
            return cut
        return begun(Matrices(cut.by_instant.copy(), cut.by_reading.copy(), cut.by_queue))

    def _rows(self, part: slice) -> tuple[int, int]:
        """Return how many readings and queues some buckets have."""
        readings, queues = np.add.reduce(self.by_instant[COUNTS, part], axis=1).tolist()
        return int(readings), int(queues)

    def after(self, *earlier: "Matrices") -> "Matrices":
        """Return these buckets after others, in order of time, which these know of."""
        pasts = (*earlier, self)
        return Matrices(
            np.concatenate([one.by_instant for one in pasts], axis=1),
            np.concatenate([one.by_reading for one in pasts], axis=1),
            np.concatenate([one.by_queue for one in pasts], axis=1),
        )


def begun(past: Matrices) -> Matrices:
    """Take from matrices (of one bucket at least) what they know of the time before them."""
    instants, readings, queues = past
    instants[_SECONDS, 0] = np.nan
    instants[_SINCE, 0] = _FIRST
    readings[_LATENCIES, : int(instants[REPLICAS, 0])] = np.nan
    within = queues[1] >= instants[0, 0]
    if not within.all():
        rows = np.repeat(np.arange(past.buckets), instants[_QUEUES].astype(np.int64))
        instants[_QUEUES] = np.bincount(rows[within], minlength=past.buckets)
        queues = queues[:, within]
    return Matrices(instants, readings, queues)


def _matrix(rows: Sequence[Sequence[float]], width: int) -> Array:
    """Return rows as columns, each of them contiguous."""
    if not rows:
        return np.empty((width, 0))
    return np.ascontiguousarray(np.array(rows, dtype=np.float64).T)
