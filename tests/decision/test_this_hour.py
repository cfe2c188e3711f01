"""With several days known, this hour of the day is learnt from its own minutes alone."""

import dataclasses
import random

import pytest

from scaler.decision.curve import curve_of
from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.load import read
from scaler.decision.rise import rise, this_hour, whole_minutes
from scaler.decision.sample import Sample
from scaler.decision.window import Window
from tests.builders import inference, sample, window

DAY_S = 86_400.0
NOW_S = 20_000 * DAY_S + 15 * 3600.0
POLICY = inference(max_concurrency=10, lead_time_s=180.0)


def sample_at(at_s: float, load: float) -> Sample:
    return sample(at_s, running=10 * load, replicas=4, spec_replicas=4)


def days(count: int, *, busy_now: bool = True) -> Window:
    """Return some days of noise in minutes up to now; bursts at this hour, or at another."""
    dice = random.Random(7)
    past = []
    for ago in range(int(count * 1440), 0, -1):
        hour = (NOW_S - 60 * ago) / 3600 % 24
        busy = (14 <= hour < 16) is busy_now
        load = 2.0 + (3.0 if busy and ago % 20 < 3 else 0.0) + dice.random() / 10
        past.append(sample_at(NOW_S - 60 * ago, load))
    fine = [sample_at(NOW_S - 5 * ago, 2.0) for ago in range(11, -1, -1)]
    return window(*fine, history=tuple(past[:-1]))


@pytest.mark.parametrize("lead_s", [60.0, 90.0, 180.0, 1800.0, 3600.0])
@pytest.mark.parametrize("busy_now", [True, False])
def test_its_own_minutes_foretell_what_all_of_them_do(lead_s, busy_now):
    past = whole_minutes(days(4, busy_now=busy_now), POLICY.forecast_lookback_s)
    assert past is not None
    few = this_hour(past, lead_s, NOW_S)
    assert few is not None
    curves = (curve_of(one, read(one, POLICY), POLICY) for one in (few, past))

    told, all_told = (rise(curve, POLICY, lead_s, now_s=NOW_S) for curve in curves)

    assert told == all_told
    assert told is not None
    assert "at this hour" in told.why
    assert len(few.samples) < len(past.samples) / 4


@pytest.mark.parametrize(("count", "known"), [(1, False), (1.9, False), (4, True)])
def test_until_three_days_are_known_every_hour_counts(count, known):
    past = whole_minutes(days(count), POLICY.forecast_lookback_s)
    assert past is not None

    assert (this_hour(past, 180.0, NOW_S) is not None) is known


@pytest.mark.parametrize(("busy_now", "raised"), [(True, True), (False, False)])
def test_the_default_looks_back_far_enough_to_know_the_hour(busy_now, raised):
    decision = decide(days(4, busy_now=busy_now), POLICY)
    reasons = [step.reason for step in decision.steps]

    assert (Reason.FORECAST in reasons) is raised
    if raised:
        forecast = next(step for step in decision.steps if step.reason is Reason.FORECAST)
        assert "at this hour" in forecast.detail
    one_day = dataclasses.replace(POLICY, forecast_lookback_s=DAY_S)
    assert "at this hour" not in str(decide(days(4, busy_now=busy_now), one_day).steps)
