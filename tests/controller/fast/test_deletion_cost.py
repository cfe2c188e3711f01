"""Which pods are given a new deletion cost."""

import pytest

from scaler.controller.fast.deletion_cost import PAUSE_S, Written, due


def written(**costs: int) -> dict[str, Written]:
    return {pod: Written(cost=cost, at_s=0.0) for pod, cost in costs.items()}


@pytest.mark.parametrize(
    ("before", "now", "costs"),
    [
        ({}, {"a": 7, "b": 0}, {"a": 7, "b": 0}),
        ({"a": 7}, {"a": 7, "b": 3}, {"b": 3}),
        ({"a": 7, "b": 7}, {"a": 10, "b": 11}, {"b": 11}),
        ({"a": 7, "b": 7}, {"a": 4, "b": 3}, {"b": 3}),
        ({"a": 40, "b": 40}, {"a": 49, "b": 50}, {"b": 50}),
        ({"a": 1, "b": 0}, {"a": 0, "b": 1}, {"a": 0, "b": 1}),
        ({"a": 9}, {"a": 0}, {}),
        ({}, {}, {}),
    ],
    ids=[
        "what was never written",
        "who is new",
        "up by a step",
        "down by a step",
        "of a busy pod a quarter",
        "idle, and not idle any more",
        "a single one goes anyway",
        "nobody reports",
    ],
)
def test_a_cost_is_written_when_it_tells_something_else(before, now, costs):
    assert due(now, written(**before), PAUSE_S) == costs


def test_not_twice_within_the_pause():
    assert due({"a": 90, "b": 0}, written(a=1, b=0), PAUSE_S - 0.1) == {}
