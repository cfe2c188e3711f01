"""
Requests at once that keep latency under its target, learned from the window.

A step of continuous batching takes longer the more requests it carries, so inter-token latency
rises about linearly with the requests that run; time to first token rises with all that are there,
waiting ones included. Each is a robust line through what the replicas of the window showed.

The property that must stay true: no spread in load, or no rise with it, is no limit, and neither
is a target so far above what was seen that only a bold line would reach it.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

from scaler.capacity.concurrency.result import Bound, Limit
from scaler.decision.policy import InferencePolicy
from scaler.decision.rates import in_both, replica_increase
from scaler.decision.remembered import per_pair
from scaler.decision.sample import Replica, Sample

from .evidence import Reach
from .line import Line, robust_line

LEAST_RATIO = 1.5
"""Spread in requests, most over fewest, that shows how latency depends on them."""
FARTHEST = 3.0
"""How far past the most requests seen a line is believed, as a multiple of them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A latency that engines report as counters, and the requests it depends on."""

    name: str
    sum_s: str
    count: str
    requests: Callable[[Replica], float | None]
    seen: Callable[[Sample, Sample], tuple[tuple[float, float], ...]]
    """Requests and mean latency, seconds, of each replica between two samples."""


def _running(replica: Replica) -> float | None:
    return replica.requests_running


def _present(replica: Replica) -> float | None:
    if replica.requests_running is None or replica.requests_waiting is None:
        return None
    return replica.requests_running + replica.requests_waiting


@per_pair
def _inter_token(before: Sample, after: Sample) -> tuple[tuple[float, float], ...]:
    return tuple(_seen(INTER_TOKEN, before, after))


@per_pair
def _first_token(before: Sample, after: Sample) -> tuple[tuple[float, float], ...]:
    return tuple(_seen(FIRST_TOKEN, before, after))


INTER_TOKEN = Latency(
    name="inter-token latency",
    sum_s="itl_sum_s",
    count="itl_count",
    requests=_running,
    seen=_inter_token,
)
FIRST_TOKEN = Latency(
    name="time to first token",
    sum_s="ttft_sum_s",
    count="ttft_count",
    requests=_present,
    seen=_first_token,
)


def slo_bounds(
    samples: Sequence[Sample], policy: InferencePolicy, reach: Reach
) -> tuple[Bound, ...]:
    """Return the limits that the stated latency targets set, as far as these samples show them."""
    targets = ((INTER_TOKEN, policy.itl_target_s), (FIRST_TOKEN, policy.ttft_target_s))
    bounds = (
        _bound(latency, tuple(points(latency, samples, reach)), target_s)
        for latency, target_s in targets
        if target_s is not None
    )
    return tuple(bound for bound in bounds if bound is not None)


def _bound(latency: Latency, seen: Sequence[tuple[float, float]], target_s: float) -> Bound | None:
    line = robust_line(seen, least_ratio=LEAST_RATIO)
    if line is None or line.slope <= 0:
        return None
    most = (target_s - line.intercept) / line.slope
    if most > FARTHEST * line.highest:
        return None
    requests = int(max(1.0, most))
    return Bound(limit=Limit.SLO, requests=requests, detail=_sentence(latency, line, target_s))


def _sentence(latency: Latency, line: Line, target_s: float) -> str:
    return (
        f"{latency.name} was {1000 * line.at(line.lowest):.0f} ms at {line.lowest:.0f} requests "
        f"and {1000 * line.at(line.highest):.0f} ms at {line.highest:.0f}; it reaches "
        f"{1000 * target_s:.0f} ms at {(target_s - line.intercept) / line.slope:.0f}"
    )


def points(
    latency: Latency, samples: Sequence[Sample], reach: Reach
) -> Iterator[tuple[float, float]]:
    """Yield requests and mean latency, seconds, of each replica between two samples."""
    for before, after in itertools.pairwise(samples):
        if reach.stands_for(after):
            yield from latency.seen(before, after)


def _seen(latency: Latency, before: Sample, after: Sample) -> Iterator[tuple[float, float]]:
    for earlier, later in in_both(before, after):
        yield from _point(latency, earlier, later)


def _point(latency: Latency, before: Replica, after: Replica) -> Iterator[tuple[float, float]]:
    total_s = replica_increase(before, after, latency.sum_s)
    count = replica_increase(before, after, latency.count)
    then, now = latency.requests(before), latency.requests(after)
    if total_s is not None and count and then is not None and now is not None:
        yield (then + now) / 2, total_s / count
