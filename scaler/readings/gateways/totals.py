"""
How the rows of a gateway become one number: all of a workload's, whatever else tells them apart.

A gateway labels its rows by whatever its makers thought of (user, key, route, status, process), so
rows of one scrape add up. What repeats is a scrape: two jobs that read one target, or two replicas
of a Prometheus. They differ in labels that a scrape gives, and of them the largest counts.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence

from scaler.readings.readings import Combine, Reading
from scaler.readings.series import Track

_TARGET = ("namespace", "pod", "instance")
_SCRAPE = re.compile(r"job|endpoint|container|prometheus|monitor|(?:.*_)?replica")
"""Labels by which two scrapes of one target differ: Prometheus Operator's, and external ones."""


def total(
    reading: Reading, found: Sequence[tuple[Track, float]], copies: Collection[str] = ()
) -> float:
    """
    Return what a workload's rows add up to; at least one.

    ``copies`` are labels that the configuration says to tell copies apart; the reading's ``over``
    are labels that never do.
    """
    if reading.combine is not Combine.SUM:
        return reading.combined(found)
    scrapes: dict[tuple[str, ...], dict[tuple[str, ...], float]] = {}
    for track, value in found:
        target = tuple(_target(track.labels, label) for label in _TARGET)
        scrape = _scrape(track.labels, {*copies} - {*reading.over}, reading.over)
        sums = scrapes.setdefault(target, {})
        sums[scrape] = sums.get(scrape, 0.0) + value
    return math.fsum(max(sums.values()) for sums in scrapes.values()) * reading.scale


def _target(labels: Mapping[str, str], label: str) -> str:
    """Return what was scraped first: a collector that exports it again moves that aside."""
    return labels.get(f"exported_{label}") or labels.get(label, "")


def _scrape(
    labels: Mapping[str, str], copies: Collection[str], over: Collection[str]
) -> tuple[str, ...]:
    return tuple(
        f"{label}={value}"
        for label, value in sorted(labels.items())
        if label in copies or (label not in over and _SCRAPE.fullmatch(label))
    )
