"""
Simpler tails than the one that is used, against the sum convolved out.

::

    .venv/bin/python -m benchmarks.tail_formulas    # seconds

For each law of footprints and each N, the cache that N requests overflow with probability 0.01, and
with 0.001: what each formula says there, as a multiple of the truth.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from benchmarks.overflow import UNIFORM, heavy_tailed, stated
from benchmarks.slots import Floats
from benchmarks.traced import TRACES, joint_footprint, read_trace
from scaler.capacity.concurrency import moments, overflow
from scaler.capacity.concurrency.footprint import Footprint

COUNTS = (2, 5, 10, 30, 100, 300)
PROBABILITIES = (0.01, 0.001)
NORMAL = NormalDist()


def laws() -> Iterator[tuple[str, Footprint]]:
    """Yield laws of footprints, from light tails to heavy ones."""
    yield "chat", stated("", (1155, 4083), (211, 451), UNIFORM, longest=32_768).computed
    yield "long answers", stated("", (500, 1800), (1500, 5500), UNIFORM, longest=32_768).computed
    yield "heavy tails", heavy_tailed().computed
    for trace in TRACES:
        yield trace, joint_footprint(*read_trace(trace), UNIFORM)


def convolved(law: Footprint, requests: int) -> Floats:
    """Return how likely the sum of so many footprints is at least each number of blocks."""
    size = 1 << (requests * law.blocks[-1]).bit_length()
    one = np.zeros(size)
    one[list(law.blocks)] = law.shares
    total = np.fft.irfft(np.fft.rfft(one) ** requests, size)
    return np.cumsum(np.clip(total, 0, None)[::-1])[::-1]


def normal(law: Footprint, requests: int, blocks: int) -> float:
    """Return the tail of a normal law with the sum's mean and deviation."""
    distance = (blocks + 0.5 - requests * law.mean) / (law.deviation * math.sqrt(requests))
    return 1 - NORMAL.cdf(distance)


def inverse_gaussian(law: Footprint, requests: int, blocks: int) -> float:
    """Return the tail that serves measured footprints."""
    return moments.overflow_probability(requests, blocks + 0.5, law.mean, law.deviation)


def lugannani_rice(law: Footprint, requests: int, blocks: int) -> float:
    """Return the closed saddlepoint formula (Lugannani and Rice 1980), continuity-corrected."""
    held, shares = np.array(law.blocks, dtype=float), np.array(law.shares)
    threshold = (blocks + 0.5) / requests
    low, high = 0.0, 50 / law.blocks[0]

    def tilted(at: float) -> tuple[Floats, float]:
        weights = shares * np.exp(at * held - at * held[-1])
        return weights, float(weights @ held / weights.sum())

    for _ in range(200):
        at = (low + high) / 2
        low, high = (at, high) if tilted(at)[1] < threshold else (low, at)
    at = (low + high) / 2
    weights, mean = tilted(at)
    variance = float(weights @ (held - mean) ** 2 / weights.sum())
    log_weight = math.log(float(weights.sum())) + at * held[-1]
    distance = math.sqrt(2 * requests * max(1e-12, at * threshold - log_weight))
    scaled = 2 * math.sinh(at / 2) * math.sqrt(requests * variance)
    return 1 - NORMAL.cdf(distance) + NORMAL.pdf(distance) * (1 / scaled - 1 / distance)


def inverted(law: Footprint, requests: int, blocks: int) -> float:
    """Return the tail that is used for lengths."""
    return overflow.overflow_probability(law, requests, blocks=blocks)


FORMULAS = {
    "normal": normal,
    "inverse Gaussian": inverse_gaussian,
    "Lugannani-Rice": lugannani_rice,
    "inverted": inverted,
}


def main() -> None:
    """Print a row per law, N and probability."""
    print(f"{'law':28} {'N':>4} {'P':>6} " + " ".join(f"{name:>17}" for name in FORMULAS))
    for name, law in laws():
        for requests in COUNTS:
            tail = convolved(law, requests)
            for probability in PROBABILITIES:
                blocks = int(np.argmax(tail < probability)) - 1
                truth = float(tail[blocks + 1])
                ratios = [formula(law, requests, blocks) / truth for formula in FORMULAS.values()]
                cells = " ".join(f"{ratio:17.2f}" for ratio in ratios)
                print(f"{name:28} {requests:4} {probability:6} {cells}")


if __name__ == "__main__":
    main()
