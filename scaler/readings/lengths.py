"""
Token lengths of a workload's requests, from the histograms of its pods.

A histogram of every pod would be the largest reply of all, so buckets are added up over pods of
one *stem*: the part of a pod's name that its controller gave to all of them. Two workloads with
pods of one stem cannot be told apart here, and then neither has lengths.
"""

import enum
import math
import re
from collections.abc import Iterable, Mapping

from scaler.capacity.histogram import Histogram
from scaler.decision.window import Lengths

from .series import Point, Subject

STEM = (
    r"(.{58})[bcdfghjklmnpqrstvwxz2456789]{5}"
    r"|(.+)-(?:[bcdfghjklmnpqrstvwxz2456789]{1,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"
    r"|[0-9]+-[0-9]+|[0-9]+)"
)
"""Group 1 or 2 is the stem; the same in Python and in Prometheus (RE2). A generated name is cut at
58 letters before its last five, and may then end in a part of its ReplicaSet's."""

LENGTHS_S = 3600.0
"""How much time the histograms cover."""

_STEM = re.compile(STEM)


class Which(enum.StrEnum):
    """Whose length."""

    PROMPT = "prompt"
    OUTPUT = "output"


def stem_of(pod: str) -> str | None:
    """Return the part of a pod's name that its siblings share; None: nobody gave it the name."""
    match = _STEM.fullmatch(pod)
    return match[1] or match[2] if match else None


class LengthCounter:
    """
    Counts buckets over time where nobody else does: for pages that are read directly.

    Of a pod seen for less than the range, all that it counted since its start.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[Which, Subject, str, str], list[Point]] = {}

    def add(self, which: Which, pod: Subject, row: str, le: str, point: Point) -> None:
        """Take in a bucket's count at an instant; ``row`` tells a pod's rows apart."""
        points = self._seen.setdefault((which, pod, row, le), [])
        if points and point[1] < points[-1][1]:
            points.clear()  # the engine began anew
        points.append(point)

    def forget(self, before_s: float) -> None:
        """Drop what is older than an instant, but the last point before it, and pods gone since."""
        for key, points in list(self._seen.items()):
            while len(points) > 1 and points[1][0] <= before_s:
                del points[0]
            if points[-1][0] <= before_s:
                del self._seen[key]

    def put_into(self, book: "LengthBook", since_s: float) -> None:
        """Put the increase since an instant into a book."""
        rows: dict[Which, list[tuple[Subject, str, float]]] = {}
        for (which, (namespace, pod), _, le), points in self._seen.items():
            stem = stem_of(pod)
            if stem is not None:
                before = points[0][1] if points[0][0] <= since_s else 0.0
                rows.setdefault(which, []).append(((namespace, stem), le, points[-1][1] - before))
        for which, found in rows.items():
            book.put(which, found)


class LengthBook:
    """The newest buckets by namespace and stem."""

    def __init__(self) -> None:
        self._buckets: dict[Which, dict[Subject, dict[float, float]]] = {}
        self._stems: dict[str, list[Subject]] = {}

    def put(self, which: Which, rows: Iterable[tuple[Subject, str, float]]) -> None:
        """
        Put down what was read anew, in place of what was there of those stems.

        ``rows`` are namespace and stem, the bucket's upper bound as text (``le``) and the number
        of requests up to it.
        """
        book: dict[Subject, dict[float, float]] = {}
        for stem, le, count in rows:
            try:
                upper = float(le)
            except ValueError:
                continue
            buckets = book.setdefault(stem, {})
            buckets[upper] = buckets.get(upper, 0.0) + count
        self._buckets.setdefault(which, {}).update(book)

    def settle(self, pods: Mapping[str, Iterable[Subject]]) -> None:
        """Find out whose stem is whose; ``pods`` are those of each workload, by its key."""
        owners: dict[Subject, set[str]] = {}
        for key, found in pods.items():
            for stem in _stems(found):
                owners.setdefault(stem, set()).add(key)
        self._stems = {}
        for stem, keys in owners.items():
            if len(keys) == 1:
                self._stems.setdefault(next(iter(keys)), []).append(stem)

    def of(self, key: str) -> Lengths:
        """Return the lengths of a workload's requests."""
        stems = self._stems.get(key, [])
        return Lengths(
            prompt_tokens=self._histogram(Which.PROMPT, stems),
            output_tokens=self._histogram(Which.OUTPUT, stems),
        )

    def _histogram(self, which: Which, stems: Iterable[Subject]) -> Histogram | None:
        found = [self._buckets.get(which, {}).get(stem, {}) for stem in stems]
        uppers = sorted(set().union(*found))
        total = {upper: sum(_up_to(upper, buckets) for buckets in found) for upper in uppers}
        if not total.get(math.inf):
            return None  # nothing was served in the range
        return _alone(total)


def _stems(pods: Iterable[Subject]) -> set[Subject]:
    return {(namespace, stem) for namespace, pod in pods if (stem := stem_of(pod)) is not None}


def _up_to(upper: float, cumulative: Mapping[float, float]) -> float:
    """Return the count up to a bound; a bound that a histogram does not tell adds nothing."""
    known = cumulative.get(upper)
    if known is not None:
        return known
    return max((count for own, count in cumulative.items() if own <= upper), default=0.0)


def _alone(cumulative: Mapping[float, float]) -> Histogram:
    """Return a histogram whose counts are each bucket's own."""
    uppers = sorted(cumulative)
    counts, before = [], 0.0
    for upper in uppers:
        # Extrapolated increases of neighbouring buckets may cross by a hair.
        counts.append(max(0.0, cumulative[upper] - before))
        before = max(before, cumulative[upper])
    return Histogram(upper=tuple(uppers), counts=tuple(counts))
