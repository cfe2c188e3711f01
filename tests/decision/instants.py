"""What a bucket says of a sample, one number at a time."""

import math
from collections.abc import Sequence
from typing import Any

from scaler.decision.facts.bucket import Instant
from scaler.decision.facts.columns import Array, Columns
from scaler.decision.sample import Sample
from scaler.decision.steps import Busy


def instant(sample: Sample, *before: Sample) -> Instant:
    """Return the instant of a sample, after others."""
    return Columns.of([sample], before).newest


def waiting(sample: Sample) -> float:
    """Return what waits in the engines."""
    return sum(one.requests_waiting or 0.0 for one in sample.replicas)


def held(sample: Sample) -> float:
    """Return what waits at the gateway."""
    return instant(sample).backlog - waiting(sample)


def surely_held(sample: Sample) -> float:
    """Return what waits there for sure."""
    return instant(sample).sure_backlog - waiting(sample)


def increase(before: Sample, after: Sample, field: str) -> float:
    """Return a number about the time between two samples."""
    found: float = getattr(instant(after, before), field)
    return found


def busy(samples: Sequence[Sample]) -> list[tuple[float, ...]]:
    """Return what busy replicas did, bucket by bucket."""
    return list(zip(*(c.tolist() for c in Busy.of(Columns.of(samples))), strict=True))


def listed(column: Array) -> tuple[Any, ...]:
    """Return a column as a tuple, None where it is not known."""
    return tuple(None if math.isnan(one) else one for one in column.tolist())
