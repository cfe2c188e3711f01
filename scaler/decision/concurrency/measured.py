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
from typing import NamedTuple

import numpy as np

from scaler.decision.facts.columns import Array, Columns

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


class _Snapshots(NamedTuple):
    """What replicas held, those that ran something."""

    running: Array
    usage: Array
    seconds: Array
    """That each stands for."""


def measured_footprint(
    past: Columns, *, reach: Reach, service_time_s: float | None
) -> MeasuredFootprint | None:
    """
    Return the footprint of a running request over replicas and time; None: too few were seen.

    The mean is usage summed over requests running summed, which weighs busy replicas and forgives
    idle ones. A replica with n requests shows the mean of n footprints, so n times its squared
    distance from the mean shows the spread between requests.
    """
    seen = _snapshots(past, reach)
    # Consecutive readings mostly show the same requests again.
    independent = np.minimum(1.0, seen.seconds / (service_time_s or SERVICE_TIME_S))
    requests = float((seen.running * independent).sum())
    if requests < ENOUGH_REQUESTS:
        return None
    shared = _shared(seen)
    mean = float((seen.usage - shared).sum()) / float(seen.running.sum())
    apart = (seen.usage - shared) / seen.running - mean
    squares = float((independent * seen.running * apart**2).sum())
    prior = PRIOR_SNAPSHOTS * (PRIOR_VARIATION * mean) ** 2
    weight = PRIOR_SNAPSHOTS + max(0.0, float(independent.sum()) - 1)
    return MeasuredFootprint(
        shared=shared,
        mean=mean,
        deviation=math.sqrt((prior + squares) / weight),
        requests=requests,
    )


def _shared(seen: _Snapshots) -> float:
    """Return the usage at no requests, by the line through all; 0 where none is to be seen."""
    line = robust_line(seen.running, seen.usage, least_ratio=LEAST_RATIO)
    if line is None or line.slope <= 0:
        return 0.0
    least = float(seen.usage.min())
    return max(0.0, min(line.intercept, LARGEST_SHARED * least))


def _snapshots(past: Columns, reach: Reach) -> _Snapshots:
    each = past.readings
    buckets = past.of_readings(reach.stands_for(past))
    told = (buckets > 0) & (each.kv_usage >= LEAST_USAGE) & (each.running >= 1)
    return _Snapshots(each.running[told], each.kv_usage[told], buckets[told] * reach.interval_s)
