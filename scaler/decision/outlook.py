"""What load may become within one lead time; upper quantiles, and how well one did."""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .burst import Burst
from .facts.columns import Array
from .policy import InferencePolicy

MINUTE_S = 60.0
FEW = 16
"""Values that are sorted as they are: arrays are not worth their time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What load may become within one lead time, in replicas, and how that is known."""

    load: float
    """What it rises from."""
    rise: float
    why: str
    worst: float = 0.0
    """What 99 % of the rises, and the largest but one, were no more than."""
    minutes: int = 0
    """How many minutes that was learnt from; 0: it is not known."""
    burst: Burst | None = None
    """What comes back every hour; None: nothing does."""


class Foreseen(NamedTuple):
    """An outlook, and all that it was made of but the readings themselves."""

    about: object
    outlook: Outlook | None
    """None: too little was known."""
    policy: InferencePolicy
    """As it acts: with the target utilisation that the outlook leaves room for."""


def quantile(values: Sequence[float] | Array, share: float) -> float:
    """Return the least of ``values`` (at least one) that ``share`` of them do not exceed."""
    rank = max(math.ceil(share * len(values) - 1e-9), 1) - 1
    return float(np.partition(values, rank)[rank]) if len(values) > FEW else sorted(values)[rank]


def pinball(values: Array, expected: float, share: float) -> float:
    """
    Return how far a quantile was from what came, on average: its own least is the true quantile.

    Koenker and Bassett, Regression Quantiles, Econometrica 46 (1978): ``share`` for each replica
    that was missing, ``1 − share`` for each that was too many.
    """
    missed = values - expected
    return float(np.maximum(share * missed, (share - 1) * missed).sum()) / len(values)
