"""The target utilisation that nobody stated: as much as the rises of load leave room for."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.decide import decide
from scaler.decision.outlook import Outlook
from scaler.decision.policy import Forecast, InferencePolicy
from scaler.decision.utilization import acting
from tests.builders import demand, inference
from tests.golden.histories import DEFAULT, samples, window

MINUTE = 12
"""Readings of one."""


def outlook(load=4.0, worst=1.0, minutes=600) -> Outlook:
    return Outlook(load=load, rise=0.0, worst=worst, minutes=minutes, why="")


def auto(**more) -> InferencePolicy:
    return inference(**{"target_utilization": None} | more)


def target(policy: InferencePolicy, seen: Outlook | None) -> float:
    return acting(policy, seen, 60.0).effective_target_utilization


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(outlook(worst=1.0), 0.8, id="the room that the worst rise took"),
        pytest.param(outlook(worst=0.0), 0.9, id="a tenth where nothing ever rose"),
        pytest.param(outlook(worst=9.0), 0.7, id="the usual where more rose than a target holds"),
        pytest.param(outlook(worst=1.0, minutes=14), 0.7, id="the usual of a short past"),
        pytest.param(outlook(load=0.0, worst=0.0), 0.7, id="the usual at no load"),
        pytest.param(outlook(load=0.0, worst=2.0), 0.7, id="the usual where bursts follow silence"),
        pytest.param(None, 0.7, id="the usual where nothing is known"),
    ],
)
def test_a_target_leaves_the_room_that_was_needed(seen, expected):
    assert target(auto(), seen) == expected


def test_what_may_wait_needs_no_room():
    assert (
        target(auto(ttft_target=LatencyTarget(seconds=6.0)), outlook(worst=1.0)) == 0.88
    )  # of 5, 1/11 may wait


@pytest.mark.parametrize("stated", [0.3, 0.7, 1.0])
def test_a_stated_target_stands(stated):
    assert target(auto(target_utilization=stated), outlook(worst=0.0)) == stated


def hour(of_a_minute, *, minutes=40, replicas=5):
    """Return a window of whole minutes that each have ``of_a_minute`` requests in flight."""
    loads = itertools.islice(itertools.cycle(of_a_minute), minutes)
    return demand([load for each in loads for load in [each] * MINUTE], replicas=replicas)


POLICY = auto(lead_time_s=60.0, max_concurrency=10, scale_down_delay_s=0.0)


def test_load_that_hardly_rises_fills_replicas_and_says_so():
    decided = decide(hour([40.0, 42.0]), POLICY)

    assert decided.replicas == 5  # at 0.7: 6
    [note] = [one for one in decided.notes if one.startswith("targetUtilization")]
    assert "is 0.9 now: 99 % of 39 minutes rose by no more than 0." in note


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(dataclasses.replace(POLICY, target_utilization=0.7), id="stated"),
        pytest.param(dataclasses.replace(POLICY, forecast=Forecast.OFF), id="nothing is foreseen"),
        pytest.param(dataclasses.replace(POLICY, lead_time_s=0.0), id="nothing to be ahead of"),
    ],
)
def test_elsewhere_replicas_run_at_the_usual_target(policy):
    decided = decide(hour([40.0, 42.0]), policy)

    assert decided.replicas == 6
    assert not [one for one in decided.notes if one.startswith("targetUtilization")]


@given(seed=st.integers(0, 40), end=st.integers(20, 400))
def test_the_count_lies_between_those_of_the_two_targets(seed, end):
    made = samples(seed, 400)
    known = window(made, min(end, len(made)))
    policy = dataclasses.replace(DEFAULT, max_replicas=None)
    each = [
        decide(known, dataclasses.replace(policy, target_utilization=share)).replicas
        for share in (0.9, None, 0.7)
    ]

    told = [count for count in each if count is not None]
    assert len(told) in {0, 3}
    assert told == sorted(told)


def test_a_policy_that_aims_at_another_target_is_another_policy_and_the_same_in_all_else():
    stated = auto(max_replicas=7)
    acts = stated.aiming_at(0.8)

    assert acts == dataclasses.replace(stated, target_utilization=0.8)
    assert stated.target_utilization is None
