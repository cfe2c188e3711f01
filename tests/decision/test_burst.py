"""A burst that comes back every hour: found, priced, and absorbed only where that is asked for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.burst import recurring
from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.policy import Forecast, OnBurst
from scaler.decision.window import Window
from tests.builders import inference, sample, window

HOUR = 60
NOW_S = 20_000 * 86_400.0 + 15 * 3600.0 + 24 * 60.0
"""24 minutes past the hour."""


def hours(count, *, at=25, lasts=2, load=8.0, base=1.0, hit=lambda hour: True):
    """Return the highest load of each minute of whole hours; bursts in those that ``hit`` says."""
    made = np.full(count * HOUR, base)
    for hour in filter(hit, range(count)):
        made[hour * HOUR + at : hour * HOUR + at + lasts] = load
    return made


def burst_of(highest, *, reach=3, target=0.7, hours_a_day=24):
    number = np.arange(len(highest)) + 7 * HOUR
    return recurring(number, highest, reach=reach, target=target, hours_a_day=hours_a_day)


def test_a_burst_is_known_by_its_minute_its_need_and_its_price():
    found = burst_of(hours(6))
    # Usually two replicas; eight from four minutes before :25 (a lead time of three, and a minute
    # that it may come early) to one after its end: seven minutes of every hour with six more.
    assert (found.minute, found.load, found.ahead) == (24, 8.0, 1.0)
    assert found.replica_hours == pytest.approx(24 * 7 * 6 / 60)


@pytest.mark.parametrize(
    ("highest", "known"),
    [
        pytest.param(hours(6, hit=lambda hour: hour != 2), True, id="it stayed away once of six"),
        pytest.param(hours(6, hit=lambda hour: hour % 2), False, id="in every other hour"),
        pytest.param(hours(2), False, id="two hours are no pattern"),
        pytest.param(hours(6, load=1.9), False, id="less than twice the usual"),
        pytest.param(hours(6, load=0.5, base=0.1), False, id="what one replica holds anyway"),
        pytest.param(np.full(6 * HOUR, np.nan), False, id="nothing is known"),
    ],
)
def test_what_came_back_in_most_hours_is_a_pattern(highest, known):
    assert (burst_of(highest) is not None) is known


def test_one_hour_a_day_costs_a_24th_of_every_hour():
    every, one = burst_of(hours(6)), burst_of(hours(6), hours_a_day=1)
    assert one.replica_hours == pytest.approx(every.replica_hours / 24)


@pytest.mark.parametrize(("began", "ahead"), [(20, 1.0), (21, 8.0), (27, 8.0), (28, 1.0)])
def test_ahead_is_what_comes_until_a_replica_asked_for_now_serves(began, ahead):
    highest = np.append(hours(6), hours(1)[:began])
    assert burst_of(highest).ahead == ahead


@given(st.lists(st.floats(0, 50) | st.just(math.nan), min_size=1, max_size=300))
def test_any_past_has_a_burst_that_it_showed_or_none(loads):
    found = burst_of(np.array(loads))
    if found is not None:
        assert 0 <= found.ahead <= found.load <= np.nanmax(loads)
        assert 0 <= found.replica_hours <= 24 * math.ceil(found.load)


def recorded(load=4.0) -> Window:
    """Return six hours in minutes with two of a burst at :26, and a calm minute now, at :24."""
    past = []
    for ago in range(6 * HOUR, 0, -1):
        minute = (NOW_S - 60 * ago) / 60 % HOUR
        running = 10 * (load if minute in {26, 27} else 1.0)
        past.append(sample(NOW_S - 60 * ago, running=running, replicas=2, spec_replicas=2))
    fine = [
        sample(NOW_S - 5 * ago, running=10.0, replicas=2, spec_replicas=2)
        for ago in range(11, -1, -1)
    ]
    return window(*fine, history=tuple(past[:-1]))


def test_by_default_the_burst_is_missed_and_its_price_told():
    policy = inference(max_concurrency=10, lead_time_s=120.0)
    decision = decide(recorded(), policy)
    assert decision.replicas == 2
    (note,) = [note for note in decision.notes if "burst" in note]
    assert note.startswith("A burst comes back at :2")
    assert "needs 4; being ready for it would cost" in note
    assert note.endswith("set burst: absorb | miss.")


def test_where_it_is_asked_for_replicas_are_ready_before_it():
    policy = inference(max_concurrency=10, lead_time_s=120.0, burst=OnBurst.ABSORB)
    decision = decide(recorded(), policy)
    assert decision.replicas == 4
    assert decision.steps[-1].reason is Reason.FORECAST
    assert "burst: absorb" in decision.steps[-1].detail


def test_a_burst_that_is_never_absorbed_by_a_forecast_that_is_off():
    policy = inference(
        max_concurrency=10, lead_time_s=120.0, burst=OnBurst.ABSORB, forecast=Forecast.OFF
    )
    assert decide(recorded(), policy).replicas == 2
