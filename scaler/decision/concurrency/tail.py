"""
A percentile of a latency against the requests that it depends on, by the engine's own histogram.

What one replica counted in one bucket of the grid is too little for its slowest hundredth. So
readings are put into groups with about as many requests each, whose counts are added up: the
percentile is that of all latencies at such a load, however they were spread over its readings.
Within a bucket of the histogram latencies count as spread evenly, those above its last bound as
that bound (Prometheus' rule for ``histogram_quantile``). Bounds are far apart; so where the counts
up to the target alone show that it was met, that stands, whatever the line says.

What must stay true: no histogram is no line, never a percentile of 0; and a counter that began
anew has counted since then what it says.
"""

import dataclasses
from collections.abc import Callable
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A latency that an engine counts by a histogram."""

    name: str
    buckets: Callable[[Replica], Histogram | None]
    requests: Callable[[Replica], float | None]
    """The requests that it depends on."""
    without: Callable[[float, float], Said]
    """What is told where the engine shows no histogram of it, by percentile and milliseconds."""


def _present(replica: Replica) -> float | None:
    running, waiting = replica.requests_running, replica.requests_waiting
    return None if running is None or waiting is None else running + waiting


INTER_TOKEN = Counted(
    name="inter-token latency",
    buckets=lambda one: one.itl_buckets,
    requests=lambda one: one.requests_running,
    without=lambda percentile, target_ms: Said(
        "The engine shows no histogram of inter-token latency: not its p{percentile:g} but its mean"
        " is held under {target_ms:g} ms.",
        percentile=percentile,
        target_ms=target_ms,
    ),
)
FIRST_TOKEN = Counted(
    name="time to first token",
    buckets=lambda one: one.ttft_buckets,
    requests=_present,
    without=lambda percentile, target_ms: Said(
        "The engine shows no histogram of time to first token: not its p{percentile:g} but its mean"
        " is held under {target_ms:g} ms.",
        percentile=percentile,
        target_ms=target_ms,
    ),
)


def shows_buckets(counted: Counted, window: Window) -> bool:
    """Whether an engine of the newest sample shows its histogram of a latency."""
    return _upper(counted, window.latest) is not None


def means_instead(window: Window, policy: InferencePolicy) -> tuple[str, ...]:
    """Return why a mean is held under each target that asks for a percentile, where it is."""
    targets = ((INTER_TOKEN, policy.itl_target), (FIRST_TOKEN, policy.ttft_target))
    return tuple(
        counted.without(target.percentile, 1000 * target.seconds)
        for counted, target in targets
        if target is not None
        and target.percentile is not None
        and window.latest.replicas
        and not shows_buckets(counted, window)
    )


class Tail(NamedTuple):
    """What a percentile was like at each load."""

    line: Line
    """Of the percentile over the requests that it depends on."""
    met_at: float
    """So many requests were there while it was met, and also wherever fewer were; 0: nowhere."""


def tail_of(
    counted: Counted, window: Window, share: float, target_s: float, reach: Reach
) -> Tail | None:
    """
    Return what a share of latencies stayed under at each load; None: too little was seen.

    Of replicas whose histogram has other bounds than the newest's (another release) nothing is
    read, and of groups with too few latencies for the percentile neither.
    """
    requests, counts, upper = _readings(counted, window, reach)
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


def _readings(counted: Counted, window: Window, reach: Reach) -> tuple[Array, Array, Array]:
    """Return the requests of each reading, what it counted by bucket, and the buckets' bounds."""
    upper = _upper(counted, window.latest) or ()
    samples, told = window.samples, reach.stands_for(window.earlier) > 0
    requests: list[float] = []
    counts: list[tuple[float, ...]] = []
    before: list[tuple[float, ...]] = []
    for number in np.flatnonzero(told[1:]).tolist():
        then = {replica.name: replica for replica in samples[number].replicas}
        for now in samples[number + 1].replicas:
            earlier = then.get(now.name)
            if earlier is None:
                continue
            at_once = _at_once(counted, earlier, now)
            old, new = (_counts(counted, one, upper) for one in (earlier, now))
            if at_once is not None and old is not None and new is not None:
                requests.append(at_once)
                before.append(old)
                counts.append(new)
    rose = np.array(counts).reshape(-1, len(upper))
    rises = rose - np.array(before).reshape(-1, len(upper))
    began_anew = (rises < 0).any(axis=1)
    return np.array(requests), np.where(began_anew[:, None], rose, rises), np.array(upper)


def _at_once(counted: Counted, before: Replica, now: Replica) -> float | None:
    then, since = counted.requests(before), counted.requests(now)
    return None if then is None or since is None else (then + since) / 2


def _counts(
    counted: Counted, replica: Replica, upper: tuple[float, ...]
) -> tuple[float, ...] | None:
    seen = counted.buckets(replica)
    return None if seen is None or seen.upper != upper else seen.counts


def _upper(counted: Counted, sample: Sample) -> tuple[float, ...] | None:
    known = map(counted.buckets, sample.replicas)
    return next((one.upper for one in known if one is not None), None)
