import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.concurrency.moments import fitting_requests, overflow_probability

means = st.floats(0.5, 500)
variations = st.floats(0.0, 3.0)
probabilities = st.floats(1e-4, 0.5)
rooms = st.floats(1, 1e5)


def integrated_tail(requests: int, room: float, mean: float, deviation: float) -> float:
    """Integrate the density of the inverse Gaussian sum past the room, on a logarithmic grid."""
    total, shape = requests * mean, requests**2 * mean**3 / deviation**2
    steps, top = 20_000, math.log(1e3)
    tail = 0.0
    for k in range(steps):
        x = room * math.exp(top * (k + 0.5) / steps)
        exponent = -shape * (x - total) ** 2 / (2 * total**2 * x)
        tail += math.sqrt(shape / (2 * math.pi * x)) * math.exp(exponent) * top / steps
    return tail


@pytest.mark.parametrize(
    ("requests", "room"),
    [
        pytest.param(1, 30, id="one request, three times its mean"),
        pytest.param(10, 150, id="ten requests"),
        pytest.param(100, 1200, id="a hundred requests"),
        pytest.param(100, 1000, id="at the mean"),
        pytest.param(100, 800, id="below the mean"),
        pytest.param(3000, 31_500, id="thousands of requests"),
    ],
)
def test_the_tail_is_that_of_a_sum_of_inverse_gaussian_footprints(requests, room):
    expected = integrated_tail(requests, room, 10, 8)

    assert overflow_probability(requests, room, 10, 8) == pytest.approx(expected, rel=1e-3)


def test_the_tail_is_skewed_to_long_requests():
    assert overflow_probability(10, 100, 10, 8) < 0.5
    assert overflow_probability(10, 100 + 3 * 8 * 10**0.5, 10, 8) > 4 * 0.00135


@pytest.mark.parametrize(
    ("room", "expected"), [(9_000, 1.0), (15_000, 0.0)], ids=["far below", "far above"]
)
def test_far_from_the_mean_it_is_certain(room, expected):
    assert overflow_probability(1000, room, 10, 8) == pytest.approx(expected, abs=1e-4)


def test_without_spread_it_overflows_or_not():
    assert overflow_probability(10, 100, 10, 0) == 0
    assert overflow_probability(11, 100, 10, 0) == 1


@given(means, variations, rooms, probabilities)
def test_the_fitting_requests_is_the_last_that_is_within_the_probability(
    mean, variation, room, probability
):
    requests = fitting_requests(room, mean, variation * mean, probability)

    assert requests >= 0
    if requests:
        assert overflow_probability(requests, room, mean, variation * mean) <= probability
    assert overflow_probability(requests + 1, room, mean, variation * mean) > probability


@given(means, variations, rooms, probabilities, st.floats(1, 10))
def test_more_room_or_shorter_requests_or_more_tolerance_never_hold_fewer(
    mean, variation, room, probability, factor
):
    deviation = variation * mean
    requests = fitting_requests(room, mean, deviation, probability)

    assert fitting_requests(room * factor, mean, deviation, probability) >= requests
    assert fitting_requests(room, mean / factor, deviation / factor, probability) >= requests
    more = min(0.9, probability * factor)
    assert fitting_requests(room, mean, deviation, more) >= requests


@given(variations, st.integers(1, 5000))
def test_it_is_a_probability_whatever_the_numbers(variation, requests):
    for room in (0.01, 1, 100, 1e4, 1e6):
        assert 0 <= overflow_probability(requests, room, 1, variation) <= 1
        assert not math.isnan(overflow_probability(requests, room, 1, variation))
