"""
GPU-hours that no policy can undercut, however much it knows: a true lower bound.

A request that meets its objective has its prompt computed within its TTFT, and its last token out
by then plus its inter-token latencies. Work that arrives in a span of time and is due in it takes
its replica-seconds in it, at the fastest an engine can work; every span costs the least replicas
besides. The bound is the costliest way to cut the trace into spans, less the heaviest requests, as
many as may miss the objective. Cold starts, whole replicas and routing are left out, so it may be
well below what can be achieved.
"""

import collections
import heapq
import math
from collections.abc import Sequence

from scaler.simulation.engine import EngineConfig
from scaler.simulation.simulate import Setup
from scaler.simulation.traffic import Arrival

_GRID_S = 15.0
_LONGEST = 40
"""Of a span, in steps of the grid: ten minutes."""


def lower_bound_gpu_hours(
    setup: Setup, arrivals: Sequence[Arrival], *, attainment: float = 0.99
) -> float:
    """Return GPU-hours of the scored part that any policy needs to reach ``attainment``."""
    engine = setup.cluster.fleets[0].engine
    cost, slo = engine.step_cost, setup.slo
    scored = [one for one in arrivals if one.at_s >= setup.warm_up_s]
    due: dict[int, dict[int, float]] = collections.defaultdict(
        lambda: collections.defaultdict(float)
    )
    for one in scored:
        at_s = one.at_s - setup.warm_up_s
        first_s = at_s + slo.ttft_budget_s(one.prompt_tokens)
        last_s = first_s + one.output_tokens * slo.itl_s
        begin = int(at_s / _GRID_S)
        due[begin][math.ceil(first_s / _GRID_S)] += one.prompt_tokens * cost.c_s
        due[begin][math.ceil(last_s / _GRID_S)] += one.output_tokens * cost.b_s
    may_miss = int((1 - attainment) * len(scored) + 1e-9)
    works = (one.prompt_tokens * cost.c_s + one.output_tokens * cost.b_s for one in scored)
    missed_s = sum(heapq.nlargest(may_miss, works)) / fastest(engine)
    least_s = setup.min_replicas * setup.length_s
    return max(least_s, _costliest(setup, due, fastest(engine)) - missed_s) / 3600


def fastest(engine: EngineConfig) -> float:
    """Return the most work, in seconds, that an engine can do in a second: of a full step."""
    cost, budget = engine.step_cost, engine.max_num_batched_tokens
    running = min(engine.max_num_seqs, budget)
    work_s = max(budget * cost.c_s, running * cost.b_s + (budget - running) * cost.c_s)
    return work_s / (cost.a_s + work_s)


def _costliest(setup: Setup, due: dict[int, dict[int, float]], rate: float) -> float:
    """Return the replica-seconds of the costliest cut of the trace into spans."""
    steps = int(setup.length_s / _GRID_S)
    best = [0.0] * (steps + 1)
    for begin in range(steps):
        least_s = setup.min_replicas * _GRID_S
        best[begin + 1] = max(best[begin + 1], best[begin] + least_s)
        spans = range(begin + 1, min(steps, begin + _LONGEST) + 1)
        inside = _due_inside(due, begin, spans)
        for end, work_s in zip(spans, inside, strict=True):
            cost_s = max(least_s * (end - begin), work_s / rate)
            best[end] = max(best[end], best[begin] + cost_s)
    return best[steps] + setup.min_replicas * (setup.length_s - steps * _GRID_S)


def _due_inside(due: dict[int, dict[int, float]], begin: int, ends: range) -> list[float]:
    """Return the work that arrives from ``begin`` on and is due by each of ``ends``."""
    by_end: dict[int, float] = collections.defaultdict(float)
    for start in range(begin, ends.stop):
        for end, work_s in due.get(start, {}).items():
            by_end[end] += work_s
    total, inside = 0.0, []
    for end in ends:
        total += by_end.get(end, 0.0)
        inside.append(total)
    return inside
