"""
When readings are made: the grid, how long a reading stands, how late it may come.

A bucket is the engines' scrape interval, at least one second, aligned to multiples of it in Unix
time, so that every scaler has the same grid.
"""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterable, Mapping

from .series import SeriesStore
from .spoken import is_api
from .wanted import Exporter, Wanted

STALE_INTERVALS = 2.5
"""A reading stands for so many of its exporter's scrape intervals."""

_DEFAULT_INTERVAL_S = 15.0
"""Until two points of a series have been seen, where nothing is stated."""
_SERIES_MEASURED = 8


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

    def measure(self, store: SeriesStore, wanted: Iterable[Wanted]) -> None:
        """Take the median gap of some of an exporter's series for what is not stated."""
        gaps: dict[Exporter, list[float]] = {}
        for one in wanted:
            if one.exporter not in self._stated and not one.once_a_minute:
                for metric in one.metrics:
                    scraped = (t for t in store.all_tracks(metric) if not is_api(t.labels))
                    some = itertools.islice(scraped, _SERIES_MEASURED)
                    found = gaps.setdefault(one.exporter, [])
                    found += [gap for track in some for gap in track.gaps()]
        for exporter, found in gaps.items():
            if found:
                self._measured[exporter] = max(1.0, float(round(statistics.median(found))))


def bucket_of(at_s: float, interval_s: float) -> int:
    """Return the number of the bucket that an instant is in: bucket k ends at k intervals."""
    return math.ceil(at_s / interval_s - 1e-9)


def bucket_before(at_s: float, interval_s: float) -> int:
    """Return the number of the last bucket that has ended at an instant."""
    return math.floor(at_s / interval_s + 1e-9)
