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

from scaler.decision.window import Histogram, Lengths

from .series import Subject

STEM = (
    r"(.+)-(?:[bcdfghjklmnpqrstvwxz2456789]{1,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"
    r"|[0-9]+-[0-9]+|[0-9]+)"
)
"""Group 1 is the stem; the same in Python and in Prometheus (RE2)."""

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
    return match[1] if match else None


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
        total: dict[float, float] = {}
        for stem in stems:
            for upper, count in self._buckets.get(which, {}).get(stem, {}).items():
                total[upper] = total.get(upper, 0.0) + count
        if not total.get(math.inf):
            return None  # nothing was served in the range
        return _alone(total)


def _stems(pods: Iterable[Subject]) -> set[Subject]:
    return {(namespace, stem) for namespace, pod in pods if (stem := stem_of(pod)) is not None}


def _alone(cumulative: Mapping[float, float]) -> Histogram:
    """Return a histogram whose counts are each bucket's own."""
    uppers = sorted(cumulative)
    counts, before = [], 0.0
    for upper in uppers:
        # Extrapolated increases of neighbouring buckets may cross by a hair.
        counts.append(max(0.0, cumulative[upper] - before))
        before = max(before, cumulative[upper])
    return Histogram(upper=tuple(uppers), counts=tuple(counts))
