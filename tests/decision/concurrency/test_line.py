import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.concurrency.line import robust_line

STRAIGHT = [(float(x), 3.0 + 0.5 * x) for x in range(10, 60)]


def line(points, least_ratio=1.5):
    x, y = np.array(points, dtype=float).reshape(-1, 2).T
    return robust_line(x, y, least_ratio=least_ratio)


def test_points_on_a_line_give_it_back():
    found = line(STRAIGHT)

    assert found.slope == pytest.approx(0.5)
    assert found.intercept == pytest.approx(3)
    assert found.at(100) == pytest.approx(53)
    assert (found.lowest, found.highest, found.readings) == (12, 57, 50)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param([], id="no readings"),
        pytest.param(STRAIGHT[:19], id="too few readings"),
        pytest.param([(40.0, 1.0)] * 100, id="all at one load"),
        pytest.param([(40.0 + x % 5, 1.0) for x in range(100)], id="all at nearly one load"),
    ],
)
def test_too_little_spread_is_no_line(points):
    assert line(points) is None


def test_the_spread_that_is_asked_for_is_the_callers():
    assert line(STRAIGHT, least_ratio=4.5) is not None
    assert line(STRAIGHT, least_ratio=5) is None


@given(st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5), st.randoms())
def test_a_tenth_of_wild_readings_moves_it_little(wild, random):
    points = STRAIGHT + [(random.uniform(10, 60), y) for y in wild]
    random.shuffle(points)

    found = line(points)

    assert found.at(35) == pytest.approx(20.5, rel=0.35)
    assert 0.1 < found.slope < 0.9


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), max_size=60))
def test_whatever_the_points_there_is_a_line_or_none(points):
    found = line(points)

    assert found is None or found.highest >= 1.5 * found.lowest
