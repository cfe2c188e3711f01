"""
Whether the page of an engine lives: stuck, idle before its first request, or at work.

Any counter that moves is a sign of life. Pages change at their own pace, whatever the scrape
(Ray's every nine seconds, SGLang's gauges once in so many steps), so how long nothing may move is
measured against the changes of the page itself. A function of the points alone.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Iterable, Sequence

from .readings import Server, server_of
from .series import Subject, Track

FROZEN_INTERVALS = 2
_JITTER = 0.1
"""Share of the span by which its scrapes may lie further apart than they should."""
_GONE_S = 300.0
"""A server that was silent for so long is no part of its replica any more."""
_LOOK_BACK_S = 600.0
_LEAST_GAPS, _MOST_GAPS = 3, 9
"""Times between changes that tell the page's pace: with fewer it is not known yet."""


class Life:
    """
    The signs of one replica's page.

    ``running`` are the series of requests that run, ``counters`` those of all counters,
    ``moving`` what else moves while the engine works, ``still`` what is there beside them.
    ``stated_s`` is how often the page changes, as its profile says.
    """

    def __init__(
        self,
        *,
        running: Iterable[Track],
        counters: Iterable[Track],
        moving: Iterable[Track],
        still: Iterable[Track],
        interval_s: float,
        stale_after_s: float,
        stated_s: float,
    ) -> None:
        self._running = tuple(dict.fromkeys(running))
        self._counters = tuple(dict.fromkeys(counters))
        self._moving = tuple(dict.fromkeys((*self._counters, *moving)))
        self._page = tuple(dict.fromkeys((*self._moving, *self._running, *still)))
        self._interval_s = interval_s
        self._stale_after_s = stale_after_s
        self._stated_s = stated_s

    def is_fresh(self, at_s: float, server: Server | None = None) -> bool:
        """Whether anything of the page (of one server of it) is fresh."""
        return any(
            track.at(at_s, self._stale_after_s) is not None
            for track in self._page
            if server is None or server_of(track) == server
        )

    def is_frozen(self, at_s: float) -> bool:
        """
        Whether requests ran while nothing moved for two of the page's own intervals.

        At least three scrapes with the same values: two could be one prompt that takes a while.
        """
        if not self._stood_still(at_s, self._interval_s):
            return False
        refresh_s = self._refresh_s(at_s)
        return refresh_s <= self._interval_s or self._stood_still(at_s, refresh_s)

    def is_quiet(self, at_s: float) -> bool:
        """Whether the page's counters are fresh (or it has none) and none of them moves."""
        back_s = FROZEN_INTERVALS * max(self._interval_s, self._stated_s) * (1 + _JITTER)
        return self.is_fresh(at_s) and not any(
            _has_moved(track, at_s, back_s) for track in self._fresh(self._counters, at_s)
        )

    def has_counted(self, at_s: float) -> bool:
        """Whether a counter stands above zero: the engine has worked before."""
        return any(track.at(at_s, self._stale_after_s) for track in self._counters)

    def is_partial(self, at_s: float) -> bool:
        """Whether a server is silent that made up the replica with others until lately."""
        spans = [one for one in self._spans(at_s).values() if one.last_s > at_s - _GONE_S]
        silent = [one for one in spans if one.last_s <= at_s - self._stale_after_s]
        return len(silent) < len(spans) and any(
            not any(one.is_followed_by(other) for other in spans) for one in silent
        )

    def _spans(self, at_s: float) -> dict[Server, "_Span"]:
        """Return from when to when each server spoke, up to an instant."""
        found: dict[Server, _Span] = {}
        for track in self._page:
            last = track.last(at_s)
            if last is not None:
                server, own = server_of(track), _Span(track.subject, track.times[0], last[0])
                found[server] = own.joined(found.get(server, own))
        return found

    def _fresh(self, tracks: Iterable[Track], at_s: float) -> list[Track]:
        return [track for track in tracks if track.at(at_s, self._stale_after_s) is not None]

    def _stood_still(self, at_s: float, interval_s: float) -> bool:
        """Whether requests ran for as long as two intervals, and nothing moved."""
        span_s = FROZEN_INTERVALS * interval_s
        moving = [_over(track, at_s, span_s) for track in self._fresh(self._moving, at_s)]
        running = [_over(track, at_s, span_s) for track in self._fresh(self._running, at_s)]
        return (
            bool(moving)
            and all(len(values) > FROZEN_INTERVALS and len(set(values)) == 1 for values in moving)
            and any(len(values) > FROZEN_INTERVALS and min(values) > 0 for values in running)
        )

    def _refresh_s(self, at_s: float) -> float:
        """Return the median time between changes of the page while requests ran."""
        changes = {at for track in self._moving for at in track.changes(at_s, _LOOK_BACK_S)}
        gaps = [
            later - earlier
            for earlier, later in itertools.pairwise(sorted(changes))
            if self._ran_through(earlier, later)
        ]
        if len(gaps) < _LEAST_GAPS:
            return self._stated_s
        return statistics.median(gaps[-_MOST_GAPS:])

    def _ran_through(self, since_s: float, until_s: float) -> bool:
        return any(
            values and min(values) > 0
            for track in self._running
            if (values := track.recent(until_s, until_s - since_s))
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Span:
    """From when to when a server spoke."""

    pod: Subject
    first_s: float
    last_s: float

    def joined(self, other: "_Span") -> "_Span":
        first_s, last_s = min(self.first_s, other.first_s), max(self.last_s, other.last_s)
        return _Span(self.pod, first_s, last_s)

    def is_followed_by(self, other: "_Span") -> bool:
        """Whether the other one is this one's pod begun anew."""
        return self.pod == other.pod and other.first_s > self.last_s


def _over(track: Track, at_s: float, span_s: float) -> Sequence[float]:
    """Return the values of the newest point and of the span before it; none: it is younger."""
    last = track.last(at_s)
    if last is None or track.first_s > last[0] - span_s * (1 - _JITTER):
        return ()
    return track.recent(at_s, span_s * (1 + _JITTER))


def _has_moved(track: Track, at_s: float, back_s: float) -> bool:
    """Whether a counter rose; one that is new and not 0 may have."""
    values = track.recent(at_s, back_s)
    if len(values) == 1:
        return values[0] != 0 and track.last(at_s) == (track.times[0], values[0])
    return len(set(values)) > 1
