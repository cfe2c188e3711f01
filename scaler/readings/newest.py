"""
Up to when a workload is known, and when more of it can be.

A bucket that is read before all of its scrapes are in holds the counts of the one before, as if
nothing had happened in it. So a window ends in the newest one in which all have reported; and until
the last of them can have reported in the next one, asking for more changes nothing.
"""

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scaler.source import Workload

from .samplers import Samplers
from .series import Track
from .timing import Intervals, Lateness, bucket_before, bucket_of
from .wanted import Exporter

Reports = Iterable[tuple[float, Iterable[Track]]]
"""Scrape intervals, and series that are scraped so often."""

_EARLY = 0.02
"""Of its interval a scrape may come early: timestamps of some scrapers are not quite regular."""


class NewestBuckets:
    """Says of workloads which bucket is the newest that is known."""

    def __init__(
        self,
        samplers: Samplers,
        *,
        intervals: Intervals,
        lateness: Lateness,
        ingestion_delay_s: float,
    ) -> None:
        self._samplers = samplers
        self._intervals = intervals
        self._lateness = lateness
        self._delay_s = ingestion_delay_s

    def of(self, workload: Workload, now_s: float) -> int:
        """
        Return the bucket that a window ends in; with no engine to hear of, that of now.

        An answer to a query bears the time of asking: it says what a bucket held once that is over.
        """
        interval_s = self._intervals.interval_s(Exporter.ENGINE)
        sampler, late_s = self._samplers.of(workload), self._lateness.worst_s(now_s)
        if not sampler.hears_engines(now_s):
            return bucket_of(now_s - self._delay_s, interval_s)
        if workload.arrival_query is not None:
            return bucket_before(now_s - late_s, interval_s)
        return newest_reported(
            sampler.reports(now_s), interval_s=interval_s, now_s=now_s, delay_s=late_s
        )

    def next_s(self, workload: Workload, now_s: float) -> float:
        """
        Return from when on more can be known than is now, Unix seconds; ``now_s``: at any time.

        At any time where no engine is heard of, and where a replica is ready that has not reported
        yet: when it is scraped nobody knows. Never (inf), while the API says that none is ready.
        """
        interval_s = self._intervals.interval_s(Exporter.ENGINE)
        sampler, late_s = self._samplers.of(workload), self._lateness.worst_s(now_s)
        if not sampler.hears_engines(now_s):
            return math.inf if sampler.is_at_zero(now_s) else now_s
        if sampler.awaits_first(now_s):
            return now_s
        if workload.arrival_query is not None:
            return (bucket_before(now_s - late_s, interval_s) + 1) * interval_s + late_s
        return next_reported_s(
            sampler.reports(now_s), interval_s=interval_s, now_s=now_s, delay_s=late_s
        )


def newest_reported(reports: Reports, *, interval_s: float, now_s: float, delay_s: float) -> int:
    """
    Return the newest bucket in which all have reported, or the newest that is over if it is later.

    One that is over for ``delay_s`` is taken as it is: who has not reported by then has not been
    scraped. Where nobody has, it is the one that now is in: silence is told as soon as readings
    stand no longer.

    Args:
        reports: nobody waits for a series that was missing for a whole bucket, that is scraped less
            than once in each, or that has reported only once: nothing is counted between its
            reports.
        interval_s: of the grid.
        now_s: Unix seconds; later points are not known yet.
        delay_s: how long a sample may take until it is there.
    """
    over = bucket_before(now_s - delay_s, interval_s)
    known = _known(reports, interval_s, now_s)
    newest = max((one.bucket for one in known), default=over)
    if newest < over:
        # In a whole bucket nobody reported: there is nobody to wait for.
        return bucket_of(now_s - delay_s, interval_s)
    awaited = (one.bucket for one in known if one.again and one.bucket >= newest - 1)
    return max(over, min(awaited, default=newest))


def next_reported_s(reports: Reports, *, interval_s: float, now_s: float, delay_s: float) -> float:
    """
    Return when the bucket after :func:`newest_reported` can be known, of the same arguments.

    Once all that have reported in the newest one were scraped again, or it is over. ``now_s``:
    nobody is waited for, or somebody is overdue.
    """
    reports = [(own_s, tuple(tracks)) for own_s, tracks in reports]
    newest = newest_reported(reports, interval_s=interval_s, now_s=now_s, delay_s=delay_s)
    end_s = (newest + 1) * interval_s
    awaited = [
        one for one in _known(reports, interval_s, now_s) if one.again and one.bucket == newest
    ]
    expected = max((one.last_before(end_s) for one in awaited), default=now_s)
    return max(now_s, min(expected, end_s + delay_s))


class _Report(NamedTuple):
    """How far a series has reported."""

    bucket: int
    """The last bucket that all of its scrapes are in of."""
    again: bool
    """It has reported more than once."""
    at_s: float
    own_s: float

    def last_before(self, end_s: float) -> float:
        """Return when its last scrape before an instant, or the next one, is to be expected."""
        scrapes = max(1, math.floor((end_s - self.at_s) / self.own_s + 1e-9))
        return self.at_s + (scrapes - _EARLY) * self.own_s


def _known(reports: Reports, interval_s: float, now_s: float) -> Sequence[_Report]:
    return [
        # It has reported in a bucket once its last scrape that falls into it is there.
        _Report(bucket_of(at_s + own_s, interval_s) - 1, last > 0, at_s, own_s)
        for own_s, tracks in reports
        if own_s <= interval_s
        for track in tracks
        if (last := bisect.bisect_right(track.times, now_s) - 1) >= 0
        for at_s in (track.times[last],)
    ]
