"""
The largest count of requests that overflows rarely enough, with as few tails as possible.

The property that must stay true: the count found is within the probability, the next one is not.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

MOST_REQUESTS = 1_000_000
"""More than any engine runs at once."""
_NORMAL = NormalDist()
_ALIKE = 1e-9
"""Deviation over mean below which footprints count as all alike."""
_CERTAIN = 1e-12
"""A probability nearer than this to 0 or 1 counts as that far from it."""


def largest_concurrency(
    overflow: Callable[[int], float],
    *,
    room: float,
    mean: float,
    deviation: float,
    probability: float,
) -> int:
    """
    Return the most requests for which ``overflow`` is at most ``probability``; 0 if none.

    ``overflow`` grows with the count, to 1. ``mean`` and ``deviation`` are those of one footprint
    and ``room`` what they share, all in one unit: the first guesses take the distance from the
    threshold, in standard deviations, to differ from a normal sum's by the same for all counts.
    """
    if deviation <= _ALIKE * mean:
        return int(min(room / mean, MOST_REQUESTS))
    wanted = distance = _distance(probability)
    low, high = 0, MOST_REQUESTS + 1
    low_at, high_at = math.inf, -math.inf
    attempt = 0
    while high - low > 1:
        attempt += 1
        if attempt % 4 == 0:  # what converges slowly from one side is halved, in ratio
            guess = math.sqrt(low * high)
        elif math.isinf(low_at - high_at):
            guess = _normal_concurrency(room, mean, deviation, distance)
        else:
            guess = low + (low_at - wanted) / (low_at - high_at) * (high - low)
        requests = min(max(int(guess), low + 1), high - 1)
        probable = overflow(requests)
        at = _distance(probable)
        distance = wanted + (room - requests * mean) / (deviation * math.sqrt(requests)) - at
        if probable <= probability:
            low, low_at = requests, at
        else:
            high, high_at = requests, at
    return low


def _distance(probability: float) -> float:
    """Return the standard deviations above its mean that a normal law passes this rarely."""
    return -_NORMAL.inv_cdf(min(max(probability, _CERTAIN), 1 - _CERTAIN))


def _normal_concurrency(room: float, mean: float, deviation: float, distance: float) -> float:
    """Return N such that N·mean + distance·√N·deviation fills the room."""
    spread = distance * deviation
    return ((math.sqrt(spread * spread + 4 * mean * room) - spread) / (2 * mean)) ** 2
