"""What a gateway tells of a workload that sleeps: the requests that reached it."""

from collections.abc import Sequence

from .sample import Sample


def came_to_sleeping(samples: Sequence[Sample], since_s: float) -> float | None:
    """
    Return the requests that reached the gateway after an instant; None: not counted.

    For what sleeps, of which the gateway's rows are the only sign. A row that appears rose from 0
    where it was never seen before: a gateway that has no row of a model before the model's first
    request tells of that one so. (One that is scraped for the first time tells the same, and wakes
    somebody for nothing, once.) Where it was only silent in between, it rose from what it was.
    """
    came: float | None = None
    known: float | None = None
    for number, sample in enumerate(samples):
        total = sample.arrivals_total
        if total is None:
            continue
        before = 0.0 if known is None and number > 0 else known
        if before is not None and sample.at_s > since_s:
            # A counter that fell began anew: what it has now came since.
            came = (came or 0.0) + (total - before if total >= before else total)
        known = total
    return came
