"""
The samples of each workload, brought up to date as its series change, and its thinned history.

Only what may have changed since the last time is made anew; the samples are those that making all
of them anew would give.
"""

import dataclasses
import math
from collections.abc import Collection, Iterator, Sequence

from scaler.decision.facts.record import Record, Recorded
from scaler.decision.history import coarse_before_s, coarsen, thinned
from scaler.decision.sample import Sample
from scaler.source import Workload

from .samplers import PodsOf, Samplers
from .sampling import Sampler
from .series import SeriesStore, Subject
from .timing import Intervals, bucket_of
from .wanted import Exporter


@dataclasses.dataclass(slots=True)
class Assembled:
    """What has been assembled of one workload."""

    interval_s: float
    first: int
    """The oldest bucket asked for so far."""
    next: int
    """The bucket to go on with."""
    pods: tuple[Subject, ...] = ()
    round: int = -1
    """The round of reading up to which changes are in."""
    record: Record = dataclasses.field(default_factory=lambda: Record(packs=True))
    sampler: Sampler | None = None
    """What made the samples."""
    left: Sample | None = None
    """The last sample that was taken out."""

    def leave(self, first: int) -> list[Sample]:
        """Take out the samples before a bucket, oldest first; return them thinned."""
        self.first = first
        out = self.record.take_before(self.ends_s(first))
        kept = thinned(out, self.left)
        self.left = out[-1] if out else self.left
        return kept

    def make_next(self) -> None:
        """Make the sample of the next bucket, where there is one."""
        if self.sampler is not None:
            before = self.record.last_from(self.ends_s(self.next - 1))
            sample = self.sampler.at(self.next * self.interval_s, before)
            if sample is not None:
                self.record.add(sample)
        self.next += 1

    def ends_s(self, bucket: int) -> float:
        """Return an instant just before the end of a bucket, and after that of the one before."""
        return (bucket - 0.5) * self.interval_s


class Assembler:
    """Samples by workload; the caller may let others in between two buckets."""

    def __init__(
        self, store: SeriesStore, *, samplers: Samplers, intervals: Intervals, pods_of: PodsOf
    ) -> None:
        self._store = store
        self._samplers = samplers
        self._intervals = intervals
        self._pods_of = pods_of
        self._assembled: dict[str, Assembled] = {}
        self._history: dict[str, Record] = {}
        self._coarse_s = -math.inf

    def assemble(self, workload: Workload, first: int, last: int, interval_s: float) -> Assembled:
        """Bring the samples of some buckets up to date, and return them."""
        known = self._begun(workload, first, interval_s)
        for _ in self._going_on(workload, known, first, last):
            pass
        return known

    def assembling(
        self, workload: Workload, first: int, last: int, interval_s: float
    ) -> Iterator[None]:
        """Do as :meth:`assemble`, a bucket at a time."""
        known = self._begun(workload, first, interval_s)
        yield from self._going_on(workload, known, first, last)

    def history(self, workload: Workload, until_s: float) -> Recorded:
        """Return the thinned samples before an instant."""
        return self._history.get(workload.key, Record()).until(until_s)

    def add_history(self, workload: Workload, samples: Sequence[Sample]) -> None:
        """Add thinned samples; what is known of an instant stays."""
        self._history.setdefault(workload.key, Record()).merge(samples)

    def forget(self, before_s: float, workloads: Collection[str], now_s: float) -> None:
        """
        Drop history up to an instant, and all but some workloads, given by their keys.

        What has become a day old is thinned further, once an hour.
        """
        for kept in (self._assembled, self._history):
            for key in kept.keys() - set(workloads):
                del kept[key]
        for history in self._history.values():
            history.take_before(math.nextafter(before_s, math.inf))
            if coarse_before_s(now_s) > self._coarse_s:
                coarsen(history, coarse_before_s(now_s))
        self._coarse_s = coarse_before_s(now_s)

    def _begun(self, workload: Workload, first: int, interval_s: float) -> Assembled:
        """Return what is assembled of a workload so far; nothing, where it has to begin anew."""
        with self._store.lock:
            known, pods = self._assembled.get(workload.key), self._pods_of(workload)
            if (
                known is None
                or known.interval_s != interval_s
                or known.first > first
                or not set(known.pods) <= set(pods)
            ):
                known = Assembled(interval_s=interval_s, first=first, next=first)
                self._assembled[workload.key] = known
            return known

    def _going_on(
        self, workload: Workload, known: Assembled, first: int, last: int
    ) -> Iterator[None]:
        """
        Bring the samples up to date; what comes in between two buckets counts next time.

        Several may be at it at once (a pool reads the workloads that live on it): between two
        buckets what is known is whole up to :attr:`Assembled.next`, whoever goes on from there.
        """
        with self._store.lock:
            self._begin_at(self._start(workload, known, first, last), workload, known)
        while True:
            with self._store.lock:
                if known.next > last:
                    self.add_history(workload, known.leave(first))
                    return
                known.make_next()
            yield

    def _start(self, workload: Workload, known: Assembled, first: int, last: int) -> int:
        """Return the first bucket to make anew."""
        start = self._changed_from(workload, known, first, last)
        if self._samplers.of(workload) is known.sampler:
            return start
        # A counter that is new was 0 until then, as long before as a reading stands.
        exporters = (Exporter.ENGINE, Exporter.GATEWAY)
        stale_after_s = max(map(self._intervals.stale_after_s, exporters))
        return max(first, start - math.ceil(stale_after_s / known.interval_s))

    def _begin_at(self, start: int, workload: Workload, known: Assembled) -> None:
        """Drop what is made anew; what is left has all of the newest round in it."""
        known.record.drop_from(known.ends_s(start))
        known.next = start
        known.pods, known.round = self._pods_of(workload), self._store.round
        known.sampler = self._samplers.of(workload)

    def _changed_from(self, workload: Workload, known: Assembled, first: int, last: int) -> int:
        """Return the first bucket whose sample may differ from what is known."""
        read_from = self._samplers.read_from(workload)
        since_s = min(self._store.changed_since(subject, known.round) for subject in read_from)
        unseen = min(known.next, last)
        if since_s >= unseen * known.interval_s:
            return unseen
        return first if since_s == -math.inf else max(first, bucket_of(since_s, known.interval_s))
