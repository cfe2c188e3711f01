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

from .bucket import MOST_BEFORE, Instant, bucket
from .matrices import REPLICAS, Matrices
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
        return cls(*matrices_of(samples, before))

    def __len__(self) -> int:
        """Return how many buckets there are."""
        return len(self.by_instant[0])

    @property
    def matrices(self) -> Matrices:
        """The numbers alone."""
        return Matrices(self.by_instant, self.by_reading, self.by_queue)

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
        return np.repeat(each, self.by_instant[REPLICAS].astype(np.int64))

    def between(self, first: int, end: int | None = None) -> "Columns":
        """Return the buckets from one number on, and before another, as a past of their own."""
        return Columns(*self.matrices.between(first, end))

    def after(self, *earlier: "Columns") -> "Columns":
        """Return these columns after others, in order of time, whose buckets these know of."""
        return Columns(*self.matrices.after(*(one.matrices for one in earlier)))

    def joined_to(self, earlier: "Columns", first: "Columns") -> "Columns":
        """Return these columns after earlier ones, which the first bucket, made anew, knows."""
        own = int(self.by_instant[REPLICAS, 0])
        rest = Columns(self.by_instant[:, 1:], self.by_reading[:, own:], self.by_queue)
        return rest.after(earlier, first)


def all_or(told: Mask) -> Mask | slice:
    """Return what picks the rows that are told: usually all are, and none need be copied."""
    return slice(None) if np.count_nonzero(told) == len(told) else told


def matrices_of(samples: Sequence[Sample], before: Sequence[Sample] = ()) -> Matrices:
    """Return the numbers of samples, oldest first; ``before`` are those before the first."""
    if len(samples) > FEW:
        return made(samples, before)
    known = (*before[-MOST_BEFORE:], *samples)
    first = len(known) - len(samples)
    return Matrices.of(
        [bucket(known[max(0, at - MOST_BEFORE) : at], known[at]) for at in range(first, len(known))]
    )
