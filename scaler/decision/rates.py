"""
Counters, differenced: what happened between two samples.

A counter that fell was reset by a restart: its new value is what has happened since (Prometheus'
rule for ``increase``). A replica that is new, or whose counter was missing before, contributes
nothing for that bucket: its past is not this bucket's.
"""

import itertools
from collections.abc import Sequence

from .sample import Replica, Sample


def increase(before: Sample, after: Sample, counter: str) -> float | None:
    """Return how much a counter rose over the replicas that are in both; None: in none."""
    earlier = {replica.name: getattr(replica, counter) for replica in before.replicas}
    rises = [
        rise
        for replica in after.replicas
        if (rise := _rise(earlier.get(replica.name), getattr(replica, counter))) is not None
    ]
    return sum(rises) if rises else None


def replica_increase(before: Replica, after: Replica, counter: str) -> float | None:
    """Return how much one replica's counter rose; None: not known."""
    return _rise(getattr(before, counter), getattr(after, counter))


def total_increase(samples: Sequence[Sample], counter: str) -> float | None:
    """Return how much a counter rose over a span of samples; None: it was never seen twice."""
    rises = [
        rise
        for before, after in itertools.pairwise(samples)
        if (rise := increase(before, after, counter)) is not None
    ]
    return sum(rises) if rises else None


def arrived(samples: Sequence[Sample]) -> float | None:
    """Return the requests that reached the gateway over a span of samples; None: not counted."""
    rises = [
        rise
        for before, after in itertools.pairwise(samples)
        if (rise := _rise(before.arrivals_total, after.arrivals_total)) is not None
    ]
    return sum(rises) if rises else None


def _rise(before: float | None, after: float | None) -> float | None:
    if before is None or after is None:
        return None
    return after - before if after >= before else after
