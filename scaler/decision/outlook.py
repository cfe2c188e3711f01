"""What load may become within one lead time; upper quantiles, and how well one did."""

import dataclasses
import math
from collections.abc import Collection, Sequence

MINUTE_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What load may become within one lead time, in replicas, and how that is known."""

    load: float
    """What it rises from."""
    rise: float
    why: str


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least of ``values`` (at least one) that ``share`` of them do not exceed."""
    rank = math.ceil(share * len(values) - 1e-9)
    return sorted(values)[max(rank, 1) - 1]


def pinball(values: Collection[float], expected: float, share: float) -> float:
    """
    Return how far a quantile was from what came, on average: its own least is the true quantile.

    Koenker and Bassett, Regression Quantiles, Econometrica 46 (1978): ``share`` for each replica
    that was missing, ``1 − share`` for each that was too many.
    """
    missed = (amount - expected for amount in values)
    return sum(max(share * by, (share - 1) * by) for by in missed) / len(values)
