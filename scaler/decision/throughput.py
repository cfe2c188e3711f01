"""
What a replica completes while it has a queue: its throughput at the limit, measured.

It needs no model of the engine. A replica that is bound by prefill runs few requests at once and is
far from full by any count, while hundreds wait; what it completes per second says what it can do.
"""

from collections.abc import Iterator, Sequence

from .remembered import per_sample
from .sample import Sample

LEAST_WAITING = 2.0
"""A single request that waits may just have come between two steps."""

LEAST_S = 15.0
"""A queue that lasts shorter than this says nothing about a rate."""


def queued_completions_per_s(samples: Sequence[Sample]) -> float | None:
    """
    Return the most that one replica completed per second over a time in which it had a queue.

    The most, since a queue can also be one of a slow moment: with the highest rate seen as what a
    replica can do, the load of a fleet never passes what it really completes. None: no replica was
    seen to have a queue for so long.
    """
    return max((rate for run in _queued_runs(samples) for rate in _rates(run)), default=None)


def _queued_runs(samples: Sequence[Sample]) -> Iterator[list[tuple[float, float]]]:
    """Return, per replica, the (time, completions) of each stretch in which it had a queue."""
    open_runs: dict[str, list[tuple[float, float]]] = {}
    for sample in samples:
        queued = _queued(sample)
        if not queued and not open_runs:  # the usual case
            continue
        going: dict[str, list[tuple[float, float]]] = {}
        for name, finished in queued:
            run = open_runs.pop(name, [])
            if run and finished < run[-1][1]:  # restarted
                yield run
                run = []
            run.append((sample.at_s, finished))
            going[name] = run
        yield from open_runs.values()
        open_runs = going
    yield from open_runs.values()


@per_sample
def _queued(sample: Sample) -> tuple[tuple[str, float], ...]:
    """Return the replicas that have a queue, with what they have completed so far."""
    return tuple(
        (replica.name, replica.requests_finished_total)
        for replica in sample.replicas
        if replica.requests_finished_total is not None
        and (replica.requests_waiting or 0.0) >= LEAST_WAITING
    )


def _rates(run: Sequence[tuple[float, float]]) -> Iterator[float]:
    """Return the rate up to each point of a run from the latest one that is LEAST_S earlier."""
    start = 0
    for at_s, finished in run:
        while start + 1 < len(run) and run[start + 1][0] <= at_s - LEAST_S:
            start += 1
        since_s, before = run[start]
        if at_s - since_s >= LEAST_S and finished > before:
            yield (finished - before) / (at_s - since_s)
