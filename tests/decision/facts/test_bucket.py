"""Counters, differenced: restarts, newcomers and gaps."""

import math

import pytest

from scaler.decision import demand
from scaler.decision.facts.bucket import rise as rose
from scaler.decision.facts.columns import Columns
from scaler.decision.sample import Sample
from tests.builders import replica, sample_of
from tests.decision.instants import increase


def at(at_s, **counts):
    """Return a sample of replicas by name with a count each."""
    return sample_of(
        *(replica(name, requests_finished_total=count) for name, count in counts.items()), at_s=at_s
    )


@pytest.mark.parametrize(
    ("before", "after", "rise"),
    [
        pytest.param({"a": 5.0, "b": 1.0}, {"a": 7.0, "b": 4.0}, 5, id="replicas add up"),
        pytest.param({"a": 5.0}, {"a": 5.0}, 0, id="no rise is zero, and known"),
        pytest.param({"a": 5.0}, {"a": 2.0}, 2, id="a restart: what has happened since"),
        pytest.param({"a": 5.0}, {"a": 8.0, "new": 90.0}, 3, id="a newcomer has no past here"),
        pytest.param({"a": 5.0, "gone": 9.0}, {"a": 8.0}, 3, id="one that is gone adds nothing"),
        pytest.param({"a": None}, {"a": 8.0}, None, id="missing before"),
        pytest.param({"a": 5.0}, {"a": None}, None, id="missing after"),
        pytest.param({"a": 5.0, "b": None}, {"a": 6.0, "b": 8.0}, 1, id="missing in one of two"),
        pytest.param({"a": 5.0}, {"b": 8.0}, None, id="none is in both"),
    ],
)
def test_what_a_counter_rose_by(before, after, rise):
    told = increase(at(0, **before), at(5, **after), "finished")

    assert (None if math.isnan(told) else told) == rise


def test_a_span_adds_up_what_is_known():
    span = [at(0, a=1.0), at(5, a=4.0), at(10, a=None), at(15, a=9.0), at(20, a=11.0)]

    assert demand.known_sum(Columns.of(span).instants.finished) == 5
    assert demand.known_sum(Columns.of(span[1:4]).instants.finished) is None


def test_one_counter():
    assert rose(1.0, 4.0) == 3
    assert rose(None, 4.0) is None


@pytest.mark.parametrize(
    ("counts", "arrived"),
    [
        pytest.param([3.0, 5.0, 9.0], 6, id="over the span"),
        pytest.param([3.0, None, 9.0, 10.0], 1, id="a gap is not known"),
        pytest.param([9.0, 2.0], 2, id="the gateway was restarted"),
        pytest.param([3.0, 3.0], 0, id="nothing arrived, and that is known"),
        pytest.param([None, 3.0], None, id="never seen twice"),
        pytest.param([3.0], None, id="seen once"),
    ],
)
def test_what_reached_the_gateway(counts, arrived):
    span = [Sample(at_s=5.0 * k, arrivals_total=count) for k, count in enumerate(counts)]

    assert demand.known_sum(Columns.of(span).instants.arrived) == arrived
