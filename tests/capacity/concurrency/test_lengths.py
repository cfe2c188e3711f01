import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.concurrency.lengths import (
    LARGEST_P95_RATIO,
    LengthLaw,
    fixed,
    from_histogram,
    lognormal,
)
from scaler.capacity.histogram import Histogram

BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, math.inf)


def law_of(*counts: float, longest: float | None = None) -> LengthLaw:
    law = from_histogram(Histogram(upper=BOUNDS, counts=counts), longest=longest)
    assert law is not None
    return law


def share_within(law: LengthLaw, low: float, high: float) -> float:
    return sum(s for t, s in zip(law.tokens, law.shares, strict=True) if low < t <= high)


def test_every_bucket_keeps_its_mass():
    law = law_of(0, 1, 2, 3, 4, 5, 6, 0)

    assert share_within(law, 1, 2) == pytest.approx(1 / 21)
    assert share_within(law, 20, 50) == pytest.approx(5 / 21)
    assert share_within(law, 50, 100) == pytest.approx(6 / 21)


def test_a_bucket_is_spread_over_its_logarithm():
    assert law_of(0, 0, 0, 0, 0, 1, 0, 0).mean == pytest.approx(30 / math.log(50 / 20))


def test_a_first_bucket_begins_at_one_token():
    law = from_histogram(Histogram(upper=(10.0, math.inf), counts=(1.0, 0.0)))

    assert law is not None
    assert law.mean == pytest.approx(9 / math.log(10))


def test_a_bucket_of_one_token_is_one_token():
    assert law_of(1, 0, 0, 0, 0, 0, 0, 0) == fixed(1.0)


@pytest.mark.parametrize(
    ("longest", "most"),
    [
        pytest.param(None, 250, id="to the next step of a 1-2-5 series"),
        pytest.param(160, 160, id="to the longest request, where it is known"),
        pytest.param(80, 100, id="never below where the bucket begins"),
    ],
)
def test_an_open_last_bucket_reaches(longest, most):
    law = law_of(0, 0, 0, 0, 0, 0, 0, 1, longest=longest)

    assert share_within(law, 99, most) == pytest.approx(1)
    assert law.tokens[-1] >= 0.75 * most


def test_a_count_too_small_for_a_share_is_left_out():
    assert law_of(1, 0, 0, 0, 0, 0, 0, 5e-324) == fixed(1.0)


def test_a_histogram_without_observations_is_no_law():
    assert from_histogram(Histogram(upper=BOUNDS, counts=(0.0,) * 8)) is None


@given(
    st.lists(st.floats(0, 1e6), min_size=8, max_size=8).filter(lambda counts: sum(counts) > 1e-3)
)
def test_a_law_of_a_histogram_is_a_law(counts):
    law = law_of(*counts)

    assert math.isclose(sum(law.shares), 1, rel_tol=1e-9)
    assert all(share > 0 for share in law.shares)
    assert list(law.tokens) == sorted(set(law.tokens))
    assert law.tokens[0] >= 1


@given(st.floats(2, 1e5), st.floats(1.001, LARGEST_P95_RATIO * 0.999))
def test_a_stated_mean_and_percentile_are_kept(mean, ratio):
    law = lognormal(mean, ratio * mean)

    assert law.mean == pytest.approx(mean, rel=1e-6)
    # Points are slices' means: the percentile is right to a slice.
    assert share_within(law, 0, ratio * mean * 0.8) < 0.95
    assert share_within(law, 0, ratio * mean * 1.25) > 0.95


def test_a_mean_alone_spreads_as_public_traces_do():
    law = lognormal(1000)

    assert law.mean == pytest.approx(1000)
    assert 0.945 < share_within(law, 0, 3140) < 0.955
    assert 0.48 < share_within(law, 0, 1000 * math.exp(-0.5)) < 0.52


def test_a_percentile_equal_to_the_mean_is_one_length():
    assert lognormal(1000, 1000) == fixed(1000)
    assert lognormal(1000, 1000, longest=600) == fixed(600)


def test_no_length_is_past_the_longest():
    law = lognormal(1000, 3500, longest=4096)

    assert law.tokens[-1] == 4096
    assert law.mean < 1000
