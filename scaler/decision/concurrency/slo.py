"""
Requests at once that keep latency under its target, learned from the window.

A step of continuous batching takes longer the more requests it carries, so inter-token latency
rises about linearly with the requests that run; time to first token rises with all that are there,
waiting ones included. Each is a robust line through what the replicas of the window showed: their
means, or (:mod:`.tail`) a percentile of all latencies at about as many requests.

The property that must stay true: no spread in load, or no rise with it, is no limit, and neither
is a target so far above what was seen that only a bold line would reach it.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from scaler.capacity.concurrency.result import Bound, Limit
from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.facts.columns import Array, Columns, Readings
from scaler.decision.policy import InferencePolicy
from scaler.decision.window import Window

from . import tail as tails
from .evidence import Reach
from .line import Line, robust_line
from .tail import LEAST_RATIO, Counted, shows_buckets, tail_of

FARTHEST = 3.0
"""How far past the most requests seen a line is believed, as a multiple of them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A latency that engines report as counters, and the requests it depends on."""

    counted: Counted
    """The same by its histogram, and its name."""
    seen: Callable[[Readings], tuple[Array, Array]]
    """Requests and mean latency, seconds, of each replica since the sample before."""


INTER_TOKEN = Latency(counted=tails.INTER_TOKEN, seen=lambda each: (each.itl_requests, each.itl_s))
FIRST_TOKEN = Latency(
    counted=tails.FIRST_TOKEN, seen=lambda each: (each.ttft_requests, each.ttft_s)
)


def slo_bounds(window: Window, policy: InferencePolicy, reach: Reach) -> tuple[Bound, ...]:
    """Return the limits that the stated latency targets set, as far as the past shows them."""
    targets = ((INTER_TOKEN, policy.itl_target), (FIRST_TOKEN, policy.ttft_target))
    bounds = (
        None if target is None else _within(latency, window, target, reach)
        for latency, target in targets
    )
    return tuple(bound for bound in bounds if bound is not None)


def _within(latency: Latency, window: Window, target: LatencyTarget, reach: Reach) -> Bound | None:
    counted = latency.counted
    if target.share is None or not shows_buckets(counted, window):
        return _of_mean(latency, window, target.seconds, reach)
    name = f"p{target.percentile:g} of {counted.name}"
    tail = tail_of(counted, window, target.share, target.seconds, reach)
    if tail is None:  # too few were counted for a percentile, and the mean is known sooner
        return _of_mean(latency, window, target.seconds, reach)
    bound = _bound(name, tail.line, target.seconds)
    if bound is None or bound.requests >= int(tail.met_at):
        return bound
    detail = f"{name} was within {1000 * target.seconds:.0f} ms at {tail.met_at:.0f} requests"
    return Bound(limit=Limit.SLO, requests=int(tail.met_at), detail=detail)


def _of_mean(latency: Latency, window: Window, target_s: float, reach: Reach) -> Bound | None:
    requests, seconds = points(latency, window.earlier, reach)
    line = robust_line(requests, seconds, least_ratio=LEAST_RATIO)
    return _bound(latency.counted.name, line, target_s)


def _bound(name: str, line: Line | None, target_s: float) -> Bound | None:
    if line is None or line.slope <= 0:
        return None
    most = (target_s - line.intercept) / line.slope
    if most > FARTHEST * line.highest:
        return None
    requests = int(max(1.0, most))
    return Bound(limit=Limit.SLO, requests=requests, detail=_sentence(name, line, target_s))


def _sentence(name: str, line: Line, target_s: float) -> str:
    return (
        f"{name} was {1000 * line.at(line.lowest):.0f} ms at {line.lowest:.0f} requests "
        f"and {1000 * line.at(line.highest):.0f} ms at {line.highest:.0f}; it reaches "
        f"{1000 * target_s:.0f} ms at {(target_s - line.intercept) / line.slope:.0f}"
    )


def points(latency: Latency, past: Columns, reach: Reach) -> tuple[Array, Array]:
    """Return requests and mean latency, seconds, of replicas between two samples each."""
    requests, seconds = latency.seen(past.readings)
    read = past.of_readings(reach.stands_for(past)) > 0
    known = read & ~np.isnan(seconds)
    return requests[known], seconds[known]
