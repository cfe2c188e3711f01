"""
Counters, differenced: what happened between two samples.

A counter that fell was reset by a restart: its new value is what has happened since (Prometheus'
rule for ``increase``). A replica that is new, or whose counter was missing before, contributes
nothing for that bucket: its past is not this bucket's.
"""

import itertools
from collections.abc import Sequence

from .remembered import per_pair
from .sample import Replica, Sample


def increase(before: Sample, after: Sample, counter: str) -> float | None:
    """Return how much a counter rose over the replicas that are in both; None: in none."""
    known = _increases(before, after)
    if counter not in known:
        rises = [
            rise
            for earlier, later in in_both(before, after)
            if (rise := replica_increase(earlier, later, counter)) is not None
        ]
        known[counter] = sum(rises) if rises else None
    return known[counter]


@per_pair
def in_both(before: Sample, after: Sample) -> tuple[tuple[Replica, Replica], ...]:
    """Return the replicas that are in both samples, each as it was and as it is."""
    earlier = {replica.name: replica for replica in before.replicas}
    return tuple(
        (earlier[replica.name], replica) for replica in after.replicas if replica.name in earlier
    )


@per_pair
def _increases(before: Sample, after: Sample) -> dict[str, float | None]:  # noqa: ARG001
    """Return the increases found so far, by counter."""
    return {}


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
