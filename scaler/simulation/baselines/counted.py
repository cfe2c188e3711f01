"""Counters over a span of samples, as a query of Prometheus would read them."""

import itertools
from collections.abc import Sequence

from scaler.decision.facts.bucket import rise
from scaler.decision.sample import Sample


def total_increase(samples: Sequence[Sample], counter: str) -> float | None:
    """Return how much a counter rose over a span of samples; None: it was never seen twice."""
    rises = [
        amount
        for before, after in itertools.pairwise(samples)
        for amount in _rises(before, after, counter)
    ]
    return sum(rises) if rises else None


def _rises(before: Sample, after: Sample, counter: str) -> list[float]:
    then = {replica.name: getattr(replica, counter) for replica in before.replicas}
    rises = (rise(then.get(one.name), getattr(one, counter)) for one in after.replicas)
    return [amount for amount in rises if amount is not None]


def mean_prompt_tokens(samples: Sequence[Sample]) -> float | None:
    """Return prompt tokens per finished request; None: nothing finished."""
    finished = total_increase(samples, "requests_finished_total")
    tokens = total_increase(samples, "prompt_tokens_total")
    return tokens / finished if finished and tokens is not None else None
