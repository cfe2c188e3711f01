"""The measured footprint, by numbers that can be followed with a pencil."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.concurrency.evidence import Reach
from scaler.decision.concurrency.measured import MeasuredFootprint, measured_footprint
from scaler.decision.facts.columns import Columns
from tests.builders import replica, sample_of

ALIKE = [(20.0, 0.20)] * 12
"""Twenty requests that hold a fifth of the cache: a hundredth each."""


def measured(
    rows: list[tuple[float, float]], *, interval_s: float = 30.0, life_s: float | None = None
) -> MeasuredFootprint | None:
    """Return what one replica shows at these (running, usage); 30 s apart, a life of 30 s."""
    samples = [
        sample_of(replica(running=running, kv_cache_usage=usage), at_s=at * interval_s)
        for at, (running, usage) in enumerate(rows)
    ]
    reach = Reach(interval_s=interval_s, samples=0)
    return measured_footprint(Columns.of(samples), reach=reach, service_time_s=life_s)


def known(rows: list[tuple[float, float]], **more: float) -> MeasuredFootprint:
    footprint = measured(rows, **more)
    assert footprint is not None
    return footprint


def test_the_mean_weighs_busy_readings():
    footprint = known([(10, 0.05), (30, 0.35)] * 6)

    assert footprint.mean == pytest.approx(2.4 / 240)
    assert footprint.requests == pytest.approx(240)


def test_the_spread_begins_at_that_of_public_traces():
    # Four snapshots' worth of a deviation as large as the mean, and twelve without any: 4 / 15.
    assert known(ALIKE).deviation == pytest.approx(0.01 * math.sqrt(4 / 15))


def test_the_mean_of_n_requests_spreads_by_a_root_of_n_less_than_one():
    # Means of 0.008 and 0.012 over twenty requests: each deviates by 0.002 · √20 from its mean.
    footprint = known([(20, 0.16), (20, 0.24)] * 200)

    squares = 400 * 20 * 0.002**2
    assert footprint.deviation == pytest.approx(math.sqrt((squares + 4 * 0.01**2) / (4 + 399)))
    assert footprint.deviation == pytest.approx(0.002 * math.sqrt(20), rel=0.01)


def test_readings_within_one_life_show_the_same_requests_again():
    seen_anew = known(ALIKE)
    seen_again = known(ALIKE, interval_s=5.0)

    assert seen_again.requests == pytest.approx(seen_anew.requests / 6)
    assert seen_again.deviation == pytest.approx(0.01 * math.sqrt(4 / (4 + 12 / 6 - 1)))


def test_a_spread_seen_on_the_same_requests_again_counts_once():
    footprint = known([(20, 0.16), (20, 0.24)] * 200, interval_s=5.0)

    squares = 400 / 6 * 20 * 0.002**2
    assert footprint.deviation == pytest.approx(
        math.sqrt((squares + 4 * 0.01**2) / (4 + 400 / 6 - 1))
    )


def test_less_than_one_independent_reading_adds_none():
    footprint = known([(400, 0.4)] * 2, interval_s=5.0, life_s=50.0)

    assert footprint.requests == pytest.approx(80)
    assert footprint.deviation == pytest.approx(footprint.mean)


@pytest.mark.parametrize(
    ("rows", "enough"),
    [
        pytest.param([(1, 0.01)] * 20, True, id="twenty requests"),
        pytest.param([(1, 0.01)] * 19, False, id="nineteen"),
        pytest.param([(0.9, 0.01)] * 60, False, id="less than one request at a time"),
        pytest.param([(20, 1e-7)] * 60, False, id="less than a block"),
    ],
)
def test_enough_requests_make_it_known(rows, enough):
    assert (measured(rows) is not None) is enough


WAVES = [10.0, 20.0, 40.0, 80.0] * 15


def test_what_does_not_grow_is_told_apart():
    footprint = known([(running, 0.08 + 0.005 * running) for running in WAVES])

    assert footprint.shared == pytest.approx(0.08)
    assert footprint.mean == pytest.approx(0.005)
    # Every request holds the same, so only the deviation of the beginning is left.
    assert footprint.deviation == pytest.approx(0.005 * math.sqrt(4 / 63))


def test_most_of_the_least_usage_may_be_shared_and_no_more():
    footprint = known([(running, 0.5 + 0.00001 * running) for running in WAVES])

    assert footprint.shared == pytest.approx(0.9 * 0.5001)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(r, 0.005 * r) for r in WAVES], id="nothing is"),
        pytest.param([(r, 0.005 * r - 0.02) for r in WAVES], id="footprints that grow with load"),
        pytest.param([(r, 0.3) for r in WAVES], id="usage that does not follow the load at all"),
        pytest.param([(r, 0.1 + 0.005 * r) for r in (30, 40, 80) * 15], id="too little spread"),
    ],
)
def test_nothing_is_shared(rows):
    assert known(rows).shared == pytest.approx(0, abs=1e-12)


@given(
    st.lists(st.tuples(st.floats(1, 500), st.floats(1e-5, 1.0)), min_size=20, max_size=80),
    st.floats(1, 60),
    st.none() | st.floats(0.01, 1e4),
)
def test_whatever_is_reported_it_is_a_footprint_or_none(rows, interval_s, life_s):
    footprint = measured(rows, interval_s=interval_s, life_s=life_s)

    assert footprint is None or (
        footprint.mean > 0 and footprint.deviation >= 0 and 0 <= footprint.shared < 1
    )
