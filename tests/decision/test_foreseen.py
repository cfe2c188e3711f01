"""What a forecast expects is worked out once a minute, and is what it would be anew."""

import dataclasses
import random

import pytest

from scaler.decision.decide import decide
from scaler.decision.foreseen import expected_rise, whole_minutes
from scaler.decision.history import thinned
from scaler.decision.point import LoadPoint
from scaler.decision.policy import Forecast, InferencePolicy, StepCost
from scaler.decision.sample import Sample
from scaler.decision.window import Window
from tests.builders import replica, sample_of

STEP_S = 15
HOUR = 3600 // STEP_S
POLICY = InferencePolicy(
    max_replicas=20,
    max_concurrency=30,
    step_cost=StepCost(a_s=0.01, b_s=0.001, c_s=0.0001),
    lead_time_s=60.0,
    forecast_lookback_s=2 * 3600.0,
    forecast_quantile=0.99,
    scale_down_delay_s=0.0,
)


def recorded(count: int) -> list[Sample]:
    """Return a fleet of two that is scraped every 15 s, with bursts of a minute or two."""
    rng, finished, samples = random.Random(3), 0.0, []
    for number in range(count):
        busy = rng.random() if number % 13 < 5 else 0.1
        finished += round(60 * busy)
        pods = [
            replica(
                f"llm-{pod}",
                running=round(20 * busy),
                waiting=round(10 * busy) - 5 if busy > 0.6 else 0,
                requests_finished_total=finished,
                prompt_tokens_total=100 * finished,
                generation_tokens_total=50 * finished,
                steps_total=40 * finished,
            )
            for pod in range(2)
        ]
        samples.append(sample_of(*pods, at_s=6e6 + STEP_S * number, spec_replicas=2))
    return samples


RECORDED = recorded(3 * HOUR)


def window_at(end: int, samples: list[Sample] = RECORDED) -> Window:
    """Return half an hour of fine samples up to one of them, and two hours and more before."""
    fine_from = end // 4 * 4 - HOUR // 2
    return Window(
        samples=tuple(samples[fine_from : end + 1]),
        history=tuple(thinned(samples[:fine_from])),
        interval_s=STEP_S,
    )


def forgetful(one: Window) -> Window:
    """Return an equal window of samples that nobody has read yet."""
    anew = [tuple(map(dataclasses.replace, part)) for part in (one.history, one.samples)]
    return dataclasses.replace(one, history=anew[0], samples=anew[1])


def test_a_recorded_stretch_is_answered_as_if_nothing_had_been_remembered():
    ends = range(len(RECORDED) - 24, len(RECORDED))
    answers = [decide(window_at(end), POLICY) for end in ends]
    assert answers == [decide(forgetful(window_at(end)), POLICY) for end in ends]
    assert any(answer.reason.value == "Forecast" for answer in answers)


def rising(past):
    return [
        LoadPoint(at_s=one.at_s, load=float(at), ready=2) for at, one in enumerate(past.samples)
    ]


def asked_at(ends, samples=RECORDED):
    """Ask at some samples; return how often the load of the past was worked out."""
    worked_out = []

    def points(past):
        worked_out.append(past)
        return rising(past)

    for end in ends:
        expected_rise(window_at(end, samples), POLICY, 60.0, points_of=points)
    return len(worked_out)


@pytest.mark.parametrize(
    ("ends", "times"),
    [([400, 401, 402, 403], 1), ([400, 403, 404, 407], 2), ([400, 400], 1)],
    ids=["four polls of a minute", "a poll of the next minute", "one instant twice"],
)
def test_the_past_is_gone_through_once_a_minute(ends, times):
    assert asked_at(ends, recorded(420)) == times


def test_a_sample_that_came_late_is_not_missed():
    samples = recorded(420)
    assert asked_at([401], samples) == 1
    samples[390] = dataclasses.replace(samples[390], replicas=())
    assert asked_at([402], samples) == 1


def test_other_terms_are_another_outlook():
    def run(policy, lead_time_s):
        return expected_rise(window_at(401), policy, lead_time_s, points_of=rising)

    often = dataclasses.replace(POLICY, forecast_quantile=0.5)
    assert run(POLICY, 60.0) != run(POLICY, 180.0)
    assert run(POLICY, 60.0).why != run(often, 60.0).why


def test_what_is_held_beyond_the_lookback_changes_nothing():
    one = window_at(len(RECORDED) - 2)
    least = whole_minutes(one, POLICY.forecast_lookback_s)
    shorter = dataclasses.replace(one, history=tuple(s for s in one.history if s in least))
    assert len(shorter.history) < len(one.history)
    assert whole_minutes(shorter, POLICY.forecast_lookback_s) == least
    assert decide(shorter, POLICY) == decide(one, POLICY)


def test_the_present_minute_and_one_that_began_before_the_lookback_are_left_out():
    one = window_at(len(RECORDED) - 2)
    present_s = one.now_s // 60 * 60
    minutes = whole_minutes(one, 600.0)
    assert minutes[-1].at_s < present_s
    assert present_s - 600 < minutes[0].at_s <= present_s - 600 + 60 + STEP_S


def test_a_day_without_a_forecast_is_not_gone_through():
    off = dataclasses.replace(POLICY, forecast=Forecast.OFF)
    one = window_at(len(RECORDED) - 1)
    assert decide(one, off) == decide(dataclasses.replace(one, history=()), off)
