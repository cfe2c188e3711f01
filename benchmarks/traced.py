"""Lengths of the shared traces: as they came, and as an engine or a person would tell them."""

import collections
import csv
import gzip
import math
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from benchmarks.slots import Ints
from scaler.capacity.concurrency.footprint import Footprint, footprint
from scaler.capacity.concurrency.lengths import LengthLaw, from_histogram, lognormal
from scaler.capacity.histogram import Histogram
from scaler.capacity.kv_cache import KvLayout

TRACES = ("azure2023_conv", "azure2023_code", "mooncake_fast25_synthetic")
"""Request-level traces with real lengths."""


def read_trace(name: str) -> tuple[Ints, Ints]:
    """Return prompts and outputs, tokens; from ``$KVTIDE_DATA``, else ../shared/data."""
    beside = pathlib.Path(__file__).parent.parent.parent / "shared" / "data"
    folder = pathlib.Path(os.environ.get("KVTIDE_DATA", beside))
    with gzip.open(folder / "traces" / f"{name}.csv.gz", "rt") as lines:
        rows = [
            (int(row["prompt_tokens"]), int(row["output_tokens"])) for row in csv.DictReader(lines)
        ]
    prompts, outputs = np.array(rows, dtype=np.int64).T
    return prompts, outputs


def observed(lengths: Ints) -> LengthLaw:
    """Return lengths as they were seen, none binned."""
    tokens, counts = np.unique(lengths, return_counts=True)
    shares = counts / counts.sum()
    return LengthLaw(tokens=tuple(tokens.astype(float).tolist()), shares=tuple(shares.tolist()))


def in_buckets(lengths: Ints) -> LengthLaw:
    """Return lengths as an engine's 1-2-5 histogram tells them."""
    steps = [float(digit * 10**power) for power in range(6) for digit in (1, 2, 5)]
    bounds = [step for step in steps if step < 131_072]
    counts = np.histogram(lengths, bins=[0.5, *(bound + 0.5 for bound in bounds), math.inf])[0]
    histogram = Histogram(upper=(*bounds, math.inf), counts=tuple(counts.astype(float).tolist()))
    law = from_histogram(histogram)
    assert law is not None  # noqa: S101 - a trace has requests
    return law


def stated(lengths: Ints, *, percentile: bool) -> LengthLaw:
    """Return lengths as a person states them: a mean, and perhaps a 95th percentile."""
    mean = float(lengths.mean())
    return lognormal(mean, float(np.quantile(lengths, 0.95)) if percentile else None)


def joint_footprint(prompts: Ints, outputs: Ints, layout: KvLayout) -> Footprint:
    """Return what requests hold, prompts and outputs as they came together."""
    begun = np.zeros(int((prompts + outputs).max()) + 2)
    np.add.at(begun, prompts + 1, 1)
    np.add.at(begun, prompts + outputs + 1, -1)
    at_length = np.cumsum(begun)
    cells: dict[int, list[tuple[int, float]]] = collections.defaultdict(list)
    for tokens in np.flatnonzero(at_length):
        blocks = layout.footprint_blocks(int(tokens))
        # Blocks within 2 % of each other count as one: it changes no tail and is quick.
        cell = blocks if blocks < 50 else 50 + int(math.log(blocks / 50) / math.log(1.02))
        cells[cell].append((blocks, float(at_length[tokens])))
    return Footprint.of(
        (round(sum(b * w for b, w in pairs) / sum(w for _, w in pairs)), sum(w for _, w in pairs))
        for pairs in cells.values()
    )


def summarized(prompts: Ints, outputs: Ints, layout: KvLayout) -> Iterator[tuple[str, Footprint]]:
    """Yield what is known of the lengths in words, and the footprint computed from it."""
    yield "pairs, as they came", joint_footprint(prompts, outputs, layout)
    yield "each alone", footprint(observed(prompts), observed(outputs), layout)
    yield "1-2-5 buckets", footprint(in_buckets(prompts), in_buckets(outputs), layout)
    for name, percentile in (("mean:p95", True), ("mean", False)):
        laws = [stated(lengths, percentile=percentile) for lengths in (prompts, outputs)]
        yield name, footprint(laws[0], laws[1], layout)
