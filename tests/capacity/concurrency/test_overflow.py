"""The tail of a sum of footprints, against sums that are written out."""

import functools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.slots import Slots, held_blocks, lognormal_lengths, overflow_shares
from scaler.capacity.concurrency.footprint import Footprint, footprint
from scaler.capacity.concurrency.lengths import lognormal
from scaler.capacity.concurrency.overflow import fitting_requests, overflow_probability
from scaler.capacity.kv_cache import KvLayout

UNIFORM = KvLayout(block_tokens=16, growing_groups=1, constant_blocks=0, bytes_per_block_per_gpu=1)

footprints = st.dictionaries(st.integers(1, 60), st.floats(1e-3, 1), min_size=2, max_size=12).map(
    lambda weights: Footprint.of(weights.items())
)


@functools.lru_cache
def chat() -> Footprint:
    """Return chat traffic: heavy-tailed prompts, short outputs."""
    return footprint(
        lognormal(1155, 4083, longest=32_768),
        lognormal(211, 451, longest=32_768),
        UNIFORM,
        longest=32_768,
    )


def summed(law: Footprint, requests: int) -> "np.ndarray":
    """Return the probability of each sum of blocks, convolved out."""
    one = np.zeros(law.blocks[-1] + 1)
    one[list(law.blocks)] = law.shares
    total = np.ones(1)
    for _ in range(requests):
        total = np.convolve(total, one)
    return total


@given(footprints, st.integers(1, 12), st.floats(0.0005, 0.9995))
@example(law=Footprint.of([(10, 0.0185), (45, 0.0023), (414, 0.68), (421, 0.3)]), requests=3, q=0.5)
@example(law=Footprint.of([(1, 0.002), (33, 0.98), (34, 0.015)]), requests=9, q=0.999)
@example(law=Footprint.of([(1, 0.57), (3, 0.43)]), requests=8, q=0.5)
@example(law=Footprint.of([(1, 0.5), (2, 0.5)]), requests=12, q=0.0005)
@example(law=Footprint.of([(9, 0.5), (18, 0.3), (90, 0.2)]), requests=4, q=0.05)
def test_the_tail_is_that_of_the_sum(law, requests, q):
    pmf = summed(law, requests)
    blocks = int(np.argmax(np.cumsum(pmf) >= 1 - q))

    expected = float(pmf[blocks + 1 :].sum())

    assert overflow_probability(law, requests, blocks=blocks) == pytest.approx(
        expected, rel=1e-3, abs=1e-9
    )


@pytest.mark.parametrize(
    ("requests", "blocks", "expected"),
    [
        pytest.param(3, 60, 0.0, id="even the longest fit"),
        pytest.param(7, 60, 1.0, id="even the shortest do not"),
        pytest.param(1, 15, 0.25, id="one request overflows by itself"),
    ],
)
def test_what_needs_no_tail(requests, blocks, expected):
    law = Footprint.of([(10, 3), (20, 1)])

    assert overflow_probability(law, requests, blocks=blocks) == expected


def test_a_cache_far_too_small_overflows_for_certain():
    law = Footprint.of([(1, 0.002), (33, 0.98), (34, 0.015)])

    assert overflow_probability(law, 46, blocks=46) == pytest.approx(1)
    assert fitting_requests(law, 46, 0.5) == 1


def test_requests_that_are_all_alike_fill_the_cache():
    law = Footprint.of([(13, 1)])

    assert fitting_requests(law, 134, 0.01) == 10
    assert fitting_requests(law, 12, 0.01) == 0


@given(footprints, st.integers(1, 3000), st.floats(1e-3, 0.9))
def test_the_count_is_the_last_within_the_probability(law, blocks, probability):
    requests = fitting_requests(law, blocks, probability)

    if requests:
        assert overflow_probability(law, requests, blocks=blocks) <= probability
    assert overflow_probability(law, requests + 1, blocks=blocks) > probability


@given(footprints, st.integers(1, 3000), st.integers(0, 500), st.floats(1e-3, 0.5), st.floats(1, 9))
def test_more_blocks_or_tolerance_never_hold_fewer(law, blocks, more, probability, factor):
    requests = fitting_requests(law, blocks, probability)

    assert fitting_requests(law, blocks + more, probability) >= requests
    assert fitting_requests(law, blocks, min(0.9, probability * factor)) >= requests


@given(footprints, st.integers(10, 3000), st.floats(1e-3, 0.5), st.integers(1, 30))
def test_longer_requests_never_fit_more(law, blocks, probability, longer):
    grown = Footprint(blocks=tuple(b + longer for b in law.blocks), shares=law.shares)

    assert fitting_requests(grown, blocks, probability) <= fitting_requests(
        law, blocks, probability
    )


@pytest.mark.parametrize("requests", [2, 5, 20, 200])
@pytest.mark.parametrize("probability", [0.9, 0.2, 0.01, 0.001])
def test_the_tail_of_a_law_of_many_sizes(requests, probability):
    law = chat()
    one = np.zeros(1 << (requests * law.blocks[-1]).bit_length())
    one[list(law.blocks)] = law.shares
    pmf = np.fft.irfft(np.fft.rfft(one) ** requests, len(one))
    tail = np.cumsum(pmf[::-1])[::-1]
    blocks = int(np.argmax(tail < probability)) - 1

    computed = overflow_probability(law, requests, blocks=blocks)

    assert computed == pytest.approx(float(tail[blocks + 1]), rel=0.04)


@pytest.mark.parametrize("requests", [2, 8, 30, 120])
def test_requests_that_arrive_and_end_overflow_as_often_as_computed(requests):
    rng = np.random.default_rng(requests)
    draw = lognormal_lengths((1155, 4083), (211, 451), longest=32_768)
    held = held_blocks(draw, UNIFORM, Slots(slots=60_000, moments=4), rng)
    sums = held[:, : held.shape[1] // requests * requests].reshape(-1, requests).sum(axis=1)

    caches = [int(np.quantile(sums, 1 - probability)) for probability in (0.2, 0.05, 0.01)]

    seen = overflow_shares(held, caches, range(requests, requests + 1), rng, sums=100_000)[:, 0]

    for blocks, share in zip(caches, seen, strict=True):
        computed = overflow_probability(chat(), requests, blocks=blocks)
        assert computed == pytest.approx(share, rel=0.3)


@pytest.mark.parametrize("requests", [8, 40, 400])
def test_the_count_is_that_of_requests_that_arrive_and_end(requests):
    rng = np.random.default_rng(requests)
    draw = lognormal_lengths((1155, 4083), (211, 451), longest=32_768)
    held = held_blocks(draw, UNIFORM, Slots(slots=60_000, moments=4), rng)
    blocks = int(requests * chat().mean * 1.5)

    chosen = fitting_requests(chat(), blocks, 0.02)

    assert chosen
    counts = range(chosen, chosen + 3 + chosen // 25)
    seen = overflow_shares(held, [blocks], counts, rng, sums=60_000)[0]
    assert seen[0] <= 2 * 0.02
    assert seen[1] > 0.02 / 2
    assert seen[-1] > 0.02


def test_thousands_of_requests_are_nearly_normal():
    law = chat()
    blocks = int(4000 * law.mean + 2 * math.sqrt(4000) * law.deviation)

    assert overflow_probability(law, 4000, blocks=blocks) == pytest.approx(0.0228, rel=0.15)
