"""
Overflow of the KV cache when only the mean and the spread of a footprint are known.

The sum of N footprints is taken as inverse Gaussian: positive, skewed to long requests (three
times the coefficient of variation; footprints on public traces have 1.4 to 4 times), closed under
addition, with a tail in closed form. A normal tail has no skew and promises too much. For ten
requests and more it is within a factor of two at a probability of 0.01
(benchmarks/tail_formulas.py).

The property that must stay true: more room, fewer requests or a lower mean never overflow more
often.
"""

import math

from .search import largest_concurrency


def overflow_probability(requests: int, room: float, mean: float, deviation: float) -> float:
    """
    Return how likely ``requests`` footprints together pass ``room``.

    ``room``, ``mean`` and standard ``deviation`` are in one unit, such as blocks or shares of the
    cache. The sum of N inverse Gaussian footprints is inverse Gaussian with mean N·mean and shape
    N²·mean³/deviation² (Folks and Chhikara 1978, "The Inverse Gaussian Distribution and Its
    Statistical Application", section 2).
    """
    total = requests * mean
    if deviation <= _NO_SPREAD * mean:
        return float(total > room)
    root_shape = total / deviation * math.sqrt(mean / room)
    above = root_shape * (room / total - 1)
    reflected = root_shape * (room / total + 1)
    # F̄ = Φ(−above) − exp(2·shape/total)·Φ(−reflected), written so that the exponential, which
    # passes every float for many requests, cancels: reflected² − above² = 4·shape/total.
    density = math.exp(-above * above / 2) / math.sqrt(2 * math.pi)
    if above < -_LARGE:
        return 1.0
    return min(1.0, max(0.0, density * (_mills_ratio(above) - _mills_ratio(reflected))))


def fitting_requests(room: float, mean: float, deviation: float, probability: float) -> int:
    """Return the most requests that pass ``room`` at most with ``probability``; 0 if none."""
    return largest_concurrency(
        lambda requests: overflow_probability(requests, room, mean, deviation),
        room=room,
        mean=mean,
        deviation=deviation,
        probability=probability,
    )


_NO_SPREAD = 1e-9
"""Deviation over mean below which footprints count as all alike."""
_LARGE = 25.0
"""Standard deviations past which a normal tail is 0 in a float's eyes, or 1."""


def _mills_ratio(z: float) -> float:
    """Return Φ(−z) over the normal density at z, for z above −25."""
    if z > _LARGE:
        # The first terms of the asymptotic series; the next is below 2e-7 of it here.
        inverse = 1 / z
        return inverse * (1 - inverse**2 + 3 * inverse**4)
    return math.sqrt(math.pi / 2) * math.erfc(z / math.sqrt(2)) * math.exp(z * z / 2)
