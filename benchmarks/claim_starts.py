"""Claims about how soon a new replica serves: model data that is warm, or cold, on its node."""

import functools
import statistics
from collections.abc import Iterator, Sequence

from benchmarks.claim_waves import SEEDS, TARGETS, Front, played, spread, waves

WARM_S, COLD_S = 60.0, (180.0, 300.0)
"""Weights in the node's cache (Fluid, a local disk), or fetched over the network at each start."""
SHARES = (0.98, 0.99, 0.995)


@functools.cache
def front(seed: int, cold_start_s: float) -> Front:
    """Return what kvtide reaches on the waves of a seed with a cold start."""
    arrivals = waves(seed)
    return Front.of(
        [played(arrivals, target=target, cold_start_s=cold_start_s) for target in TARGETS]
    )


def cold_starts() -> Iterator[Sequence[object]]:
    """Waves and bursts by cold start: the fewest GPU-hours that reach a share in SLO."""
    yield ("new replica serves after", *(f"GPU-hours for {100 * one:g} % in SLO" for one in SHARES))
    warm = {seed: front(seed, WARM_S) for seed in SEEDS}
    yield ("60 s", *(spread([one.hours_for(s) for one in warm.values()], ".1f") for s in SHARES))
    for cold_start_s in COLD_S:
        more = [
            [_more(front(seed, cold_start_s), warm[seed], share) for seed in SEEDS]
            for share in SHARES
        ]
        yield (f"{cold_start_s:g} s", *(_each(one) for one in more))


def _each(more: Sequence[float | None]) -> str:
    """Return the middle one, and all of them: five seeds that differ are no spread."""
    known = sorted(one for one in more if one is not None)
    each = ", ".join("never" if one is None else f"{one:+.0%}" for one in more)
    return f"{statistics.median(known):+.0%} ({each})" if known else each


def _more(cold: Front, warm: Front, share: float) -> float | None:
    """Return how many more GPU-hours one needs than the other for a share in SLO, as a share."""
    hours, least = cold.hours_for(share), warm.hours_for(share)
    return None if hours is None or least is None else hours / least - 1
