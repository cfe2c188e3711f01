"""
What an engine step costs, learned from the engine's own counters.

An engine step with N running requests and p prompt tokens takes about ``a + b·N + c·p`` seconds
(weights are read once a step; each running request reads its cache; each prompt token is computed).
Over a bucket in which a replica was busy all the time, its steps S, generated tokens G (each
running request yields one a step) and prompt tokens P then add up to the bucket:
``Δt = a·S + b·G + c·P``.

The fit is a robust least squares over busy buckets; it abstains until the data has the spread to
tell the terms apart as far as they are used.
"""

import dataclasses
import math
from typing import NamedTuple, Self

import numpy as np

from .facts.columns import Array, Columns
from .policy import StepCost

LEAST_BUCKETS = 8
"""Fewer busy buckets than this say nothing about spread."""

LARGEST_ERROR = 0.25
"""Relative standard error of a term beyond which the fit abstains."""

HUBER_DEVIATIONS = 1.5
"""Residuals past this many deviations count less (Huber's weights, 95 % efficient)."""

HUBER_ROUNDS = 5
LEAST_PIVOT = 1e-9
"""Of columns scaled to one: below it two of them are the same, but for their errors."""
_TINY = 1e-300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Tokens of the mean request."""

    prompt_tokens: float
    output_tokens: float

    def work_s(self, cost: StepCost) -> float:
        """Return the replica's time that one request costs at the margin, seconds."""
        return self.prompt_tokens * cost.c_s + self.output_tokens * cost.b_s

    def alone_s(self, cost: StepCost) -> float:
        """Return how long one request takes that has the replica to itself, seconds."""
        return self.output_tokens * cost.a_s + self.work_s(cost)


class Busy(NamedTuple):
    """What the replicas that were busy all through a bucket did in it, added up; as columns."""

    seconds: Array
    steps: Array
    generated: Array
    prompt: Array

    @classmethod
    def of(cls, past: Columns) -> Self:
        """Return the buckets of a past in which a replica was busy."""
        now = past.instants
        busy = now.busy_steps > 0
        each = (now.busy_s, now.busy_steps, now.busy_generated, now.busy_prompt)
        return cls(*(column[busy] for column in each))


def fit(busy: Busy, mix: Mix) -> StepCost | None:
    """
    Return the cost of a step, or None while the busy buckets lack the spread to tell.

    With a mix of requests that never changes, generated and prompt tokens rise and fall together
    and ``b`` and ``c`` cannot be told apart; what one request costs still can. Then a line in
    requests is fitted and its slope shared evenly between the two.
    """
    steps = busy.steps
    if len(steps) < LEAST_BUCKETS:
        return None
    target = busy.seconds / steps
    tokens = busy.generated / steps, busy.prompt / steps
    whole = _robust(tokens, target, steps)
    if whole is not None:
        return StepCost(a_s=whole[0], b_s=whole[1], c_s=whole[2])
    return _fit_requests(tokens, target, steps, mix)


def _fit_requests(
    tokens: tuple[Array, Array], target: Array, weights: Array, mix: Mix
) -> StepCost | None:
    if not mix.prompt_tokens > 0 or not mix.output_tokens > 0:
        return None
    generated, prompt = tokens
    requests = (generated / mix.output_tokens + prompt / mix.prompt_tokens) / 2
    line = _robust((requests,), target, weights)
    if line is None:
        return None
    a_s, work_s = line
    return StepCost(a_s=a_s, b_s=work_s / 2 / mix.output_tokens, c_s=work_s / 2 / mix.prompt_tokens)


def _robust(columns: tuple[Array, ...], target: Array, weights: Array) -> tuple[float, ...] | None:
    """
    Return Huber-weighted least squares of a target by a constant and one or two columns.

    None where a coefficient is not positive with a relative standard error of at most
    LARGEST_ERROR.
    """
    solved, spread, limit = None, 0.0, math.inf
    products = _products(columns, target)
    weighted, apart = np.empty_like(products), np.empty_like(target)
    for _ in range(HUBER_ROUNDS):
        trusted = weights * (limit / np.maximum(apart, limit)) if solved else weights
        np.multiply(products, trusted, out=weighted)
        solved = _least_squares(*np.add.reduce(weighted, axis=1).tolist())
        if solved is None:
            return None
        constant, *slopes = solved.coefficients[: len(columns) + 1]
        np.add(constant, slopes[0] * columns[0], out=apart)
        if len(columns) > 1:
            apart += slopes[1] * columns[1]
        np.abs(np.subtract(target, apart, out=apart), out=apart)
        # 1.4826 makes the median absolute deviation a standard deviation for normal errors.
        spread = 1.4826 * median(apart)
        # A distance of exactly zero is trusted whatever the limit.
        limit = HUBER_DEVIATIONS * spread + _TINY
    if solved is None or not _determined(solved, len(columns) + 1, spread, weights):
        return None
    return solved.coefficients[: len(columns) + 1]


def _products(columns: tuple[Array, ...], target: Array) -> Array:
    """Return each two of ones and the columns multiplied, and each of them with the target."""
    first, last = columns[0], columns[-1]
    products = np.empty((9 if len(columns) > 1 else 5, len(target)))
    products[0], products[1], products[3] = 1.0, first, target
    np.multiply(first, first, out=products[2])
    np.multiply(first, target, out=products[4])
    if len(columns) > 1:
        products[5] = last
        for row, other in enumerate((first, last, target), 6):
            np.multiply(last, other, out=products[row])
    return products


def median(values: Array) -> float:
    """Return the median, the mean of the middle two of an even number; at least one."""
    half = len(values) // 2
    ordered = values.copy()
    if len(values) % 2:
        ordered.partition(half)
        return float(ordered[half])
    ordered.partition((half - 1, half))
    low, high = ordered[half - 1 : half + 1].tolist()
    return float((low + high) / 2)


class _Solved(NamedTuple):
    """Least squares in three unknowns; the last is 0 where there are but two."""

    coefficients: tuple[float, float, float]
    inverse: tuple[float, float, float]
    """The diagonal of the inverse of the normal matrix: what a coefficient's variance goes by."""


def _determined(solved: _Solved, size: int, spread: float, weights: Array) -> bool:
    # Residuals have variance ``spread²`` at the mean weight; the weights only share it out.
    variance = spread**2 * float(weights.sum()) / len(weights)
    each = tuple(zip(solved.coefficients, solved.inverse, strict=True))[:size]
    return all(
        value > 0 and math.sqrt(max(0.0, variance * inverse)) <= LARGEST_ERROR * value
        for value, inverse in each
    )


def _least_squares(  # noqa: PLR0913, PLR0917 -- a symmetric matrix and a vector, number by number
    s00: float,
    s01: float,
    s11: float,
    t0: float,
    t1: float,
    s02: float = 0.0,
    s12: float = 0.0,
    s22: float = 1.0,
    t2: float = 0.0,
) -> _Solved | None:
    """
    Solve normal equations, ``s`` times the coefficients are ``t``; None where they are singular.

    By elimination, on columns that are scaled to one, so that the pivots say how well a term is
    determined. The defaults stand for a third column that is not there.
    """
    if not (s00 > 0 and s11 > 0 and s22 > 0):
        return None
    r0, r1, r2 = math.sqrt(s00), math.sqrt(s11), math.sqrt(s22)
    n01, n02, n12 = s01 / r0 / r1, s02 / r0 / r2, s12 / r1 / r2
    pivot1 = 1 - n01 * n01
    if not pivot1 > LEAST_PIVOT:
        return None
    rest = n12 - n01 * n02
    pivot2 = 1 - n02 * n02 - rest * rest / pivot1
    if not pivot2 > LEAST_PIVOT:
        return None
    y0 = t0 / r0
    y1 = t1 / r1 - n01 * y0
    x2 = (t2 / r2 - n02 * y0 - rest / pivot1 * y1) / pivot2
    x1 = (y1 - rest * x2) / pivot1
    x0 = y0 - n01 * x1 - n02 * x2
    whole = pivot1 * pivot2
    return _Solved(
        (x0 / r0, x1 / r1, x2 / r2),
        ((1 - n12 * n12) / whole / s00, (1 - n02 * n02) / whole / s11, 1 / pivot2 / s22),
    )
