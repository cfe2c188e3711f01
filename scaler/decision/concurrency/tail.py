"""
A percentile of inter-token latency against the requests that run, by the engine's own histogram.

What one replica counted in one bucket of the grid is too little for its slowest hundredth. So
readings are put into groups with about as many requests each, whose counts are added up: the
percentile is that of all latencies at such a load, however they were spread over its readings.
Within a bucket of the histogram latencies count as spread evenly, those above its last bound as
that bound (Prometheus' rule for ``histogram_quantile``). Bounds are far apart; so where the counts
up to the target alone show that it was met, that stands, whatever the line says.

What must stay true: no histogram is no line, never a percentile of 0; and a counter that began
anew has counted since then what it says.
"""

from typing import NamedTuple

import numpy as np

from scaler.capacity.histogram import Histogram
from scaler.decision.facts.columns import Array, Mask
from scaler.decision.policy import InferencePolicy
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Window
from scaler.said import Said

from .evidence import Reach
from .line import LEAST_GROUPS, LEAST_IN_GROUP, Line, line_through

LEAST_RATIO = 1.5
"""Spread in requests, most over fewest, that shows how latency depends on them."""
MOST_GROUPS = 8
"""Fewer and larger groups than for means: late gaps come in clumps."""


def shows_buckets(window: Window) -> bool:
    """Whether an engine of the newest sample shows its histogram of inter-token latency."""
    return _upper(window.latest) is not None


def mean_instead(window: Window, policy: InferencePolicy) -> str | None:
    """Return why the mean is held under a target that asks for a percentile; None: it is not."""
    target, replicas = policy.itl_target, window.latest.replicas
    if target is None or target.percentile is None or not replicas or shows_buckets(window):
        return None
    return Said(
        "The engine shows no histogram of inter-token latency: not its p{percentile:g} but its mean"
        " is held under {target_ms:g} ms.",
        percentile=target.percentile,
        target_ms=1000 * target.seconds,
    )


class Tail(NamedTuple):
    """What a percentile was like at each load."""

    line: Line
    """Of the percentile over the requests that run."""
    met_at: float
    """So many requests ran while it was met, and also wherever fewer did; 0: nowhere."""


def tail_of(window: Window, share: float, target_s: float, reach: Reach) -> Tail | None:
    """
    Return what a share of latencies stayed under at each load; None: too little was seen.

    Of replicas whose histogram has other bounds than the newest's (another release) nothing is
    read, and of groups with too few latencies for the percentile neither.
    """
    requests, counts, upper = _readings(window, reach)
    groups = min(MOST_GROUPS, len(requests) // LEAST_IN_GROUP)
    if groups < LEAST_GROUPS:
        return None
    order = np.argsort(requests, kind="stable")
    firsts = len(order) * np.arange(groups) // groups
    at = np.array([np.median(part) for part in np.split(requests[order], firsts[1:])])
    each = np.add.reduceat(counts[order], firsts)
    told = each.sum(axis=1) * (1 - share) >= 1
    if told.sum() < LEAST_GROUPS:
        return None
    at, each = at[told], each[told]
    of = np.array([quantile_of(upper, row, share) for row in each])
    line = line_through(at, of, least_ratio=LEAST_RATIO, readings=len(requests))
    return None if line is None else Tail(line, _met_at(at, each, upper <= target_s, share))


def _met_at(at: Array, each: Array, in_time: Mask, share: float) -> float:
    """Return the most requests up to which a share was surely in time, by whole buckets."""
    met = each[:, in_time].sum(axis=1) >= share * each.sum(axis=1)
    return float(at[: int(np.argmin(np.append(met, False)))].max(initial=0.0))


def quantile_of(upper: Array, counts: Array, share: float) -> float:
    """Return what a share of the latencies (one at least) do not exceed; bounds in their unit."""
    total = np.cumsum(counts)
    rank = share * total[-1]
    place = int(np.searchsorted(total, rank))
    if place >= len(upper) - 1:
        return float(upper[-2])  # of the last bucket, which has no end
    below = 0.0 if place == 0 else float(upper[place - 1])
    before = 0.0 if place == 0 else float(total[place - 1])
    width = float(upper[place]) - below
    return below + width * (float(rank) - before) / float(counts[place])


def _readings(window: Window, reach: Reach) -> tuple[Array, Array, Array]:
    """Return the requests of each reading, what it counted by bucket, and the buckets' bounds."""
    upper = _upper(window.latest) or ()
    samples, told = window.samples, reach.stands_for(window.earlier) > 0
    requests: list[float] = []
    counts: list[tuple[float, ...]] = []
    before: list[tuple[float, ...]] = []
    for number in np.flatnonzero(told[1:]).tolist():
        then = {replica.name: replica for replica in samples[number].replicas}
        for now in samples[number + 1].replicas:
            earlier = then.get(now.name)
            at_once = None if earlier is None else _at_once(earlier, now)
            old, new = _counts(earlier, upper), _counts(now, upper)
            if at_once is not None and old is not None and new is not None:
                requests.append(at_once)
                before.append(old)
                counts.append(new)
    rose = np.array(counts).reshape(-1, len(upper))
    rises = rose - np.array(before).reshape(-1, len(upper))
    began_anew = (rises < 0).any(axis=1)
    return np.array(requests), np.where(began_anew[:, None], rose, rises), np.array(upper)


def _at_once(before: Replica, now: Replica) -> float | None:
    if before.requests_running is None or now.requests_running is None:
        return None
    return (before.requests_running + now.requests_running) / 2


def _counts(replica: Replica | None, upper: tuple[float, ...]) -> tuple[float, ...] | None:
    seen: Histogram | None = None if replica is None else replica.itl_buckets
    return None if seen is None or seen.upper != upper else seen.counts


def _upper(sample: Sample) -> tuple[float, ...] | None:
    known = (one.itl_buckets.upper for one in sample.replicas if one.itl_buckets is not None)
    return next(known, None)
