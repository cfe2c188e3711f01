"""
How likely N footprints together pass a cache: the tail of an N-fold sum, to its last digit.

A normal tail promises too much (a fifth of the truth for ten requests), and the saddlepoint formula
of Lugannani and Rice, right within percents for many requests, is off by up to three times for a
few heavy-tailed ones (benchmarks/tail_formulas.py). So the sum's generating function is inverted
numerically on the line through the saddlepoint (Daniels 1954, "Saddlepoint Approximations in
Statistics", equation 2.2, before it is expanded). The integrand is a short bump there: some twenty
points where the sum is nearly normal, a hundred where it is one long request among short ones.

The property that must stay true: the probability is that of the footprint given, for one request
or thousands, light tails or heavy; more requests or fewer blocks never make it smaller.
"""

import cmath
import dataclasses
import functools
import math

from .footprint import Footprint
from .search import largest_concurrency

NEWTON_STEPS = 30
"""Steps towards the saddlepoint at most; three to five are usual."""
NEGLIGIBLE = 1e-6
"""Where the generating function has decayed to this share, so has its integral."""
MOST_TERMS = 20_000
"""Terms of a long integrand that are worth their time: about 2 ms."""
LEAST_POINTS = 128
FEW_TERMS = 32
"""A footprint of few sizes is nearly a lattice, and has bumps far from the first one."""


def fitting_requests(footprint: Footprint, blocks: int, probability: float) -> int:
    """Return the most requests that pass ``blocks`` at most with ``probability``; 0 if none."""
    return largest_concurrency(
        functools.partial(overflow_probability, footprint, blocks=blocks),
        room=blocks,
        mean=footprint.mean,
        deviation=footprint.deviation,
        probability=probability,
    )


def overflow_probability(footprint: Footprint, requests: int, *, blocks: int) -> float:
    """Return how likely ``requests`` footprints together hold more than ``blocks``."""
    if requests * footprint.blocks[-1] <= blocks:
        return 0.0
    if requests * footprint.blocks[0] > blocks:
        return 1.0
    if requests == 1:
        pairs = zip(footprint.blocks, footprint.shares, strict=True)
        return sum(share for held, share in pairs if held > blocks)
    least, step = (
        footprint.blocks[0],
        math.gcd(*(b - footprint.blocks[0] for b in footprint.blocks)),
    )
    over = (blocks - requests * least) // step + 1
    tilted = _saddlepoint(_above_least(footprint, step, over), requests, over)
    return min(1.0, max(0.0, _tail(tilted, requests, over)))


def _above_least(footprint: Footprint, step: int, over: int) -> Footprint:
    """
    Return what a request holds above the least one, in steps, with what overflows alone cut short.

    A request far over the whole cache overflows it no more than one that is just over; cut, it
    does not outweigh everything else on the line of integration.
    """
    least, most = footprint.blocks[0], over + over // 4
    pairs = zip(footprint.blocks, footprint.shares, strict=True)
    return Footprint.of((min((held - least) // step, most), share) for held, share in pairs)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Tilted:
    """A footprint with its shares weighted by exp(at · blocks)."""

    at: float
    law: Footprint
    log_weight: float
    """Logarithm of the generating function there."""
    mean: float
    deviation: float


def _tilted(footprint: Footprint, at: float) -> _Tilted:
    top = max(at * footprint.blocks[0], at * footprint.blocks[-1])
    pairs = zip(footprint.blocks, footprint.shares, strict=True)
    weights = [share * math.exp(at * held - top) for held, share in pairs]
    total = sum(weights)
    law = dataclasses.replace(footprint, shares=tuple(weight / total for weight in weights))
    return _Tilted(
        at=at,
        law=law,
        log_weight=top + math.log(total),
        mean=law.mean,
        deviation=law.deviation,
    )


def _saddlepoint(footprint: Footprint, requests: int, over: int) -> _Tilted:
    """
    Return the footprint tilted until ``requests`` of it reach the threshold on average.

    Any tilt on the threshold's side of the mean gives the tail, this one with the shortest
    integrand, so near is good enough. It stays half a deviation away from the mean, since the
    integrand has a pole there.
    """
    mean, most = footprint.mean, footprint.blocks[-1]
    spread = footprint.deviation / math.sqrt(requests)
    threshold = (over - 0.5) / requests
    if threshold >= mean:
        wanted = max(threshold, mean + min(spread, most - mean) / 2)
        low, high = 0.0, math.inf
    else:
        wanted = min(threshold, mean - min(spread, mean) / 2)
        low, high = -math.inf, 0.0
    normal = (wanted - mean) / footprint.deviation**2
    # Where one long request overflows alone, the logarithm of its rarity over its length is near.
    tilted = _tilted(footprint, max(-10 / most, min(normal, 10 / most)))
    steps = 0
    while steps < NEWTON_STEPS and not _is_near(tilted, wanted, requests):
        missing = wanted - tilted.mean
        low, high = (tilted.at, high) if missing > 0 else (low, tilted.at)
        newton = tilted.at + missing / max(tilted.deviation, _LEAST_DEVIATION) ** 2
        guess = newton if low < newton < high else (low + high) / 2
        farthest = 2 * tilted.at
        tilted = _tilted(footprint, guess if abs(guess) < abs(farthest) else farthest)
        steps += 1
    return tilted


def _is_near(tilted: _Tilted, wanted: float, requests: int) -> bool:
    """Whether the sum's mean is within a twentieth of its deviation from the threshold."""
    return abs(wanted - tilted.mean) <= tilted.deviation / math.sqrt(requests) / 20


_LEAST_DEVIATION = 1e-6
"""Blocks: tilted far, a footprint is all but its longest."""


def _tail(tilted: _Tilted, requests: int, over: int) -> float:
    """
    Return the probability that the sum is at least ``over``.

    The trapezoid rule over one period, at ``span`` points: exact but for what lies ``span`` blocks
    to either side of the threshold. Where these are too many, the integrand is ended early by
    normal noise, as little as can be afforded, added to the sum. Tilted to below the mean, the
    integral is minus the other tail.
    """
    deviation = max(tilted.deviation, _LEAST_DEVIATION) * math.sqrt(requests)
    span = max(64, math.ceil(16 * deviation), math.ceil(12 / abs(tilted.at))) | 1
    last = min(span // 2, max(MOST_TERMS // len(tilted.law.blocks), LEAST_POINTS))
    noise = 0.0 if last == span // 2 else 4 * span / (math.tau * last)
    turns = [cmath.rect(1, math.tau / span * held) for held in tilted.law.blocks]
    terms = [complex(share) for share in tilted.law.shares]
    total = 0.5 / -math.expm1(-tilted.at)
    quiet = 0
    for point in range(1, last + 1):
        angle = math.tau / span * point
        terms = [term * turn for term, turn in zip(terms, turns, strict=True)]
        power = sum(terms) ** requests
        damped = power * cmath.rect(math.exp(-((angle * noise) ** 2) / 2), -angle * over)
        total += (damped / (1 - cmath.exp(-complex(tilted.at, angle)))).real
        quiet = quiet + 1 if abs(power) < NEGLIGIBLE else 0
        if quiet > 3 and len(terms) > FEW_TERMS:
            break
    tail = 2 * total / span * math.exp(requests * tilted.log_weight - tilted.at * over)
    return tail if tilted.at > 0 else 1 + tail
