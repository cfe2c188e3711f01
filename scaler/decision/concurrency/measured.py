"""
What a running request holds, measured: the share of the cache in use per running request.

It needs no model and no lengths, and it sees prefix sharing. Shares are of one replica's whole
cache, so the number of blocks cancels out. What does not grow with the requests (a prefix that all
of them share, blocks that an engine counts though they are only cached) is told apart where the
load has spread enough to see it.

The property that must stay true: a replica that runs nothing says nothing about a request.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence

from scaler.decision.sample import Sample

from .evidence import Reach
from .line import robust_line

ENOUGH_REQUESTS = 20.0
"""Requests seen running, each counted once in its life, that make a footprint known."""
SERVICE_TIME_S = 30.0
"""Life of a request where nothing was finished that would tell it."""
PRIOR_SNAPSHOTS = 4.0
"""Independent snapshots that the spread below is worth before any was seen."""
PRIOR_VARIATION = 1.0
"""Spread over mean of a footprint before any was seen: 0.58, 0.91 and 1.57 on public traces."""
LEAST_USAGE = 1e-6
"""Less than one block of any cache."""
LEAST_RATIO = 3.0
"""Spread in requests running, most over fewest, that tells what does not grow with them."""
LARGEST_SHARED = 0.9
"""How much of the least usage seen is believed not to grow with the requests, at most."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFootprint:
    """What running requests hold, as shares of one replica's KV cache."""

    shared: float
    """Held however many run."""
    mean: float
    """Held by each on top of that."""
    deviation: float
    """Standard deviation of it between requests."""
    requests: float
    """Requests it was seen on, each counted once in its life."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Snapshot:
    running: float
    usage: float
    seconds: float
    """That it stands for."""


def measured_footprint(
    samples: Iterable[Sample], *, reach: Reach, service_time_s: float | None
) -> MeasuredFootprint | None:
    """
    Return the footprint of a running request over replicas and time; None: too few were seen.

    The mean is usage summed over requests running summed, which weighs busy replicas and forgives
    idle ones. A replica with n requests shows the mean of n footprints, so n times its squared
    distance from the mean shows the spread between requests.
    """
    seen = tuple(_snapshots(samples, reach))
    running = sum(snapshot.running for snapshot in seen)
    # Consecutive readings mostly show the same requests again.
    life_s = service_time_s or SERVICE_TIME_S
    independent = [min(1.0, snapshot.seconds / life_s) for snapshot in seen]
    requests = sum(s.running * share for s, share in zip(seen, independent, strict=True))
    if requests < ENOUGH_REQUESTS:
        return None
    shared = _shared(seen)
    mean = sum(snapshot.usage - shared for snapshot in seen) / running
    squares = sum(
        share * s.running * ((s.usage - shared) / s.running - mean) ** 2
        for s, share in zip(seen, independent, strict=True)
    )
    prior = PRIOR_SNAPSHOTS * (PRIOR_VARIATION * mean) ** 2
    weight = PRIOR_SNAPSHOTS + max(0.0, sum(independent) - 1)
    return MeasuredFootprint(
        shared=shared,
        mean=mean,
        deviation=math.sqrt((prior + squares) / weight),
        requests=requests,
    )


def _shared(seen: Sequence[_Snapshot]) -> float:
    """Return the usage at no requests, by the line through all; 0 where none is to be seen."""
    points = [(snapshot.running, snapshot.usage) for snapshot in seen]
    line = robust_line(points, least_ratio=LEAST_RATIO)
    if line is None or line.slope <= 0:
        return 0.0
    least = min(snapshot.usage for snapshot in seen)
    return max(0.0, min(line.intercept, LARGEST_SHARED * least))


def _snapshots(samples: Iterable[Sample], reach: Reach) -> Iterator[_Snapshot]:
    for sample in samples:
        buckets = reach.stands_for(sample)
        for replica in sample.replicas if buckets else ():
            usage, running = replica.kv_cache_usage, replica.requests_running
            if usage is None or running is None or usage < LEAST_USAGE or running < 1:
                continue
            yield _Snapshot(running=running, usage=usage, seconds=buckets * reach.interval_s)
