"""
A clairvoyant: it knows every request, and starts each replica one cold start before it is needed.

How it is computed. Work arrives as seconds of a replica (prompts and outputs at the margin). For
windows from one bucket to a minute, the work in the window over the window and the wait that the
objective allows is the rate that must be served; the highest over all windows around an instant,
over the utilisation at which an engine is still fast, times a margin, is how many replicas must be
ready then. A replica that would be back within a cold start stays, since starting it again costs as
much. The margin is bisected with the simulator itself, to the least that meets the objective.

So the hours it returns were really achieved by a schedule: they bound the fewest possible from
above, not from below. A better schedule may exist, and a policy may beat this one; what none can
undercut is in :mod:`.bound`.
"""

import itertools
import math
from collections.abc import Callable, Sequence

from scaler.simulation.simulate import Run, Setup, View, simulate
from scaler.simulation.traffic import Arrival

from .catalog import SAFE_RHO

_BUCKET_S = 1.0
_WINDOWS = (1, 2, 3, 5, 8, 12, 20, 30, 45, 60)
"""In buckets; a minute at most."""
ROUNDS = 7
_MARGINS = (0.5, 2.0)


class Clairvoyant:
    """Plays a schedule of counts, one per bucket."""

    every_s = 5.0
    lookback_s = 0.0
    history_s = 0.0

    def __init__(self, schedule: Sequence[int], name: str = "clairvoyant") -> None:
        self.name = name
        self._schedule = schedule

    def act(self, view: View) -> int:
        """Return the count planned for now."""
        place = int(view.now_s / _BUCKET_S)
        ahead = self._schedule[place : place + int(self.every_s / _BUCKET_S)]
        return max(ahead, default=self._schedule[-1])


def oracle(
    setup: Setup,
    arrivals: Sequence[Arrival],
    *,
    attainment: float = 0.99,
    progress: Callable[[int], None] | None = None,
) -> Run | None:
    """Return the cheapest schedule found that meets the objective; None: none of them does."""
    needed = _needed(setup, arrivals)
    low, high = _MARGINS
    best: Run | None = None
    for number in range(ROUNDS):
        margin = high if number == 0 else (low + high) / 2
        run = simulate(setup, arrivals, Clairvoyant(_schedule(setup, needed, margin)))
        if progress is not None:
            progress(number + 1)
        if (run.score.slo_attainment or 0.0) >= attainment:
            best, high = run, margin
        elif number == 0:
            return None
        else:
            low = margin
    return best


def _needed(setup: Setup, arrivals: Sequence[Arrival]) -> list[float]:
    """Return the replicas that must be ready in each bucket, unrounded and without a margin."""
    cost = setup.cluster.fleets[0].engine.step_cost
    buckets = math.ceil(setup.end_s / _BUCKET_S) + 1
    sums = [0.0] * (buckets + 1)
    for arrival in arrivals:
        place = min(buckets - 1, int(arrival.at_s / _BUCKET_S))
        sums[place + 1] += arrival.prompt_tokens * cost.c_s + arrival.output_tokens * cost.b_s
    for place in range(buckets):
        sums[place + 1] += sums[place]
    needed = [0.0] * buckets
    for width in _WINDOWS:
        seconds = width * _BUCKET_S + setup.slo.ttft_least_s
        for start in range(buckets - width + 1):
            rate = (sums[start + width] - sums[start]) / seconds / SAFE_RHO
            for place in range(start, start + width):
                needed[place] = max(needed[place], rate)
    return needed


def _schedule(setup: Setup, needed: Sequence[float], margin: float) -> list[int]:
    """Return the count to have asked for in each bucket."""
    least, most = setup.min_replicas, setup.max_replicas
    ready = [min(most, max(least, math.ceil(margin * each - 1e-9))) for each in needed]
    ahead = math.ceil(setup.cluster.fleets[0].cold_start_s / _BUCKET_S)
    for level in range(least + 1, max(ready) + 1):
        wanted = [place for place, count in enumerate(ready) if count >= level]
        for before, after in itertools.pairwise(wanted):
            if 1 < after - before <= ahead + 1:
                ready[before + 1 : after] = [max(level, n) for n in ready[before + 1 : after]]
    return [max(ready[place : place + ahead + 2]) for place in range(len(ready))]
