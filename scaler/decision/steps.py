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
import functools
import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from operator import add, mul, sub

from .policy import StepCost
from .rates import in_both, replica_increase
from .remembered import over_pairs, per_pair
from .sample import Replica, Sample

LEAST_BUCKETS = 8
"""Fewer busy buckets than this say nothing about spread."""

LARGEST_ERROR = 0.25
"""Relative standard error of a term beyond which the fit abstains."""

HUBER_DEVIATIONS = 1.5
"""Residuals past this many deviations count less (Huber's weights, 95 % efficient)."""

HUBER_ROUNDS = 5

BUSY_SHARE = 0.9
"""Share of a bucket's steps' time that its tokens must account for; the rest may be idle time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BusyBucket:
    """What the replicas that were busy all through one bucket did in it, added up."""

    seconds: float
    steps: float
    generated: float
    prompt: float


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


Columns = Sequence[Sequence[float]]
"""What a fit explains its target by: a sequence for each coefficient, one number per bucket."""


def busy_buckets(samples: Sequence[Sample]) -> tuple[BusyBucket, ...]:
    """Return what busy replicas did, bucket by bucket; a counter that was reset leaves one out."""
    return tuple([one for one in over_pairs(_busy_bucket, samples) if one is not None])


@per_pair
def _busy_bucket(before: Sample, after: Sample) -> BusyBucket | None:
    """Return what the busy replicas did between two samples; None: none was busy all through."""
    seconds = after.at_s - before.at_s
    done = [
        counts
        for earlier, later in in_both(before, after)
        if (counts := _counts(earlier, later, seconds)) is not None
    ]
    if not done:
        return None
    steps, generated, prompt = (sum(column) for column in zip(*done, strict=True))
    return BusyBucket(seconds=seconds * len(done), steps=steps, generated=generated, prompt=prompt)


def _counts(before: Replica, after: Replica, seconds: float) -> tuple[float, float, float] | None:
    counters = ("steps_total", "generation_tokens_total", "prompt_tokens_total")
    if any((getattr(after, name) or 0) < (getattr(before, name) or 0) for name in counters):
        return None
    steps, generated, prompt = (replica_increase(before, after, name) for name in counters)
    if not steps or generated is None or prompt is None:
        return None
    return (steps, generated, prompt) if _is_busy(before, after, seconds / steps) else None


def _is_busy(before: Replica, after: Replica, step_s: float) -> bool:
    """
    Whether a replica was busy all through a bucket, in which its steps took ``step_s`` on average.

    Two requests at both ends say little when requests last for less than a bucket: the engine may
    have been idle in between, and idle time reads as slow steps. Inter-token latencies hold no
    idle time, and each is the time of one step: where they are known, their mean must account for
    most of ``step_s``.
    """
    least = min(before.requests_running or 0, after.requests_running or 0)
    took_s = replica_increase(before, after, "itl_sum_s")
    tokens = replica_increase(before, after, "itl_count")
    if took_s is None or not tokens:
        return least >= 2
    return least >= 1 and took_s / tokens >= BUSY_SHARE * step_s


def fit(buckets: Sequence[BusyBucket], mix: Mix) -> StepCost | None:
    """
    Return the cost of a step, or None while the buckets lack the spread to tell.

    With a mix of requests that never changes, generated and prompt tokens rise and fall together
    and ``b`` and ``c`` cannot be told apart; what one request costs still can. Then a line in
    requests is fitted and its slope shared evenly between the two.
    """
    if len(buckets) < LEAST_BUCKETS:
        return None
    target = [bucket.seconds / bucket.steps for bucket in buckets]
    weights = [bucket.steps for bucket in buckets]
    generated = [bucket.generated / bucket.steps for bucket in buckets]
    prompt = [bucket.prompt / bucket.steps for bucket in buckets]
    tokens = ([1.0] * len(buckets), generated, prompt)
    whole = _robust(
        tokens, target, weights, uses=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )
    if whole is not None:
        return StepCost(a_s=whole[0], b_s=whole[1], c_s=whole[2])
    return _fit_requests(tokens, target, weights, mix)


def _fit_requests(
    tokens: Columns,
    target: Sequence[float],
    weights: Sequence[float],
    mix: Mix,
) -> StepCost | None:
    if not mix.prompt_tokens > 0 or not mix.output_tokens > 0:
        return None
    ones, generated, prompt = tokens
    requests = (
        ones,
        [
            (g / mix.output_tokens + p / mix.prompt_tokens) / 2
            for g, p in zip(generated, prompt, strict=True)
        ],
    )
    line = _robust(requests, target, weights, uses=((1.0, 0.0), (0.0, 1.0)))
    if line is None:
        return None
    a_s, work_s = line
    return StepCost(a_s=a_s, b_s=work_s / 2 / mix.output_tokens, c_s=work_s / 2 / mix.prompt_tokens)


def _robust(
    columns: Columns,
    target: Sequence[float],
    weights: Sequence[float],
    uses: Sequence[tuple[float, ...]],
) -> tuple[float, ...] | None:
    """
    Return Huber-weighted least squares, or None where a used combination is not well determined.

    ``uses`` are the linear combinations of the coefficients that must be positive with a relative
    standard error of at most LARGEST_ERROR.
    """
    trust = distances = [1.0] * len(target)
    squares = [[x**2 for x in column] for column in columns]
    solved: tuple[tuple[float, ...], list[list[float]]] | None = None
    spread = 0.0
    for number in range(HUBER_ROUNDS):
        if number:
            limit = HUBER_DEVIATIONS * spread
            trust = [1.0 if distance <= limit else limit / distance for distance in distances]
        solved = _least_squares(columns, squares, target, list(map(mul, weights, trust)))
        if solved is None:
            return None
        distances = list(map(abs, map(sub, target, _combined(solved[0], columns))))
        # 1.4826 makes the median absolute deviation a standard deviation for normal errors.
        spread = 1.4826 * statistics.median(distances)
    if solved is None or not _determined(solved, spread, weights, uses):
        return None
    return solved[0]


def _combined(coefficients: Sequence[float], columns: Columns) -> Iterator[float]:
    """Return what the coefficients make of each bucket; a line at a time would take thrice."""
    terms = (map(mul, itertools.repeat(k), c) for k, c in zip(coefficients, columns, strict=True))
    return functools.reduce(lambda these, those: map(add, these, those), terms)


def _determined(
    solved: tuple[tuple[float, ...], list[list[float]]],
    spread: float,
    weights: Sequence[float],
    uses: Sequence[tuple[float, ...]],
) -> bool:
    coefficients, inverse = solved
    # Residuals have variance ``spread²`` at the mean weight; the weights only share it out.
    variance = spread**2 * sum(weights) / len(weights)
    for use in uses:
        value = sum(u * k for u, k in zip(use, coefficients, strict=True))
        noise = sum(
            use[i] * inverse[i][j] * use[j] for i in range(len(use)) for j in range(len(use))
        )
        if not value > 0 or math.sqrt(max(0.0, variance * noise)) > LARGEST_ERROR * value:
            return False
    return True


def _least_squares(
    columns: Columns, squares: Columns, target: Sequence[float], weights: Sequence[float]
) -> tuple[tuple[float, ...], list[list[float]]] | None:
    """
    Return weighted least squares and the inverse normal matrix; None where it is singular.

    The first column is all ones, as that of a constant is.
    """
    size = len(columns)
    weighted = [weights, *(list(map(mul, weights, column)) for column in columns[1:])]
    # Columns are scaled to one, so that the pivots say how well a term is determined.
    scale = [math.sqrt(sum(map(mul, weights, square))) for square in squares]
    if not all(scale):
        return None
    normal = [[1.0] * size for _ in columns]
    for i, j in itertools.combinations(range(size), 2):
        shared = sum(map(mul, weighted[j], columns[i])) if i else sum(weighted[j])
        normal[i][j] = normal[j][i] = shared / scale[i] / scale[j]
    inverse = _inverse(normal)
    if inverse is None:
        return None
    moments = [sum(map(mul, weighted[i], target)) / scale[i] for i in range(size)]
    unscaled = [[inverse[i][j] / scale[i] / scale[j] for j in range(size)] for i in range(size)]
    solution = tuple(
        sum(inverse[i][j] * moments[j] for j in range(size)) / scale[i] for i in range(size)
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
