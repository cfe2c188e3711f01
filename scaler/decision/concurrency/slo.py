"""
Requests at once that keep latency under its target, learned from the window.

A step of continuous batching takes longer the more requests it carries, so inter-token latency
rises about linearly with the requests that run; time to first token rises with all that are there,
waiting ones included. Each is a robust line through what the replicas of the window showed.

The property that must stay true: no spread in load, or no rise with it, is no limit, and neither
is a target so far above what was seen that only a bold line would reach it.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from scaler.capacity.concurrency.result import Bound, Limit
from scaler.decision.facts.columns import Array, Columns, Readings
from scaler.decision.policy import InferencePolicy

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
    seen: Callable[[Readings], tuple[Array, Array]]
    """Requests and mean latency, seconds, of each replica since the sample before."""


INTER_TOKEN = Latency(name="inter-token latency", seen=lambda each: (each.itl_requests, each.itl_s))
FIRST_TOKEN = Latency(
    name="time to first token", seen=lambda each: (each.ttft_requests, each.ttft_s)
)


def slo_bounds(past: Columns, policy: InferencePolicy, reach: Reach) -> tuple[Bound, ...]:
    """Return the limits that the stated latency targets set, as far as this past shows them."""
    targets = ((INTER_TOKEN, policy.itl_target_s), (FIRST_TOKEN, policy.ttft_target_s))
    bounds = (
        _bound(latency, points(latency, past, reach), target_s)
        for latency, target_s in targets
        if target_s is not None
    )
    return tuple(bound for bound in bounds if bound is not None)


def _bound(latency: Latency, seen: tuple[Array, Array], target_s: float) -> Bound | None:
    line = robust_line(*seen, least_ratio=LEAST_RATIO)
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


def points(latency: Latency, past: Columns, reach: Reach) -> tuple[Array, Array]:
    """Return requests and mean latency, seconds, of replicas between two samples each."""
    requests, seconds = latency.seen(past.readings)
    read = past.of_readings(reach.stands_for(past)) > 0
    known = read & ~np.isnan(seconds)
    return requests[known], seconds[known]
