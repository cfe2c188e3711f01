"""
Readings as they came in: series of timed values, merged by series and sample time.

Merging the same points twice changes nothing, points that come late get in, and a series holds
only values (NaN and infinities never enter), so that what is read off the store depends on what
the world reported and not on when it was asked.
"""

import array
import bisect
import itertools
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scaler.errors import SourceError
from scaler.said import Said

from .plausible import is_reading

Labels = tuple[tuple[str, str], ...]
"""Label pairs in order of name."""

Subject = tuple[str, str]
"""Namespace and name of what a series is about: a pod, a Deployment, a node (no namespace)."""

Point = tuple[float, float]
"""Unix seconds, value."""

EVERYTHING = -math.inf
"""An instant before all others: everything may have changed."""

_KEPT_ROUNDS = 8


class Track:
    """The points of one series, in time order."""

    __slots__ = ("labels", "refused_s", "subject", "times", "values")

    def __init__(self, labels: Mapping[str, str], subject: Subject = ("", "")) -> None:
        self.labels = labels
        self.subject = subject
        self.times = array.array("d")
        self.values = array.array("d")
        self.refused_s = -math.inf
        """Time of the newest point that was no reading: it is read again, and counts once."""

    @property
    def first_s(self) -> float:
        """The instant of the first point; inf: there is none."""
        return self.times[0] if self.times else math.inf

    def merge(self, points: Sequence[Point]) -> float:
        """
        Take in points in time order; return the earliest instant that is new (inf: none).

        The first value seen for an instant stays: a series has one value at one time.
        """
        earliest = math.inf
        for at_s, value in points:
            if not is_reading(value):
                continue
            if not self.times or at_s > self.times[-1]:
                self.times.append(at_s)
                self.values.append(value)
            else:
                place = bisect.bisect_left(self.times, at_s)
                if self.times[place] == at_s:
                    continue
                self.times.insert(place, at_s)
                self.values.insert(place, value)
            earliest = min(earliest, at_s)
        return earliest

    def refuse(self, points: Sequence[Point]) -> int:
        """Return how many points are no readings that were not known for it before."""
        wild = [at_s for at_s, value in points if not is_reading(value) and at_s > self.refused_s]
        self.refused_s = max(wild, default=self.refused_s)
        return len(wild)

    def at(self, at_s: float, stale_after_s: float) -> float | None:
        """Return the last value in ``(at − stale_after, at]``; None: missing at that instant."""
        place = bisect.bisect_right(self.times, at_s) - 1
        if place < 0 or self.times[place] <= at_s - stale_after_s:
            return None
        return self.values[place]

    def last(self, at_s: float) -> Point | None:
        """Return the last point at or before an instant, however old."""
        place = bisect.bisect_right(self.times, at_s) - 1
        return None if place < 0 else (self.times[place], self.values[place])

    def recent(self, at_s: float, back_s: float) -> Sequence[float]:
        """Return the values of the last point at an instant and of those up to back_s before it."""
        end = bisect.bisect_right(self.times, at_s)
        if end == 0:
            return ()
        return self.values[bisect.bisect_left(self.times, self.times[end - 1] - back_s) : end]

    def changes(self, at_s: float, back_s: float) -> list[float]:
        """Return the instants in ``(at − back, at]`` whose value is not the one before."""
        first = max(1, bisect.bisect_right(self.times, at_s - back_s))
        end = bisect.bisect_right(self.times, at_s)
        return [
            self.times[at] for at in range(first, end) if self.values[at] != self.values[at - 1]
        ]

    def gaps(self) -> list[float]:
        """Return the seconds between neighbouring points, of the newest points."""
        return [later - earlier for earlier, later in itertools.pairwise(self.times[-20:])]

    def forget(self, before_s: float) -> None:
        """Drop the points before an instant."""
        first = bisect.bisect_left(self.times, before_s)
        if first:
            del self.times[:first]
            del self.values[:first]


class SeriesStore:
    """
    All series of one source, by metric name, subject and labels.

    Bounded: more than ``max_series`` series is an error, and :meth:`forget` drops what is old.

    Readings come in on one thread while windows are read off on another: each change takes
    ``lock``, and so does whoever reads more than one value that must belong together.
    """

    def __init__(self, *, max_series: int = 500_000) -> None:
        self.lock = threading.RLock()
        self.refused = 0
        """Points that were no readings: beyond what any unit allows."""
        self._max_series = max_series
        self._count = 0
        self._round = 0
        self._tracks: dict[str, dict[Subject, dict[Labels, Track]]] = {}
        self._changes: dict[Subject, dict[int, float]] = {}
        self._shapes: dict[str | Subject, int] = {}
        self._refused_s: dict[Subject, float] = {}
        """By subject: the newest instant whose readings were beyond their unit."""
        self._shaped = 0

    def __len__(self) -> int:
        """Return how many series there are."""
        return self._count

    @property
    def round(self) -> int:
        """The number of the current round of reading; see :meth:`changed_since`."""
        return self._round

    def next_round(self) -> None:
        """Begin a new round: what is merged from now on counts as changed in it."""
        self._round += 1

    def merge(
        self, metric: str, subject: Subject, labels: Mapping[str, str], points: Sequence[Point]
    ) -> float | None:
        """
        Take in points of one series, in time order.

        Returns the instant of the newest point that there was before; None: a new series.

        Raises:
            SourceError: kind ``limit``, when this series would be one too many.
        """
        with self.lock:
            rows = self._tracks.setdefault(metric, {}).setdefault(subject, {})
            key = tuple(sorted(labels.items()))
            track = rows.get(key)
            if track is None:
                if self._count >= self._max_series:
                    raise SourceError(
                        "limit", Said("more than {most} series (maxSeries)", most=self._max_series)
                    )
                track = rows[key] = Track(labels, subject)
                self._resize(metric, subject, 1)
            before_s = track.times[-1] if track.times else None
            self.refused += track.refuse(points)
            earliest = track.merge(points)
            if earliest < math.inf:
                self.mark_changed(subject, earliest)
            return before_s

    def refuse(self, subject: Subject, at_s: float, readings: int) -> None:
        """Count readings of a subject that are beyond their unit, those of one instant once."""
        if readings and at_s > self._refused_s.get(subject, -math.inf):
            self._refused_s[subject] = at_s
            self.refused += readings

    def mark_changed(self, subject: Subject, since_s: float) -> None:
        """Note that what is known of a subject may differ from an instant on."""
        rounds = self._changes.setdefault(subject, {})
        rounds[self._round] = min(since_s, rounds.get(self._round, math.inf))
        while len(rounds) > _KEPT_ROUNDS:
            rounds.pop(min(rounds))

    def changed_since(self, subject: Subject, round_: int) -> float:
        """
        Return the earliest instant of a subject that changed in or after a round (inf: none).

        Only the newest rounds are remembered: asked about an older one the answer is "everything".
        """
        rounds = self._changes.get(subject)
        if not rounds:
            return math.inf
        if len(rounds) == _KEPT_ROUNDS and round_ < min(rounds):
            return EVERYTHING
        return min((since for at, since in rounds.items() if at >= round_), default=math.inf)

    def tracks(self, metric: str, subject: Subject) -> Iterable[Track]:
        """Return the series of a metric that are about a subject."""
        return self._tracks.get(metric, {}).get(subject, {}).values()

    def fresh(
        self, metric: str, subject: Subject, at_s: float, stale_after_s: float
    ) -> list[Track]:
        """Return the series of a metric about a subject that have a value at an instant."""
        tracks = self.tracks(metric, subject)
        return [track for track in tracks if track.at(at_s, stale_after_s) is not None]

    def value(
        self, metric: str, subject: Subject, at_s: float, stale_after_s: float
    ) -> float | None:
        """Return the largest value at an instant, of rows that repeat one another."""
        values = (track.at(at_s, stale_after_s) for track in self.tracks(metric, subject))
        return max((value for value in values if value is not None), default=None)

    def shape(self, of: str | Subject) -> int:
        """Return a number that grows when a metric, or a subject, has other series than before."""
        return self._shapes.get(of, 0)

    def _resize(self, metric: str, subject: Subject, by: int) -> None:
        self._count += by
        self._shaped += 1
        for of in (metric, subject):
            self._shapes[of] = self._shaped

    def subjects(self, metric: str) -> Iterable[Subject]:
        """Return what a metric has series about."""
        return self._tracks.get(metric, {}).keys()

    def all_tracks(self, metric: str) -> Iterator[Track]:
        """Return every series of a metric."""
        for rows in self._tracks.get(metric, {}).values():
            yield from rows.values()

    def oldest_s(self) -> float:
        """Return the instant of the oldest point of all; inf: there is none."""
        with self.lock:
            tracks = itertools.chain.from_iterable(map(self.all_tracks, self._tracks))
            return min((track.first_s for track in tracks), default=math.inf)

    def forget(self, before_s: float) -> None:
        """Drop points before an instant, and series without any left."""
        for metric in list(self._tracks):
            with self.lock:  # a metric at a time: whoever reads off a window waits for no more
                self._forget(metric, before_s)
        with self.lock:
            alive = {subject for subjects in self._tracks.values() for subject in subjects}
            for subject in self._changes.keys() - alive:
                del self._changes[subject]
            for subject in self._refused_s.keys() - alive:
                del self._refused_s[subject]
            for of in self._shapes.keys() - alive - self._tracks.keys():
                del self._shapes[of]

    def _forget(self, metric: str, before_s: float) -> None:
        subjects = self._tracks[metric]
        for subject, rows in list(subjects.items()):
            for labels, track in list(rows.items()):
                track.forget(before_s)
                if not track.times:
                    del rows[labels]
                    self._resize(metric, subject, -1)
            if not rows:
                del subjects[subject]
        if not subjects:
            del self._tracks[metric]
