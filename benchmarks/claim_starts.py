"""Claims about how soon a new replica serves: model data that is warm, or cold, on its node."""

import functools
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
    """Waves and bursts by cold start: GPU-hours at equal shares in SLO; the share at equal ones."""
    yield (
        "new replica serves after",
        *(f"GPU-hours for {100 * share:g} % in SLO, to those of 60 s" for share in SHARES),
        "in SLO at the GPU-hours of 60 s and 99 %, %",
    )
    warm = {seed: front(seed, WARM_S) for seed in SEEDS}
    equal = [warm[seed].hours_for(0.99) for seed in SEEDS]
    yield (
        "60 s",
        *(spread([one.hours_for(s) for one in warm.values()], ".1f") for s in SHARES),
        99,
    )
    for cold_start_s in COLD_S:
        fronts = {seed: front(seed, cold_start_s) for seed in SEEDS}
        at_equal = [
            None if hours is None or (share := one.share_at(hours)) is None else 100 * share
            for hours, one in zip(equal, fronts.values(), strict=True)
        ]
        yield (
            f"{cold_start_s:g} s",
            *(
                spread([_more(fronts[seed], warm[seed], share) for seed in SEEDS], "+.0%")
                for share in SHARES
            ),
            spread(at_equal, ".2f"),
        )


def _more(cold: Front, warm: Front, share: float) -> float | None:
    """Return how many more GPU-hours one needs than the other for a share in SLO, as a share."""
    hours, least = cold.hours_for(share), warm.hours_for(share)
    return None if hours is None or least is None else hours / least - 1
