import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.concurrency import moments
from scaler.capacity.concurrency.search import MOST_REQUESTS, largest_concurrency


class Tails:
    """The tail of inverse Gaussian footprints with mean 1, and the counts it was asked for."""

    def __init__(self, room: float, deviation: float) -> None:
        self.room, self.deviation = room, deviation
        self.asked: list[int] = []

    def __call__(self, requests: int) -> float:
        self.asked.append(requests)
        return moments.overflow_probability(requests, self.room, 1.0, self.deviation)

    def largest(self, probability: float) -> int:
        return largest_concurrency(
            self, room=self.room, mean=1.0, deviation=self.deviation, probability=probability
        )


@pytest.mark.parametrize("room", [3.0, 30.0, 300.0, 3000.0])
@pytest.mark.parametrize("deviation", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("probability", [0.001, 0.01, 0.5])
def test_a_few_tails_tell_the_count(room, deviation, probability):
    tails = Tails(room, deviation)

    requests = tails.largest(probability)

    assert tails(requests + 1) > probability
    assert len(tails.asked) <= 13
    assert len(set(tails.asked)) >= len(tails.asked) - 1


def test_nearly_normal_sums_take_the_first_guesses():
    tails = Tails(1000.0, 0.3)

    tails.largest(0.01)

    assert len(tails.asked) <= 4


@pytest.mark.parametrize(
    ("deviation", "requests"),
    [
        pytest.param(0.0, 70, id="all alike"),
        pytest.param(1e-12, 70, id="all alike but for rounding"),
    ],
)
def test_footprints_that_are_alike_need_no_tail(deviation, requests):
    tails = Tails(70.5, deviation)

    assert tails.largest(0.01) == requests
    assert tails.asked == []


@pytest.mark.parametrize("deviation", [0.0, 1.0])
def test_no_engine_runs_more_than_a_million(deviation):
    assert Tails(1e12, deviation).largest(0.01) == MOST_REQUESTS


@given(st.integers(0, 10_000), st.floats(0.01, 10), st.floats(0.01, 10))
def test_any_step_is_found(last, mean, deviation):
    found = largest_concurrency(
        lambda requests: float(requests > last),
        room=100.0,
        mean=mean,
        deviation=deviation,
        probability=0.01,
    )

    assert found == last
