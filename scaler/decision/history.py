"""
Older samples, thinned: of each minute the lowest demand, the highest, and the fastest arrivals.

Enough for what looks far back (forecasts, the lending latch), which ask how low and how high a
minute was; a minute in which demand was not known leaves nothing. What is older than a day tells a
forecast what this hour is like, and keeps as much of five minutes: three days more are then no
larger than one.
"""

import itertools
import math
from collections.abc import Iterable

from .facts.bucket import came
from .facts.record import Record
from .sample import Sample

MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 86_400.0
COARSE_S = 300.0
"""Of what is older than a day, so long a span keeps as much as a minute does of the last one."""


def minute_of(at_s: float) -> int:
    """Return the number of the minute whose end is the first at or after an instant."""
    return math.ceil(at_s / MINUTE_S - 1e-9)


def minutes_over(at_s: float) -> int:
    """Return the number of the last minute that ended by an instant."""
    return math.floor(at_s / MINUTE_S + 1e-9)


def coarse_before_s(now_s: float) -> float:
    """Return the instant before which five minutes count as one; it moves on once an hour."""
    return HOUR_S * math.floor((now_s - DAY_S) / HOUR_S)


def coarsen(record: Record, before_s: float) -> None:
    """Thin a record of thinned samples further before an instant; twice is as good as once."""
    record.put_before(thinned(record.take_before(before_s), span_s=COARSE_S))


def thinned(
    samples: Iterable[Sample], before: Sample | None = None, *, span_s: float = MINUTE_S
) -> list[Sample]:
    """
    Return at most four samples a minute, or another span; ``samples`` oldest first.

    ``before`` is the one before them.

    The bucket in which most arrived is kept with the sample that it begins at: arrivals are the
    difference of the two, and a burst differenced over half a minute would be no burst. Where
    requests are short, it has come and gone between two samples that both look idle.
    """
    kept: list[Sample] = []
    for _, group in itertools.groupby(
        samples, key=lambda sample: math.ceil(sample.at_s / span_s - 1e-9)
    ):
        minute = list(group)
        known = [(demand, s) for s in minute if (demand := requests_open(s)) is not None]
        if known:
            pairs = itertools.pairwise((*((before,) if before else ()), *minute))
            ends = {s.at_s: s for s in (_lowest(known), _highest(known), *_busiest(pairs))}
            last_s = kept[-1].at_s if kept else -math.inf
            kept += (ends[at_s] for at_s in sorted(ends) if at_s > last_s)
        before = minute[-1]
    return kept


def _busiest(pairs: Iterable[tuple[Sample, Sample]]) -> tuple[Sample, ...]:
    """Return the two neighbours between which requests arrived fastest; none: nobody knows."""
    rates = [
        (amount / (after.at_s - before.at_s), before, after)
        for before, after in pairs
        if (amount := came(before, after)) is not None
        and requests_open(before) is not None
        and requests_open(after) is not None
    ]
    return max(rates, key=lambda rate: rate[0])[1:] if rates else ()


def requests_open(sample: Sample) -> float | None:
    """Return the requests a workload holds, at its engines and before them; None: not known."""
    if sample.is_known_zero:
        return (sample.gateway_in_flight or 0.0) + (sample.gateway_waiting or 0.0)
    known = [
        (replica.requests_running or 0.0) + (replica.requests_waiting or 0.0)
        for replica in sample.replicas
        if replica.requests_running is not None or replica.requests_waiting is not None
    ]
    if not known:
        return None
    in_engines = sum(known) + (sample.gateway_waiting or 0.0)
    return max(in_engines, sample.gateway_in_flight or 0.0)


def _lowest(known: list[tuple[float, Sample]]) -> Sample:
    return min(known, key=lambda pair: pair[0])[1]


def _highest(known: list[tuple[float, Sample]]) -> Sample:
    return max(known, key=lambda pair: pair[0])[1]
