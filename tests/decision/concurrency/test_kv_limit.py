import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.concurrency.result import Bound, Limit
from scaler.capacity.histogram import Histogram
from scaler.capacity.token_length import TokenLength
from scaler.decision.concurrency.evidence import Reach
from scaler.decision.concurrency.kv_limit import kv_bound
from scaler.decision.concurrency.live import safe_concurrency
from scaler.decision.policy import ConcurrencyMode, InferencePolicy
from scaler.decision.window import Lengths, Window
from tests.builders import inference, replica, sample_of, window
from tests.decision.concurrency.test_cache import HYBRID, UNIFORM, capacity

CHAT = {
    "prompt_tokens": TokenLength(mean=1155, p95=4083),
    "output_tokens": TokenLength(mean=211, p95=451),
}
MEAN, STATISTICAL, WORST = (
    ConcurrencyMode.MEAN,
    ConcurrencyMode.STATISTICAL,
    ConcurrencyMode.WORST_CASE,
)
BOUNDS = (100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, math.inf)


def bound_of(of: Window, policy: InferencePolicy) -> Bound | None:
    return kv_bound(of, policy, of.earlier, Reach.of(of, policy))


def known(of: Window, policy: InferencePolicy) -> Bound:
    bound = bound_of(of, policy)
    assert bound is not None
    assert bound.limit is Limit.KV
    return bound


def asks(**more: Any) -> InferencePolicy:
    return inference(**{"max_concurrency": None, "kv_layout": UNIFORM, **CHAT, **more})


def reports(blocks: float | None = 20_001.0, **more: Any) -> Window:
    """Return a window whose engine says how many blocks it has, and ran nothing yet."""
    return window(sample_of(replica(kv_blocks=blocks)), **more)


def histograms(scale: float = 1.0) -> Lengths:
    return Lengths(
        prompt_tokens=Histogram(
            upper=BOUNDS, counts=tuple(scale * c for c in (1, 2, 4, 8, 4, 1, 0))
        ),
        output_tokens=Histogram(
            upper=BOUNDS, counts=tuple(scale * c for c in (9, 8, 3, 0, 0, 0, 0))
        ),
    )


def test_stated_lengths_say_how_many_fit():
    bound = known(reports(), asks())

    assert 150 < bound.requests < 220
    assert bound.detail.startswith("a request holds 81.")
    assert "of 20,000 (as the engine reports)" in bound.detail
    assert "by a stated mean of 1155 tokens and a stated mean of 211 tokens" in bound.detail
    assert bound.detail.endswith(
        f"taken as independent; {bound.requests} at once overflow it at most 1.00% of the time"
    )


def test_the_engines_histograms_come_before_what_was_stated():
    bound = known(reports(lengths=histograms(scale=10)), asks())

    assert "by the engine's histogram of 200 and the engine's histogram of 200" in bound.detail


def test_twenty_requests_in_a_histogram_are_enough():
    assert "the engine's histogram of 20" in known(reports(lengths=histograms()), asks()).detail


def test_a_histogram_of_a_few_requests_says_less_than_what_was_stated():
    assert known(reports(lengths=histograms(scale=0.5)), asks()) == known(reports(), asks())


def test_what_was_measured_comes_before_any_lengths():
    samples = [
        sample_of(replica(running=40, kv_cache_usage=0.2, kv_blocks=20_001.0), at_s=1000 + 5 * at)
        for at in range(60)
    ]

    assert known(window(*samples), asks()).detail.startswith("a running request holds 0.50%")


@pytest.mark.parametrize(
    ("policy", "of"),
    [
        pytest.param({"prompt_tokens": None}, reports(), id="no prompt lengths"),
        pytest.param({"output_tokens": None}, reports(), id="no output lengths"),
        pytest.param({"kv_layout": None}, reports(), id="no footprint law"),
        pytest.param({}, reports(None), id="no blocks"),
        pytest.param({"concurrency_mode": WORST}, reports(), id="no longest request"),
        pytest.param(
            {"concurrency_mode": WORST, "max_model_len": 4096, "kv_layout": None},
            reports(),
            id="neither a law nor tokens for the worst case",
        ),
        pytest.param(
            {"concurrency_mode": WORST, "max_model_len": 4096, "kv_layout": None},
            window(sample_of()),
            id="no replica for the worst case",
        ),
        pytest.param(
            {"concurrency_mode": ConcurrencyMode.EXPLICIT, "max_concurrency": 9},
            reports(),
            id="not asked",
        ),
    ],
)
def test_what_is_not_known_is_no_limit(policy, of):
    assert bound_of(of, asks(**policy)) is None


@pytest.mark.parametrize(
    ("mode", "requests"),
    [
        pytest.param(WORST, 19, id="every request as long as it may be"),
        pytest.param(STATISTICAL, 209, id="one moment in a hundred overflows"),
        pytest.param(MEAN, 257, id="half of the moments overflow"),
    ],
)
def test_the_modes(mode, requests):
    bound = known(reports(), asks(concurrency_mode=mode, max_model_len=16_384))

    assert bound.requests == pytest.approx(requests, rel=0.02)


def test_the_worst_case_is_what_the_engine_prints():
    policy = asks(concurrency_mode=WORST, max_model_len=4_096)

    assert known(reports(), policy).detail == (
        "20,000 blocks (as the engine reports) / 256 blocks of a request of 4,096 tokens"
    )


def test_the_worst_case_without_a_model_takes_the_tokens_that_the_engine_prints():
    policy = asks(concurrency_mode=WORST, max_model_len=4_096, kv_layout=None)
    of = window(
        sample_of(
            replica("a", kv_capacity_tokens=160_000.0), replica("b", kv_capacity_tokens=170_000.0)
        )
    )

    assert known(of, policy).requests == 39
    assert known(of, policy).detail == (
        "160,000 tokens of cache, as the engine reports, / 4,096 of a request"
    )


def test_the_longest_request_may_come_with_the_computed_cache():
    policy = asks(concurrency_mode=WORST, kv_capacity=capacity(max_model_len=8192))

    assert known(reports(None), policy).requests == 39


@pytest.mark.parametrize("mode", [MEAN, STATISTICAL, WORST])
def test_each_engine_of_a_replica_fills_its_own_cache(mode):
    one = asks(concurrency_mode=mode, kv_capacity=capacity())
    four = asks(concurrency_mode=mode, kv_capacity=capacity(data_parallel=4))

    assert known(reports(None), four).requests == 4 * known(reports(None), one).requests


def test_a_measured_request_fills_the_cache_of_its_own_engine():
    def seen(usage: float) -> Window:
        return window(
            *(
                sample_of(replica(running=40, kv_cache_usage=usage), at_s=1000 + 5 * at)
                for at in range(60)
            )
        )

    mode = {"concurrency_mode": MEAN, "kv_layout": None}
    four = asks(**mode, kv_capacity=capacity(data_parallel=4))

    # Forty requests on four engines, each a fifth full: ten of them hold a fifth of one cache.
    assert known(seen(0.2), four).requests == 200
    assert known(seen(0.2), asks(**mode)).requests == 200
    statistical = asks(kv_layout=None, kv_capacity=capacity(data_parallel=4))
    assert 130 < known(seen(0.2), statistical).requests < 180


@pytest.mark.parametrize("mode", [MEAN, STATISTICAL, WORST])
def test_a_pool_of_states_admits_so_many_whatever_their_length(mode):
    policy = asks(
        concurrency_mode=mode,
        kv_layout=HYBRID,
        kv_capacity=capacity(HYBRID, request_slots=7, data_parallel=2),
    )

    assert known(reports(None), policy).requests == 14


def test_a_cache_too_small_for_any_request_still_runs_one():
    safe = safe_concurrency(reports(2.0), asks())

    assert safe is not None
    assert (safe.requests, safe.bounds[0].requests) == (1, 0)


def test_the_cache_that_was_computed_is_a_cross_check():
    safe = safe_concurrency(reports(), asks(kv_capacity=capacity(num_blocks=30_000)))

    assert safe is not None
    assert safe.notes[0].startswith("The engine reports 20,001 blocks")


@given(
    st.tuples(st.integers(100, 100_000), st.integers(0, 50_000)),
    st.tuples(st.floats(10, 5_000), st.floats(10, 5_000)),
    st.floats(1, 3),
    st.floats(0.002, 0.3),
)
def test_more_blocks_shorter_lengths_or_more_tolerance_never_hold_fewer(
    sizes, lengths, factor, probability
):
    (blocks, more), (prompt, output) = sizes, lengths

    def fits(blocks: float, factor: float, probability: float) -> int:
        policy = asks(
            prompt_tokens=TokenLength(mean=prompt * factor),
            output_tokens=TokenLength(mean=output * factor),
            overflow_probability=probability,
            max_model_len=131_072,
        )
        return known(reports(float(blocks)), policy).requests

    requests = fits(blocks, factor, probability)
    assert fits(blocks + more, factor, probability) >= requests
    assert fits(blocks, factor, min(0.9, probability * factor)) >= requests
    # Cells of lengths are a fortieth wide.
    assert fits(blocks, 1.0, probability) >= math.floor(requests * 0.97)


@given(st.sampled_from([MEAN, STATISTICAL]), st.integers(1, 64), st.integers(0, 200))
def test_a_layout_that_holds_more_never_fits_more(mode, groups, constant):
    heavier = dataclasses.replace(UNIFORM, growing_groups=groups, constant_blocks=constant)
    light, heavy = (
        known(reports(), asks(concurrency_mode=mode, kv_layout=layout)).requests
        for layout in (UNIFORM, heavier)
    )

    assert heavy <= light
