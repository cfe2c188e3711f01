"""
Token lengths of requests, as a law on points.

Engines report histograms with wide buckets (1, 2, 5, 10, …), people state a mean and perhaps a
95th percentile. Both become weighted points, close enough together that what lies between them
does not matter.

The property that must stay true: a law keeps the mass of each bucket, and what was stated: the
mean and the percentile.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator

from scaler.capacity.histogram import Histogram
from scaler.capacity.token_length import LARGEST_P95_RATIO, P95_DEVIATIONS

__all__ = [
    "LARGEST_P95_RATIO",
    "LengthLaw",
    "fixed",
    "from_histogram",
    "lognormal",
]

SLICES = 4
"""Points that the mass of one histogram bucket is spread over."""
WIDEST_STEP = 2.5
"""The widest step between boundaries of a 1-2-5 series: how far an open last bucket reaches."""
USUAL_SIGMA = 1.0
"""Spread of the logarithm where only a mean is stated: 95th percentiles of prompts and outputs are
2.1 to 3.6 times the mean on public traces, 3.1 times with this."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LengthLaw:
    """Lengths in tokens, in increasing order, and the probability of each."""

    tokens: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Tokens on average."""
        return sum(t * s for t, s in zip(self.tokens, self.shares, strict=True))


def fixed(tokens: float) -> LengthLaw:
    """Return the law of requests that are all alike."""
    return LengthLaw(tokens=(tokens,), shares=(1.0,))


def from_histogram(histogram: Histogram, *, longest: float | None = None) -> LengthLaw | None:
    """
    Return the law of a histogram, the mass of a bucket spread evenly over its logarithm.

    ``longest`` tokens (the engine's max_model_len) bound an open last bucket. None: no request was
    counted.
    """
    if histogram.total <= 0:
        return None
    pieces = tuple(_buckets(histogram, longest))
    return _law(
        (_log_uniform_mean(low, high), count / SLICES / histogram.total)
        for lower, upper, count in pieces
        for low, high in _slices(lower, upper)
    )


def _buckets(histogram: Histogram, longest: float | None) -> Iterator[tuple[float, float, float]]:
    """Yield lower bound, upper bound and count of each bucket that has one."""
    lowers = (1.0, *histogram.upper[:-1])
    for lower, upper, count in zip(lowers, histogram.upper, histogram.counts, strict=True):
        if count <= 0:
            continue
        if upper < math.inf:
            yield min(lower, upper), upper, count
        else:
            yield lower, max(lower, longest or WIDEST_STEP * lower), count


def _slices(lower: float, upper: float) -> Iterable[tuple[float, float]]:
    ratio = (upper / lower) ** (1 / SLICES)
    return itertools.pairwise(lower * ratio**k for k in range(SLICES + 1))


def _log_uniform_mean(low: float, high: float) -> float:
    return low if high <= low * (1 + 1e-9) else (high - low) / math.log(high / low)


def lognormal(mean: float, p95: float | None = None, *, longest: float | None = None) -> LengthLaw:
    """
    Return the lognormal law with a stated mean and 95th percentile, tokens.

    ``p95 / mean = exp(1.645·σ − σ²/2)``, of whose two solutions the smaller σ is taken; the ratio
    is 1 to :data:`LARGEST_P95_RATIO`. Lengths past ``longest`` are cut to it.
    """
    most = math.inf if longest is None else longest
    sigma = USUAL_SIGMA if p95 is None else _sigma(p95 / mean)
    if sigma == 0:
        return fixed(min(mean, most))
    # An output is seen as often as it is long, so what counts reaches twice σ further up.
    top = math.ceil((2 * sigma - 2 * _LOWEST) / _STEP)
    ladder = (-math.inf, *(_LOWEST + _STEP * k for k in range(top + 1)), math.inf)
    slices = (
        (_above(low) - _above(high), _above(low - sigma) - _above(high - sigma))
        for low, high in itertools.pairwise(ladder)
    )
    return _law((min(mean * weighted / share, most), share) for share, weighted in slices)


_LOWEST = -4.0
_STEP = 0.1
"""Standard deviations between points: lengths 11 % apart at σ = 1."""


def _sigma(ratio: float) -> float:
    """Return the σ of a lognormal whose 95th percentile is ``ratio`` times its mean."""
    return P95_DEVIATIONS - math.sqrt(max(0.0, P95_DEVIATIONS**2 - 2 * math.log(ratio)))


def _above(z: float) -> float:
    """Return the standard normal's mass above z, to full precision far up."""
    return math.erfc(z / math.sqrt(2)) / 2


def _law(points: Iterable[tuple[float, float]]) -> LengthLaw:
    """Return the law of points (tokens, share), equal ones joined."""
    shares: dict[float, float] = {}
    for tokens, share in points:
        if share <= 0:  # too small for a float
            continue
        shares[tokens] = shares.get(tokens, 0.0) + share
    ordered = sorted(shares)
    return LengthLaw(tokens=tuple(ordered), shares=tuple(shares[t] for t in ordered))
