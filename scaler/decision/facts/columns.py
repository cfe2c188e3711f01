"""
A past in columns: one number a bucket, so that a decision is a few passes over arrays.

Whoever reads the world keeps them and adds a bucket when it closes; a decision only reads them.
They are never changed: adding, cutting and joining make new ones, so that one may be read in a
thread while its successor is made.

The first bucket knows nothing of the time before it, whatever lies before: a past is a function of
the samples in it and of nothing else.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaler.decision.sample import Sample

from .bucket import MOST_BEFORE, Bucket, Instant, Queued, Reading, bucket
from .rows import made

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FEW = 8
"""Buckets that are made one by one: for so few, arrays are not worth their time."""


class Instants(NamedTuple):
    """The columns of :class:`.bucket.Instant`, oldest first."""

    at_s: Array
    seconds: Array
    ready: Array
    loading: Array
    held: Array
    zero: Array
    speaks: Array
    missing: Array
    running: Array
    backlog: Array
    sure_backlog: Array
    finished: Array
    prompt: Array
    generated: Array
    arrived: Array
    came: Array
    busy_s: Array
    busy_steps: Array
    busy_generated: Array
    busy_prompt: Array
    prefilled_per_s: Array
    kv_usage: Array
    kv_used: Array
    replicas: Array
    queues: Array


class Readings(NamedTuple):
    """The columns of :class:`.bucket.Reading`, by bucket and then by replica."""

    awake: Array
    running: Array
    waiting: Array
    kv_usage: Array
    itl_requests: Array
    itl_s: Array
    ttft_requests: Array
    ttft_s: Array


_SECONDS = Instants._fields.index("seconds")
_REPLICAS = Instants._fields.index("replicas")
_QUEUES = Instants._fields.index("queues")
_SINCE = slice(Instants._fields.index("finished"), Instants._fields.index("kv_usage"))
"""The columns about the time since the sample before."""
_FIRST = (np.nan,) * 5 + (0.0,) * 4 + (np.nan,)
"""What they say where there is none."""
_LATENCIES = slice(Readings._fields.index("itl_requests"), None)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Buckets in order of time; each array has a row for a column, which is contiguous."""

    by_instant: Array
    """The columns of :class:`Instants`."""
    by_reading: Array
    """The columns of :class:`Readings`."""
    by_queue: Array
    """The columns of :class:`.bucket.Queued`."""
    instants: Instants = dataclasses.field(init=False, repr=False)
    """One number a bucket."""
    readings: Readings = dataclasses.field(init=False, repr=False)
    """One number a bucket and replica."""

    def __post_init__(self) -> None:
        """Name the columns."""
        object.__setattr__(self, "instants", Instants(*self.by_instant))
        object.__setattr__(self, "readings", Readings(*self.by_reading))

    @classmethod
    def of(cls, samples: Sequence[Sample], before: Sequence[Sample] = ()) -> "Columns":
        """Return the columns of samples, oldest first; ``before`` are those before the first."""
        if len(samples) > FEW:
            return cls(*made(samples, before))
        known = (*before[-MOST_BEFORE:], *samples)
        first = len(known) - len(samples)
        return cls.made(
            [
                bucket(known[max(0, at - MOST_BEFORE) : at], known[at])
                for at in range(first, len(known))
            ]
        )

    @classmethod
    def made(cls, buckets: Sequence[Bucket]) -> "Columns":
        """Return the columns of buckets."""
        return cls(
            _matrix([one.instant for one in buckets], len(Instant._fields)),
            _matrix([row for one in buckets for row in one.readings], len(Reading._fields)),
            _matrix([row for one in buckets for row in one.queued], len(Queued._fields)),
        )

    def __len__(self) -> int:
        """Return how many buckets there are."""
        return len(self.by_instant[0])

    @property
    def newest(self) -> Instant:
        """The newest bucket."""
        return Instant(*self.by_instant[:, -1].tolist())

    @property
    def queued_per_s(self) -> Array:
        """Completions per second of replicas that had a queue, in no order."""
        rates: Array = self.by_queue[0]
        return rates

    def of_readings(self, each: Array) -> Array:
        """Return a column of buckets as one of readings: each bucket's for all of its replicas."""
        counts = self.by_instant[_REPLICAS].astype(np.int64)
        return np.repeat(each, counts)

    def between(self, first: int, end: int | None = None) -> "Columns":
        """Return the buckets from one number on, and before another, as a past of their own."""
        reading, queue = self._rows(slice(first)) if first else (0, 0)
        rest, last = (0, 0) if end is None else self._rows(slice(end, None))
        cut = Columns(
            self.by_instant[:, first:end],
            self.by_reading[:, reading : self.by_reading.shape[1] - rest],
            self.by_queue[:, queue : self.by_queue.shape[1] - last],
        )
        return _begun(cut) if first and len(cut) else cut

    def _rows(self, part: slice) -> tuple[int, int]:
        """Return how many readings and queues some buckets have."""
        return int(self.instants.replicas[part].sum()), int(self.instants.queues[part].sum())

    def after(self, *earlier: "Columns") -> "Columns":
        """Return these columns after others, in order of time, whose buckets these know of."""
        pasts = (*earlier, self)
        return Columns(
            np.concatenate([one.by_instant for one in pasts], axis=1),
            np.concatenate([one.by_reading for one in pasts], axis=1),
            np.concatenate([one.by_queue for one in pasts], axis=1),
        )

    def joined_to(self, earlier: "Columns", first: "Columns") -> "Columns":
        """Return these columns after earlier ones, which the first bucket, made anew, knows."""
        own = int(self.by_instant[_REPLICAS, 0])
        rest = Columns(self.by_instant[:, 1:], self.by_reading[:, own:], self.by_queue)
        return rest.after(earlier, first)


def all_or(told: Mask) -> Mask | slice:
    """Return what picks the rows that are told: usually all are, and none need be copied."""
    return slice(None) if np.count_nonzero(told) == len(told) else told


def _begun(cut: Columns) -> Columns:
    """Return columns without what they know of the time before them."""
    instants, readings = cut.by_instant.copy(), cut.by_reading.copy()
    instants[_SECONDS, 0] = np.nan
    instants[_SINCE, 0] = _FIRST
    readings[_LATENCIES, : int(instants[_REPLICAS, 0])] = np.nan
    within = cut.by_queue[1] >= instants[0, 0]
    if not within.all():
        rows = np.repeat(np.arange(len(cut)), instants[_QUEUES].astype(np.int64))
        instants[_QUEUES] = np.bincount(rows[within], minlength=len(cut))
    return Columns(instants, readings, cut.by_queue[:, within])


def _matrix(rows: Sequence[Sequence[float]], width: int) -> Array:
    """Return rows as columns, each of them contiguous."""
    if not rows:
        return np.empty((width, 0))
    return np.ascontiguousarray(np.array(rows, dtype=np.float64).T)
