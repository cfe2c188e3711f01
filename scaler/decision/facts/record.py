"""
What a source keeps of a workload: samples in order of time, and their columns beside them.

The columns are brought up to date when they are asked for, bucket by bucket as samples came; they
are those that making all of them anew would give.
"""

import bisect
from collections.abc import Iterable, Sequence

from scaler.decision.sample import Sample
from scaler.decision.sliding import bucket_of

from .bucket import MOST_BEFORE
from .columns import Columns, matrices_of
from .packed import NO_COLUMNS, Resting

MINUTE_S = 60.0


class Recorded:
    """Samples at one time, and their columns, which are unpacked when they are first read."""

    __slots__ = ("_columns", "edition", "samples")

    def __init__(
        self, samples: tuple[Sample, ...], columns: Columns | Resting, edition: object = None
    ) -> None:
        self.samples = samples
        self._columns = columns
        self.edition = edition
        """The same in two of one record: between them samples came and went at the ends alone, or
        in the newest minute. None: not known."""

    @property
    def columns(self) -> Columns:
        """The columns of the samples."""
        columns = self._columns
        if isinstance(columns, Resting):
            columns = self._columns = columns.columns
        return columns

    def of(self, samples: tuple[Sample, ...]) -> "Recorded":
        """Return what is known of samples: this, where they are the very same."""
        return self if samples is self.samples else Recorded(samples, Columns.of(samples))


NOTHING = Recorded((), NO_COLUMNS)
"""A past without a sample."""


class Record:
    """Samples, oldest first, and their columns."""

    __slots__ = ("_edition", "_held", "samples")

    def __init__(self, samples: Iterable[Sample] = (), *, packs: bool = False) -> None:
        """Begin with some samples; with ``packs``, columns are packed while nobody reads them."""
        self.samples = list(samples)
        """Not to be changed but by the methods here."""
        self._held = Resting.of(NO_COLUMNS, packs=packs)
        self._edition = object()

    @property
    def columns(self) -> Columns:
        """The columns of all samples."""
        return self._up_to_date().columns

    def _up_to_date(self) -> Resting:
        known, samples = len(self._held), self.samples
        if known < len(samples):
            new = matrices_of(samples[known:], samples[max(0, known - MOST_BEFORE) : known])
            self._held = self._held.followed_by(new)
        return self._held

    def until(self, at_s: float) -> Recorded:
        """Return what is known before an instant."""
        end = bisect.bisect_left(self.samples, at_s, key=_at_s)
        columns = self._up_to_date()
        if end == len(self.samples):  # the usual case
            return Recorded(tuple(self.samples), columns, self._edition)
        return Recorded(tuple(self.samples[:end]), columns.between(0, end), self._edition)

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
            self.samples = [known[at_s] for at_s in sorted(known)]
            self._held = Resting.of(NO_COLUMNS, packs=self._held.packs)

    def put_before(self, earlier: Sequence[Sample]) -> None:
        """Add samples that are earlier than those there are."""
        if not earlier:
            return
        self._edition = object()
        if len(self._held):
            older = Record(earlier).columns
            first = Columns.of(self.samples[:1], earlier[-MOST_BEFORE:])
            joined = self._held.columns.joined_to(older, first)
            self._held = Resting.of(joined, packs=self._held.packs)
        self.samples[:0] = earlier

    def drop_from(self, at_s: float) -> None:
        """Drop the samples at and after an instant: they are to be made anew."""
        end = bisect.bisect_left(self.samples, at_s, key=_at_s)
        if end < len(self.samples):
            if minute_of(self.samples[end].at_s) < minute_of(self.samples[-1].at_s):
                self._edition = object()
            del self.samples[end:]
            self._held = self._held.between(0, min(end, len(self._held)))

    def take_before(self, at_s: float) -> list[Sample]:
        """Take out the samples before an instant, and return them."""
        first = bisect.bisect_left(self.samples, at_s, key=_at_s)
        if not first:
            return []
        taken, self.samples = self.samples[:first], self.samples[first:]
        self._held = self._held.between(min(first, len(self._held)), len(self._held))
        return taken


def minute_of(at_s: float) -> int:
    """Return the whole minute that an instant is in, as forecasts count them."""
    return bucket_of(at_s, MINUTE_S)


def _at_s(sample: Sample) -> float:
    return sample.at_s
