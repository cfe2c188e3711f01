"""Knative's rules as a table: its own vectors (``autoscaler_test.go``), then each rule's edge."""

import dataclasses
from typing import Any

import pytest

from scaler.decision import kpa
from scaler.decision.decision import Reason
from scaler.decision.kpa import KpaState, recommend, settle, start, step
from scaler.decision.pace import KNATIVE_PRESET, Pace, pace_of
from scaler.decision.point import LoadPoint
from scaler.decision.policy import InferencePolicy
from scaler.decision.sliding import GapRule
from tests.builders import inference


def knative_pace(target: float = 10.0, **more: Any) -> Pace:
    """Return the pace of Knative's own tests: a bucket a second, rates of 10, no delay."""
    policy = inference(
        **{**KNATIVE_PRESET, "max_scale_up_rate": 10.0, "max_scale_down_rate": 10.0, **more}
    )
    pace = pace_of(policy, lead_time_s=None, bucket_s=1, gap_rule=GapRule.ZERO)
    return dataclasses.replace(pace, target=target)


def running(pace: Pace) -> KpaState:
    """Return a state that is past its start, as Knative's tests arrange it."""
    return dataclasses.replace(start(pace), decided=0)


def settled(pace: Pace, *inputs: tuple[int, int, float, float]) -> list[tuple[int | None, bool]]:
    """Return (count, panic) after each of (second, ready, stable total, panic total)."""
    state, seen = running(pace), []
    for at, ready, stable, panic in inputs:
        state = settle(state, bucket=at, replicas=ready, loads=(stable, panic), pace=pace)
        answer = kpa.answer(state, pace)
        seen.append((answer.desired, answer.panic))
    return seen


@pytest.mark.parametrize(
    ("pace", "inputs", "expected"),
    [
        pytest.param(
            knative_pace(), [(0, 1, 50, 10), (0, 1, 100, 10)], [(5, False), (10, False)], id="#1"
        ),
        pytest.param(
            knative_pace(), [(0, 1, 50, 50), (0, 1, 100, 99)], [(5, True), (10, True)], id="#2"
        ),
        pytest.param(knative_pace(), [(0, 1, 50, 50)], [(5, True)], id="#3"),
        pytest.param(
            knative_pace(1),
            [(0, 10, 11, 25), (30, 40, 30, 80)],
            [(25, True), (80, True)],
            id="#5 panic is extended",
        ),
        pytest.param(
            knative_pace(),
            [(0, 8, 100, 100), (0, 8, 50, 50)],
            [(10, False), (5, False)],
            id="#6 no panic where the panic window is not past the threshold",
        ),
        pytest.param(
            knative_pace(), [(0, 1, 1, 0), (0, 1, 0, 0)], [(1, False), (0, False)], id="#7"
        ),
        pytest.param(
            knative_pace(activation_scale=2),
            [(0, 1, 0, 0), (0, 1, 1, 0)],
            [(0, False), (2, False)],
            id="#8 activation scale",
        ),
        pytest.param(knative_pace(), [(0, 1, 0, 0)], [(0, False)], id="#10a"),
        pytest.param(knative_pace(181), [(0, 1, 21, 26)], [(1, False)], id="#10b"),
        pytest.param(knative_pace(), [(0, 1, 50, 49)], [(5, True)], id="#10c"),
        pytest.param(knative_pace(), [(0, 5, 50, 50)], [(5, False)], id="#10f"),
        pytest.param(
            knative_pace(),
            [(0, 100, 1, 1), (0, 10, 1, 1)],
            [(10, False), (1, False)],
            id="#13 the down rate",
        ),
        pytest.param(
            knative_pace(), [(0, 0, 1000, 888)], [(10, True)], id="#15 no pod counts as one"
        ),
        pytest.param(
            knative_pace(),
            [(0, 1, 10.01, 10.01)],
            [(2, True)],
            id="the ceil'd count is what is held against the threshold",
        ),
    ],
)
def test_knatives_vectors(pace, inputs, expected):
    assert settled(pace, *inputs) == expected


def test_knatives_vector_16_the_target_changes_between_two_decisions():
    first, then = knative_pace(10), knative_pace(1)
    state = settle(running(first), bucket=0, replicas=1, loads=(100, 101), pace=first)
    assert kpa.answer(state, first).desired == 10

    state = settle(state, bucket=0, replicas=10, loads=(100, 101), pace=then)
    assert kpa.answer(state, then).desired == 100
    assert kpa.answer(state, then).panic


def test_knatives_vector_20_without_a_delay_a_lower_count_shows_at_once():
    assert settled(knative_pace(), (0, 5, 40, 40), (0, 5, 20, 20)) == [(4, False), (2, False)]


@pytest.mark.parametrize(
    ("ready", "maximum", "panic"),
    [(0, 0, False), (1, 0, False), (2, 2, True)],
    ids=["none", "one", "several: nothing is taken away until there is history"],
)
def test_knatives_vector_21_how_life_starts(ready, maximum, panic):
    pace = knative_pace()
    state = step(start(pace), LoadPoint(at_s=0, load=0.0, ready=ready), pace)

    assert (state.panic_maximum.count, kpa.answer(state, pace).panic) == (maximum, panic)


@pytest.mark.parametrize(
    ("point", "why"),
    [
        pytest.param(LoadPoint(at_s=1, load=None, ready=2), "load", id="#17 no metric"),
        pytest.param(LoadPoint(at_s=1, load=5.0), "ready replicas", id="#14 no count of pods"),
    ],
)
def test_a_point_that_says_too_little_holds(point, why):
    answer = recommend(
        [LoadPoint(at_s=0, load=5.0, ready=2), point],
        InferencePolicy(),
        lead_time_s=None,
        bucket_s=1,
    )

    assert answer.desired is None
    assert answer.steps[0].reason is Reason.NO_DATA
    assert why in answer.steps[0].detail


def test_no_points_hold():
    assert recommend([], InferencePolicy(), lead_time_s=None, bucket_s=5).desired is None
