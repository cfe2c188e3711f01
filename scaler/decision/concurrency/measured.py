"""
What a running request holds, measured: the share of the cache in use per running request.

It needs no model and no lengths, it sees prefix sharing, and blocks that are cached but free do
not count, since engines report them as free. Shares are of one replica's whole cache, so the
number of blocks cancels out.

The property that must stay true: a replica that runs nothing says nothing about a request.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator

from scaler.decision.sample import Sample

ENOUGH_REQUESTS = 20.0
"""Requests seen running, each counted once in its life, that make a footprint known."""
SERVICE_TIME_S = 30.0
"""Life of a request where the engine does not report it."""
NOTHING = 1e-9
"""Usage that is less than one block of any cache."""
PRIOR_SNAPSHOTS = 4.0
"""Independent snapshots that the spread below is worth before any was seen."""
PRIOR_VARIATION = 1.0
"""Spread over mean of a footprint before any was seen: 0.58, 0.91 and 1.57 on public traces."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFootprint:
    """What one running request holds, as a share of one replica's KV cache."""

    mean: float
    deviation: float
    """Standard deviation between requests."""
    requests: float
    """Requests it was seen on, each counted once in its life."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Snapshot:
    running: float
    usage: float


def measured_footprint(
    samples: Iterable[Sample], *, interval_s: float, service_time_s: float | None
) -> MeasuredFootprint | None:
    """
    Return the footprint of a running request over replicas and time; None: too few were seen.

    The mean is usage summed over requests running summed, which weighs busy replicas and forgives
    idle ones. A replica with n requests shows the mean of n footprints, so n times its squared
    distance from the mean shows the spread between requests.
    """
    seen = tuple(_snapshots(samples))
    running = sum(snapshot.running for snapshot in seen)
    # Consecutive readings mostly show the same requests again.
    independent = interval_s / max(interval_s, service_time_s or SERVICE_TIME_S)
    if running * independent < ENOUGH_REQUESTS:
        return None
    mean = sum(snapshot.usage for snapshot in seen) / running
    squares = sum(s.running * (s.usage / s.running - mean) ** 2 for s in seen)
    weight = len(seen) * independent
    prior = PRIOR_SNAPSHOTS * (PRIOR_VARIATION * mean) ** 2
    variance = (prior + squares * independent) / (PRIOR_SNAPSHOTS + max(0.0, weight - 1))
    return MeasuredFootprint(
        mean=mean, deviation=math.sqrt(variance), requests=running * independent
    )


def _snapshots(samples: Iterable[Sample]) -> Iterator[_Snapshot]:
    for sample in samples:
        for replica in sample.replicas:
            usage, running = replica.kv_cache_usage, replica.requests_running
            if (usage or 0.0) > NOTHING and running is not None and running >= 1:
                yield _Snapshot(running=running, usage=usage or 0.0)
