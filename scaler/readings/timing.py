"""
When readings are made: the grid, how long a reading stands, how late it may come.

A bucket is the engines' scrape interval, at least one second, aligned to multiples of it in Unix
time, so that every scaler has the same grid.
"""

import collections
import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .series import Point, SeriesStore
from .spoken import is_api
from .wanted import Exporter, Wanted

STALE_INTERVALS = 2.5
"""A reading stands for so many of its exporter's scrape intervals."""

_DEFAULT_INTERVAL_S = 15.0
"""Until two points of a series have been seen, where nothing is stated."""
_SERIES_MEASURED = 8
_LATE_REMEMBERED_S = 600.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What is stated about the time of readings."""

    interval_s: Mapping[Exporter, float] = dataclasses.field(default_factory=dict)
    """Scrape intervals; those not stated are the median gap of the exporter's timestamps."""
    ingestion_delay_s: float = 0.0
    """How long a reading may take from its scrape until it can be read."""


class Intervals:
    """Scrape intervals, stated or measured."""

    def __init__(self, timing: Timing) -> None:
        self._stated = timing.interval_s
        self._measured: dict[Exporter, float] = {}
        self._heard: dict[Wanted, list[list[float]]] = {}
        self._from_replies: set[Exporter] = set()

    @property
    def known_s(self) -> dict[Exporter, float]:
        """Intervals that are stated or measured."""
        return {**self._measured, **self._stated}

    def interval_s(self, exporter: Exporter) -> float:
        """Return an exporter's scrape interval: stated, measured, else the engines' one."""
        known = self.known_s
        engine_s = known.get(Exporter.ENGINE, _DEFAULT_INTERVAL_S)
        return max(1.0, known.get(exporter, engine_s))

    def stale_after_s(self, exporter: Exporter) -> float:
        """Return how long a reading of an exporter stands."""
        return STALE_INTERVALS * self.interval_s(exporter)

    def hear(self, wanted: Wanted, points: Sequence[Point]) -> None:
        """
        Take in the gaps of one series in one reply.

        A server that tells of a pair of Prometheus as of one (Thanos) may answer from either: what
        comes together is mostly one's, what comes together over time is both's.
        """
        heard = self._heard.setdefault(wanted, [])
        if len(points) > 1 and len(heard) < _SERIES_MEASURED:
            times = (at_s for at_s, _ in points[-20:])
            heard.append([later - earlier for earlier, later in itertools.pairwise(times)])

    def measure(self, store: SeriesStore, wanted: Iterable[Wanted]) -> None:
        """
        Take the median gap for what is not stated.

        Of what a reply held at once; of some series that are stored, where pages come one by one.
        """
        gaps: dict[Exporter, list[float]] = {}
        for one, heard in self._heard.items():
            if heard:
                gaps.setdefault(one.exporter, []).extend(itertools.chain(*heard))
        self._heard = {}
        self._from_replies.update(gaps)
        for one in wanted:
            if one.exporter not in self._from_replies and not one.once_a_minute:
                gaps.setdefault(one.exporter, []).extend(_stored_gaps(store, one))
        for exporter, found in gaps.items():
            if found and exporter not in self._stated:
                self._measured[exporter] = max(1.0, float(round(statistics.median(found))))


def _stored_gaps(store: SeriesStore, wanted: Wanted) -> Iterator[float]:
    for metric in wanted.metrics:
        scraped = (track for track in store.all_tracks(metric) if not is_api(track.labels))
        for track in itertools.islice(scraped, _SERIES_MEASURED):
            yield from track.gaps()


class Lateness:
    """How late samples become visible: as stated, or as seen from one reading to the next."""

    def __init__(self, stated_s: float = 0.0) -> None:
        self._stated_s = stated_s
        self._largest: collections.deque[tuple[float, float]] = collections.deque()
        """(Noted at, seconds), the seconds falling: what may yet be the largest."""

    def note(self, now_s: float, late_s: float) -> None:
        """Note that a sample which was not there ``late_s`` after its scrape is there now."""
        while self._largest and self._largest[-1][1] <= late_s:
            self._largest.pop()
        self._largest.append((now_s, late_s))

    def worst_s(self, now_s: float) -> float:
        """Return how late a sample came in the last ten minutes, at worst; as stated, at least."""
        while self._largest and self._largest[0][0] <= now_s - _LATE_REMEMBERED_S:
            self._largest.popleft()
        return max(self._stated_s, self._largest[0][1] if self._largest else 0.0)


def bucket_of(at_s: float, interval_s: float) -> int:
    """Return the number of the bucket that an instant is in: bucket k ends at k intervals."""
    return math.ceil(at_s / interval_s - 1e-9)


def bucket_before(at_s: float, interval_s: float) -> int:
    """Return the number of the last bucket that has ended at an instant."""
    return math.floor(at_s / interval_s + 1e-9)
