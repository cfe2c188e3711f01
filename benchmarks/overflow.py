"""
How often N requests overflow a KV cache: what is computed, against requests arriving and ending.

::

    .venv/bin/python -m benchmarks.overflow            # everything, ten minutes on one core
    .venv/bin/python -m benchmarks.overflow --quick    # a tenth of the requests

For each kind of lengths and each N a cache is sized so that N requests overflow it about as often
as asked, and the computed probability and the chosen N stand beside what simulated requests show
(:mod:`benchmarks.slots`). Then, on real traces: what 1-2-5 buckets and the assumption that prompts
and outputs are independent do to the chosen N.
"""

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.slots import (
    Draw,
    Ints,
    Slots,
    held_blocks,
    lognormal_lengths,
    overflow_shares,
    pareto_lengths,
    pareto_quantile,
    traced_lengths,
)
from benchmarks.traced import TRACES, in_buckets, joint_footprint, observed, read_trace, summarized
from scaler.capacity.concurrency.footprint import Footprint, footprint
from scaler.capacity.concurrency.lengths import LengthLaw, lognormal
from scaler.capacity.concurrency.overflow import fitting_requests, overflow_probability
from scaler.capacity.kv_cache import KvLayout, WindowGroup

UNIFORM = KvLayout(
    block_tokens=16, growing_groups=1, constant_blocks=0, bytes_per_block_per_gpu=2**21
)
STATES = dataclasses.replace(UNIFORM, block_tokens=1568, constant_blocks=12)
"""One attention group and three of linear attention, in blocks of 1,568 tokens."""
WINDOWS = dataclasses.replace(
    UNIFORM, constant_blocks=65, windows=(WindowGroup(block_tokens=16, most_blocks=65),)
)
"""Half of the layers look back over a thousand tokens."""
COUNTS = (2, 3, 5, 10, 20, 50, 100, 200, 500)
PROBABILITIES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
ASKED = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Requests of some kind in some engine: how they are drawn, and what is computed of them."""

    name: str
    draw: Draw
    layout: KvLayout
    computed: Footprint


def cases() -> Iterator[Case]:
    """Yield every kind of lengths and layout that is measured."""
    yield stated("chat", (1155, 4083), (211, 451), UNIFORM, longest=32_768)
    yield stated("long answers", (500, 1800), (1500, 5500), UNIFORM, longest=32_768)
    yield stated("documents", (15_000, 48_000), (150, 520), UNIFORM, longest=131_072)
    yield stated("chat, hybrid", (1155, 4083), (211, 451), STATES, longest=32_768)
    yield stated("chat, windows", (1155, 4083), (211, 451), WINDOWS, longest=32_768)
    yield heavy_tailed()
    for trace in TRACES:
        prompts, outputs = read_trace(trace)
        yield Case(
            name=f"{trace}, pairs",
            draw=traced_lengths(prompts, outputs, together=True),
            layout=UNIFORM,
            computed=joint_footprint(prompts, outputs, UNIFORM),
        )
        yield Case(
            name=f"{trace}, independent",
            draw=traced_lengths(prompts, outputs, together=False),
            layout=UNIFORM,
            computed=footprint(observed(prompts), observed(outputs), UNIFORM),
        )


def stated(
    name: str,
    prompt: tuple[float, float],
    output: tuple[float, float],
    layout: KvLayout,
    *,
    longest: int,
) -> Case:
    """Return lognormal lengths, each stated as mean and 95th percentile."""
    laws = [lognormal(*lengths, longest=longest) for lengths in (prompt, output)]
    return Case(
        name=name,
        draw=lognormal_lengths(prompt, output, longest=longest),
        layout=layout,
        computed=footprint(laws[0], laws[1], layout, longest=longest),
    )


def heavy_tailed() -> Case:
    """Return Pareto lengths: outputs of infinite variance but for the engine's longest request."""
    prompt, output = (1.2, 200.0, 100_000.0), (1.5, 50.0, 32_768.0)

    def law(of: tuple[float, float, float]) -> LengthLaw:
        above = np.concatenate([0.9 ** np.arange(150), [0.0]])
        within = (np.arange(64) + 0.5) / 64
        shares = above[:-1] - above[1:]
        tokens = pareto_quantile(1 - above[:-1, None] + shares[:, None] * within, *of).mean(axis=1)
        return LengthLaw(tokens=tuple(tokens.tolist()), shares=tuple(shares.tolist()))

    return Case(
        name="heavy tails",
        draw=pareto_lengths(prompt, output),
        layout=UNIFORM,
        computed=footprint(law(prompt), law(output), UNIFORM),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One N of one case."""

    requests: int
    ratios: tuple[float, ...]
    """Computed over simulated probability, wherever that is 0.001 to 0.2."""
    chosen: int
    simulated: int
    """The largest N that simulated requests overflow at most as often as asked."""
    seen: float
    """How often the chosen N overflows, simulated."""
    next_seen: float
    """How often one request more does."""

    @property
    def passes(self) -> bool:
        """
        Within a factor of two: the computed probability, and what the chosen N was chosen for.

        It overflows at most twice as often as asked, one request more at least half as often, and
        it is the best one or next to it (within a hundredth, where there are hundreds).
        """
        close = all(0.5 <= ratio <= 2 for ratio in self.ratios)
        near = abs(self.chosen - self.simulated) <= max(1, self.requests // 100)
        return close and near and self.seen <= 2 * ASKED and self.next_seen >= ASKED / 2


def measure(case: Case, held: Ints, requests: int, rng: np.random.Generator, sums: int) -> Row:
    """Return what is computed for caches that about so many requests overflow, and what is seen."""
    sample = held[:, : held.shape[1] // requests * requests].reshape(-1, requests).sum(axis=1)
    caches = sorted({int(np.quantile(sample, 1 - probability)) for probability in PROBABILITIES})
    seen = overflow_shares(held, caches, range(requests, requests + 1), rng, sums=sums)[:, 0]
    ratios = [
        overflow_probability(case.computed, requests, blocks=blocks) / share
        for blocks, share in zip(caches, seen, strict=True)
        if 0.001 <= share <= 0.2
    ]
    blocks = int(np.quantile(sample, 1 - ASKED))
    chosen = max(1, fitting_requests(case.computed, blocks, ASKED))
    reach = 3 + chosen // 20
    counts = range(max(1, chosen - reach), chosen + reach + 1)
    shares = overflow_shares(held, [blocks], counts, rng, sums=sums)[0]
    within = [count for count, share in zip(counts, shares, strict=True) if share <= ASKED]
    return Row(
        requests=requests,
        ratios=tuple(ratios),
        chosen=chosen,
        simulated=max(within, default=counts[0] - 1),
        seen=float(shares[counts.index(chosen)]),
        next_seen=float(shares[counts.index(chosen + 1)]),
    )


def tails(size: Slots, counts: tuple[int, ...], sums: int, seed: int) -> int:
    """Print the table of tails; return how many rows fail."""
    failed = 0
    print(f"{'lengths':38} {'N':>4} {'computed/simulated':>20} {'chosen':>7} {'best':>5} {'at':>8}")
    for case in cases():
        rng = np.random.default_rng(seed)
        held = held_blocks(case.draw, case.layout, size, rng)
        for requests in counts:
            row = measure(case, held, requests, rng, sums)
            failed += not row.passes
            low, high = min(row.ratios, default=math.nan), max(row.ratios, default=math.nan)
            print(
                f"{case.name:38} {row.requests:4} {low:9.2f} to {high:7.2f} {row.chosen:7} "
                f"{row.simulated:5} {row.seen:8.4f}{'' if row.passes else '  ✗'}"
            )
    return failed


def errors() -> None:
    """Print what buckets and independence do on real traces, in blocks and in requests."""
    print(f"\n{'trace':30} {'known':32} {'blocks':>8} {'N':>5} {'N':>5} {'overflows':>10}")
    for trace in TRACES:
        prompts, outputs = read_trace(trace)
        truth = joint_footprint(prompts, outputs, UNIFORM)
        caches = [round(truth.mean * count) for count in (40, 250)]
        for known, law in summarized(prompts, outputs, UNIFORM):
            fits = [fitting_requests(law, blocks, ASKED) for blocks in caches]
            really = overflow_probability(truth, fits[1], blocks=caches[1]) if fits[1] else 0.0
            print(f"{trace:30} {known:32} {law.mean:8.1f} {fits[0]:5} {fits[1]:5} {really:10.4f}")


def speed() -> None:
    """Print the time of one answer that nothing is remembered of."""
    prompts, outputs = read_trace(TRACES[0])
    took = []
    for _ in range(20):
        begin = time.perf_counter()
        law = footprint(in_buckets(prompts), in_buckets(outputs), UNIFORM)
        fitting_requests(law, 20_000, ASKED)
        took.append(time.perf_counter() - begin)
    print(f"\none answer from two histograms: median {1000 * sorted(took)[10]:.1f} ms")


def main() -> int:
    """Return 1 where a row fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    failed = (
        tails(Slots(slots=40_000, moments=4), COUNTS[:6], 50_000, arguments.seed)
        if arguments.quick
        else tails(Slots(slots=200_000, moments=10), COUNTS, 400_000, arguments.seed)
    )
    errors()
    speed()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
