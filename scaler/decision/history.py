"""
Older samples, thinned: of each minute the one with the lowest and the one with the highest demand.

Enough for what looks far back (forecasts, the lending latch), which ask how low and how high a
minute was; a minute in which demand was not known leaves nothing.
"""

import itertools
import math
from collections.abc import Iterable

from .sample import Sample

MINUTE_S = 60.0


def minute_of(at_s: float) -> int:
    """Return the number of the minute whose end is the first at or after an instant."""
    return math.ceil(at_s / MINUTE_S - 1e-9)


def thinned(samples: Iterable[Sample]) -> list[Sample]:
    """Return two samples a minute, or one where they are the same; ``samples`` oldest first."""
    kept: list[Sample] = []
    for _, minute in itertools.groupby(samples, key=lambda sample: minute_of(sample.at_s)):
        known = [(demand, s) for s in minute if (demand := requests_open(s)) is not None]
        if known:
            ends = {id(s): s for s in (_lowest(known), _highest(known))}
            kept += sorted(ends.values(), key=lambda sample: sample.at_s)
    return kept


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
