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
from collections.abc import Sequence
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
    tokens = np.stack((np.ones(len(steps)), busy.generated / steps, busy.prompt / steps))
    whole = _robust(tokens, target, steps)
    if whole is not None:
        return StepCost(a_s=whole[0], b_s=whole[1], c_s=whole[2])
    return _fit_requests(tokens, target, steps, mix)


def _fit_requests(tokens: Array, target: Array, weights: Array, mix: Mix) -> StepCost | None:
    if not mix.prompt_tokens > 0 or not mix.output_tokens > 0:
        return None
    ones, generated, prompt = tokens
    requests = (generated / mix.output_tokens + prompt / mix.prompt_tokens) / 2
    line = _robust(np.stack((ones, requests)), target, weights)
    if line is None:
        return None
    a_s, work_s = line
    return StepCost(a_s=a_s, b_s=work_s / 2 / mix.output_tokens, c_s=work_s / 2 / mix.prompt_tokens)


def _robust(columns: Array, target: Array, weights: Array) -> tuple[float, ...] | None:
    """
    Return Huber-weighted least squares of a target by columns, the first all ones.

    None where a coefficient is not positive with a relative standard error of at most
    LARGEST_ERROR.
    """
    trusted, solved, spread = weights, None, 0.0
    size = len(columns)
    products = (columns[:, None, :] * np.concatenate((columns, target[None]))).reshape(
        size * (size + 1), -1
    )
    for _ in range(HUBER_ROUNDS):
        solved = _least_squares((products * trusted).sum(axis=1).tolist(), size)
        if solved is None:
            return None
        # Row after row: the sum is that of the columns in their order.
        distances = np.abs(target - (np.array(solved[0])[:, None] * columns).sum(axis=0))
        # 1.4826 makes the median absolute deviation a standard deviation for normal errors.
        spread = 1.4826 * median(distances)
        # A distance of exactly zero is trusted whatever the limit; no division says so.
        limit = HUBER_DEVIATIONS * spread
        trusted = weights * np.where(distances <= limit, 1.0, limit / np.maximum(distances, _TINY))
    if solved is None or not _determined(solved, spread, weights):
        return None
    return solved[0]


def median(values: Array) -> float:
    """Return the median, the mean of the middle two of an even number; at least one."""
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    low, high = np.partition(values, (half - 1, half))[half - 1 : half + 1].tolist()
    return float((low + high) / 2)


def _determined(
    solved: tuple[tuple[float, ...], list[list[float]]], spread: float, weights: Array
) -> bool:
    coefficients, inverse = solved
    # Residuals have variance ``spread²`` at the mean weight; the weights only share it out.
    variance = spread**2 * float(weights.sum()) / len(weights)
    return all(
        value > 0 and math.sqrt(max(0.0, variance * inverse[i][i])) <= LARGEST_ERROR * value
        for i, value in enumerate(coefficients)
    )


def _least_squares(
    products: Sequence[float], size: int
) -> tuple[tuple[float, ...], list[list[float]]] | None:
    """
    Return weighted least squares and the inverse normal matrix; None where it is singular.

    ``products`` are, column by column, its weighted ones with each column and with the target.
    """
    rows = [products[at * (size + 1) : (at + 1) * (size + 1)] for at in range(size)]
    summed, aimed = [row[:size] for row in rows], [row[size] for row in rows]
    # Columns are scaled to one, so that the pivots say how well a term is determined.
    scale = [math.sqrt(summed[i][i]) for i in range(size)]
    if not all(scale):
        return None
    normal = [[summed[i][j] / scale[i] / scale[j] for j in range(size)] for i in range(size)]
    inverse = _inverse(normal)
    if inverse is None:
        return None
    scaled = [aimed[i] / scale[i] for i in range(size)]
    unscaled = [[inverse[i][j] / scale[i] / scale[j] for j in range(size)] for i in range(size)]
    solution = tuple(
        sum(inverse[i][j] * scaled[j] for j in range(size)) / scale[i] for i in range(size)
    )
    return solution, unscaled


def _inverse(matrix: list[list[float]]) -> list[list[float]] | None:
    """Return the inverse of a small symmetric positive matrix; None where near singular."""
    size = len(matrix)
    work = [[*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = work[i][i]
        if not pivot > 1e-9:
            return None
        work[i] = [value / pivot for value in work[i]]
        for j in range(size):
            if j != i:
                factor = work[j][i]
                work[j] = [v - factor * p for v, p in zip(work[j], work[i], strict=True)]
    return [row[size:] for row in work]
