"""
What a source keeps of a workload: samples in order of time, and their columns beside them.

The columns are brought up to date when they are asked for, bucket by bucket as samples came; they
are those that making all of them anew would give.
"""

import bisect
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scaler.decision.sample import Sample
from scaler.decision.sliding import bucket_of

from .bucket import MOST_BEFORE
from .columns import Columns

MINUTE_S = 60.0
_NONE = Columns.of(())


class Recorded(NamedTuple):
    """Samples at one time, and their columns."""

    samples: tuple[Sample, ...]
    columns: Columns
    edition: object = None
    """The same in two of one record: between them samples came and went at the ends alone, or in
    the newest minute. None: not known."""

    def of(self, samples: tuple[Sample, ...]) -> Columns:
        """Return the columns of samples: these, where they are the very same."""
        return self.columns if samples is self.samples else Columns.of(samples)


NOTHING = Recorded((), _NONE)
"""A past without a sample."""


class Record:
    """Samples, oldest first, and their columns."""

    __slots__ = ("_columns", "_edition", "samples")

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self.samples = list(samples)
        """Not to be changed but by the methods here."""
        self._columns = _NONE
        self._edition = object()

    @property
    def columns(self) -> Columns:
        """The columns of all samples."""
        known, samples = len(self._columns), self.samples
        if known < len(samples):
            new = Columns.of(samples[known:], samples[max(0, known - MOST_BEFORE) : known])
            self._columns = new.after(self._columns)
        return self._columns

    def until(self, at_s: float) -> Recorded:
        """Return what is known before an instant."""
        end = bisect.bisect_left(self.samples, at_s, key=_at_s)
        if end == len(self.samples):  # the usual case
            return Recorded(tuple(self.samples), self.columns, self._edition)
        return Recorded(tuple(self.samples[:end]), self.columns.between(0, end), self._edition)

    def last_from(self, at_s: float) -> Sample | None:
        """Return the newest sample if it is not older than an instant."""
        newest = self.samples[-1] if self.samples else None
        return None if newest is None or newest.at_s < at_s else newest

    def add(self, sample: Sample) -> None:
        """Add a sample that is later than those there are."""
        self.samples.append(sample)

    def merge(self, samples: Sequence[Sample]) -> None:
        """Add samples in order of time; what is known of an instant stays."""
        own = self.samples
        if own and samples and samples[0].at_s == own[-1].at_s:
            samples = samples[1:]
        if not own or not samples or samples[0].at_s > own[-1].at_s:
            own.extend(samples)
        elif samples[-1].at_s < own[0].at_s:
            self.put_before(samples)
        else:
            self._edition = object()
            known = {sample.at_s: sample for sample in (*samples, *own)}
            self.samples, self._columns = [known[at_s] for at_s in sorted(known)], _NONE

    def put_before(self, earlier: Sequence[Sample]) -> None:
        """Add samples that are earlier than those there are."""
        if not earlier:
            return
        self._edition = object()
        if len(self._columns):
            older = Record(earlier).columns
            first = Columns.of(self.samples[:1], earlier[-MOST_BEFORE:])
            self._columns = self._columns.joined_to(older, first)
        self.samples[:0] = earlier

    def drop_from(self, at_s: float) -> None:
        """Drop the samples at and after an instant: they are to be made anew."""
        end = bisect.bisect_left(self.samples, at_s, key=_at_s)
        if end < len(self.samples):
            if minute_of(self.samples[end].at_s) < minute_of(self.samples[-1].at_s):
                self._edition = object()
            del self.samples[end:]
            self._columns = self._columns.between(0, min(end, len(self._columns)))

    def take_before(self, at_s: float) -> list[Sample]:
        """Take out the samples before an instant, and return them."""
        first = bisect.bisect_left(self.samples, at_s, key=_at_s)
        if not first:
            return []
        taken, self.samples = self.samples[:first], self.samples[first:]
        known = len(self._columns)
        self._columns = self._columns.between(first) if known > first else _NONE
        return taken


def minute_of(at_s: float) -> int:
    """Return the whole minute that an instant is in, as forecasts count them."""
    return bucket_of(at_s, MINUTE_S)


def _at_s(sample: Sample) -> float:
    return sample.at_s
