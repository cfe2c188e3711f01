"""Capacity before the burst: what a rise is, what does not count as one, and what it costs."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.decision import Reason, Step
from scaler.decision.forecast import forecast, lead_time_s
from scaler.decision.outlook import Outlook, pinball, quantile
from scaler.decision.point import Curve, LoadPoint
from scaler.decision.policy import Forecast, InferencePolicy
from scaler.decision.rise import rise as rise_of
from scaler.decision.trend import along
from tests.builders import inference

NOW_S = 1_000_000 * 60.0
LEAD_S = 60.0
PAIR = ((6.0, 1.0), (1.0, 13.0))
"""Seconds before the end of a minute, and the load that was read then."""
OFF = inference(forecast=Forecast.OFF)
RISE = inference(forecast=Forecast.RISE)
TREND = inference(forecast=Forecast.TREND)


def rise(
    points: Sequence[LoadPoint], policy: InferencePolicy, lead_time_s: float
) -> Outlook | None:
    return rise_of(Curve.of(points), policy, lead_time_s)


def minutes(loads: Sequence[float | None]) -> list[LoadPoint]:
    """Return one point a minute, the last of them the minute before now, and one for now."""
    first_s = NOW_S - 60 * len(loads)
    past = [LoadPoint(at_s=first_s + 60 * k, load=load) for k, load in enumerate(loads)]
    return [*past, LoadPoint(at_s=NOW_S, load=1.0)]


def fine(load: Callable[[float], float | None], seconds: float = 600) -> list[LoadPoint]:
    """Return a point every five seconds, up to now, of a load that depends on its age."""
    ages = range(int(seconds / 5) - 1, -1, -1)
    return [LoadPoint(at_s=NOW_S - 5 * age, load=load(5.0 * age)) for age in ages]


def risen(
    loads: Sequence[float | None], policy: InferencePolicy = RISE, lead_s: float = 60
) -> float:
    outlook = rise(minutes(loads), policy, lead_s)
    return -1.0 if outlook is None else outlook.rise


def foreseen(
    points: Sequence[LoadPoint],
    policy: InferencePolicy,
    count: int = 0,
    lead_s: float | None = LEAD_S,
) -> Step | None:
    return forecast(points, count, policy, lead_time_s=lead_s, bucket_s=5)


BURSTS = [*[1.0, 1.0, 1.0, 1.0, 1.0, 5.0] * 3, 1.0]
"""A load of 1 with a minute of 5 in six: five minutes of calm before each, 1.8 on average now."""


SLOPES = [float(at % 20) for at in range(200)]
"""One replica more each minute, twenty minutes long, again and again."""


@pytest.mark.parametrize(
    ("policy", "startup_s", "expected"),
    [
        pytest.param(inference(lead_time_s=90), (10.0, 20.0), 90, id="stated"),
        pytest.param(inference(), tuple(range(1, 11)), 9, id="auto: nine of ten were faster"),
        pytest.param(inference(), (42.0,), 42, id="auto: the only one there was"),
        pytest.param(inference(), (), None, id="auto: no pod of its own was seen yet"),
    ],
)
def test_the_lead_time(policy, startup_s, expected):
    assert lead_time_s(policy, startup_s) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1), (0.01, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (0.9, 4), (1.0, 4)],
)
def test_a_quantile_is_the_least_value_that_the_share_does_not_exceed(share, expected):
    assert quantile([4, 2, 1, 3], share) == expected


@pytest.mark.parametrize(
    ("expected", "loss"),
    [
        pytest.param(2, (0.9 * 2 + 0.9 * 1) / 3, id="three and four: one and two were missing"),
        pytest.param(4, (0.1 * 1 + 0.1 * 2) / 3, id="one and two were too many"),
        pytest.param(3, (0.9 * 1 + 0.1 * 1) / 3, id="one each"),
    ],
)
def test_a_replica_that_was_missing_weighs_more_than_one_too_many(expected, loss):
    assert pinball(np.array([2.0, 3.0, 4.0]), expected, 0.9) == pytest.approx(loss)


@pytest.mark.parametrize(
    ("loads", "quantile", "expected"),
    [
        pytest.param([1.0] * 20, 0.9, 0, id="constant load does not rise"),
        pytest.param([9.0, 8.0, 7.0, 6.0, 5.0], 0.9, 0, id="falling load does not rise"),
        pytest.param(BURSTS, 0.9, 4, id="bursts that come again are what may come"),
        pytest.param(BURSTS, 0.5, 0, id="half of the minutes saw no burst within one lead time"),
        pytest.param(
            [1.0] * 10 + [9.0] + [1.0] * 10, 0.99, 0, id="one spike is no pattern, however high"
        ),
        pytest.param(
            [1.0] * 5 + [9.0, 8.0, 9.5, 8.0, 9.0] + [1.0] * 5,
            0.99,
            0,
            id="one episode has one onset, whatever its own ups and downs",
        ),
        pytest.param([1.0] * 5 + [9.0] * 20, 0.99, 0, id="a step is one rise"),
        pytest.param(
            [1.0] * 5 + [9.0] + [1.0] * 5 + [4.0] + [1.0] * 5,
            0.99,
            3,
            id="of two different bursts the smaller was seen twice",
        ),
        pytest.param([1.0] * 5 + [5.0, 9.0] + [1.0] * 5, 0.99, 0, id="a ramp is one rise, not two"),
        pytest.param([1.0, 5.0], 0.9, 0, id="the only rise there was is no pattern"),
        pytest.param([1.0, None, 9.0, None, 1.0], 0.9, -1, id="across a gap nothing is known"),
        pytest.param(
            ([*[1.0] * 2, *[None] * 5, *[5.0] * 2, *[None] * 5] * 4)[:-5],
            0.9,
            0,
            id="a gap is no rise",
        ),
        pytest.param(
            [*[1.0] * 5, None, *[5.0] * 5, None] * 4,
            0.99,
            5 - (1 + 1 + 1 + 5) / 4,
            id="a level is the mean of what is known of five minutes",
        ),
        pytest.param([], 0.9, -1, id="without history it abstains"),
        pytest.param([1.0], 0.9, -1, id="one minute says nothing about a rise"),
        pytest.param([None] * 10, 0.9, -1, id="silence says nothing"),
    ],
)
def test_what_load_usually_rises_within_a_minute(loads, quantile, expected):
    policy = dataclasses.replace(RISE, forecast_quantile=quantile)

    assert risen(loads, policy) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("lead_s", "expected"),
    [
        pytest.param(1, 2, id="less than a minute is a minute: nothing finer is kept"),
        pytest.param(60, 2, id="one minute ahead: 6 after 4"),
        pytest.param(75, 2.5, id="a quarter of the way from one minute to two"),
        pytest.param(120, 4, id="two minutes ahead: 6 after 2"),
        pytest.param(180, 6, id="three minutes ahead: 6 after nothing"),
    ],
)
def test_a_rise_is_what_comes_within_one_lead_time(lead_s, expected):
    ramps = [0.0, 2.0, 4.0, 6.0, *[0.0] * 6] * 10
    policy = dataclasses.replace(RISE, forecast_quantile=0.999)

    assert risen(ramps, policy, lead_s) == pytest.approx(expected)


@pytest.mark.parametrize("quantile", [0.69, 0.71])
def test_within_a_lead_time_is_at_any_minute_of_it(quantile):
    ramps = [*[1.0] * 9, 6.0] * 20  # a minute of it lies ahead of three in ten
    policy = dataclasses.replace(RISE, forecast_quantile=quantile)

    assert (risen(ramps, policy, 180) > 4) is (quantile > 0.7)


def test_between_two_minutes_the_level_is_between_as_well():
    fallen = minutes([*SLOPES, 0.0])
    outlooks = [rise(fallen, RISE, lead_s) for lead_s in (60, 75, 120)]

    assert [one and one.load for one in outlooks] == pytest.approx([0.0, 4.75, 19.0])


def test_load_rises_from_the_mean_of_minutes_to_the_highest_in_one():
    # In each minute 1 but for ten seconds; these hold 7 in every sixth minute, else 4.
    def load(age: float) -> float:
        peak = 7.0 if age // 60 % 6 == 4 else 4.0
        return peak if age % 60 in (20, 25) else 1.0

    outlook = rise(fine(load, 4 * 3600), RISE, LEAD_S)

    assert outlook is not None
    assert outlook.load == pytest.approx((50 + 40) / 60)
    assert outlook.rise == pytest.approx(7 - (50 + 40) / 60)


@pytest.mark.parametrize(
    ("loads", "load", "rise", "of"),
    [
        pytest.param(SLOPES, 19, 1, "1 min", id="slopes are seen in the last minute"),
        pytest.param(BURSTS * 4, 1.8, 4, "5 min", id="bursts are told from a longer mean"),
    ],
)
def test_a_rise_is_measured_from_the_level_that_has_foretold_best(loads, load, rise, of):
    step = foreseen(minutes(loads), RISE)

    assert step is not None
    assert f"load {load:.2f} may rise by {rise:.2f} " in step.detail
    assert step.detail.endswith(f" above the mean of {of}")


def test_a_thinned_reading_stands_for_the_time_since_the_one_before():
    # A counter's load: 1 over most of each minute, and 13 over its last five seconds.
    ends = [NOW_S - 60 * age for age in range(30, 0, -1)]
    thinned = [LoadPoint(at_s=end_s - back_s, load=load) for end_s in ends for back_s, load in PAIR]
    outlook = rise([*thinned, LoadPoint(at_s=NOW_S, load=1.0)], RISE, LEAD_S)

    assert outlook is not None
    assert outlook.load == pytest.approx((55 * 1 + 5 * 13) / 60)


def test_a_reading_after_a_gap_stands_for_a_minute_at_most():
    since_s = NOW_S - 60
    calm = [LoadPoint(at_s=since_s + 20 * k, load=1.0) for k in (1, 2)]
    late = LoadPoint(at_s=since_s, load=4.0)
    before = [LoadPoint(at_s=since_s - 1200 - 60 * k, load=1.0) for k in range(30, 0, -1)]
    outlook = rise([*before, late, *calm, LoadPoint(at_s=NOW_S, load=1.0)], RISE, LEAD_S)

    assert outlook is not None
    assert outlook.load == pytest.approx((60 * 4 + 20 + 20) / 100)


def test_older_than_the_lookback_does_not_count():
    policy = dataclasses.replace(RISE, forecast_lookback_s=600)

    assert risen([0.0, 9.0] * 20 + [1.0] * 9, policy) == 0
    assert risen([0.0, 9.0] * 20 + [1.0], policy) > 0


def test_a_minute_that_lies_only_partly_within_the_lookback_does_not_count():
    policy = dataclasses.replace(RISE, forecast_lookback_s=600, forecast_quantile=0.99)
    twice = [0.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 0.0, 9.0]

    assert risen([*twice, 9.0], policy) == 0
    assert risen(twice, policy) == pytest.approx(9 - 4 * 9 / 5)


def test_the_present_minute_teaches_nothing():
    now = fine(lambda age: 1.0 if age > 20 else 50.0, 3600)
    outlook = rise(now, RISE, LEAD_S)

    assert outlook is not None
    assert outlook.rise == 0


@pytest.mark.parametrize(
    ("before_today", "expected"),
    [
        pytest.param(1, 0.0, id="two days: all hours count, and this one drowns"),
        pytest.param(2, 3.0, id="three days: this hour alone counts"),
    ],
)
def test_with_several_days_the_hour_of_day_counts(before_today, expected):
    busy_hour = [1.0, 1.0, 1.0, 1.0, 1.0, 4.0] * 10
    day = [1.0] * (1440 - 90) + busy_hour + [1.0] * 30
    loads = [*day * before_today, *[1.0] * (1440 - 90), *busy_hour[:29]]
    policy = dataclasses.replace(RISE, forecast_lookback_s=14 * 86_400)
    outlook = rise(minutes(loads), policy, LEAD_S)

    assert outlook is not None
    assert outlook.rise == expected
    assert (" at this hour" in outlook.why) is (expected > 0)


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        pytest.param(30, 3.0, id="half an hour later is this hour"),
        pytest.param(31, 0.0, id="later is another hour"),
        pytest.param(-30, 3.0, id="half an hour before is this hour"),
        pytest.param(-31, 0.0, id="before that is another hour"),
    ],
)
def test_an_hour_is_half_of_one_to_either_side(apart, expected):
    loads = [1.0] * (3 * 1440)
    for day in (1, 2, 3):
        burst = len(loads) - day * 1440 + apart + 1
        loads[max(burst, 0)] = 4.0
    policy = dataclasses.replace(RISE, forecast_lookback_s=14 * 86_400, forecast_quantile=0.9999)

    assert risen([1.0] * 60 + loads, policy) == expected


def test_the_reserve_is_added_to_the_level_and_runs_up_to_full():
    step = foreseen(minutes(BURSTS), RISE)

    assert step is not None
    assert (step.replicas, step.reason) == (6, Reason.FORECAST)  # 1.8 + 4, each of them full
    assert step.detail == (
        "load 1.80 may rise by 4.00 within 60 s: 90 % of 18 minutes rose no more"
        " above the mean of 5 min"
    )


@pytest.mark.parametrize(
    ("ttft_s", "lead_s", "expected"),
    [
        pytest.param(None, 60, 6, id="nobody waits: all of the peak"),
        pytest.param(None, 1, 6, id="nobody waits, however short the peak is"),
        pytest.param(15, 60, 5, id="5.8 · 60 / 75: what is left drains within 15 s"),
        pytest.param(60, 60, 3, id="a peak of one lead time, drained within another"),
    ],
)
def test_a_request_may_wait_as_long_as_its_target_allows(ttft_s, lead_s, expected):
    policy = dataclasses.replace(
        RISE, ttft_target=None if ttft_s is None else LatencyTarget(seconds=ttft_s)
    )
    step = foreseen(minutes(BURSTS), policy, lead_s=lead_s)

    assert step is not None
    assert step.replicas == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, 6), (5, 6), (6, None), (7, None)],
    ids=["none", "too few", "enough", "more than enough"],
)
def test_a_forecast_only_raises(count, expected):
    step = foreseen(minutes(BURSTS), RISE, count)

    assert (step and step.replicas) == expected


@pytest.mark.parametrize(
    ("since", "lead_s", "expected"),
    [
        pytest.param(0, 60, 2, id="a minute ago: 6 and four times 1"),
        pytest.param(4, 60, 2, id="the oldest of five minutes"),
        pytest.param(5, 60, 1, id="then it is let go"),
        pytest.param(6, 180, 2, id="held for a lead time"),
        pytest.param(7, 180, 1, id="then it is let go as well"),
    ],
)
def test_a_level_is_held_for_a_lead_time(since, lead_s, expected):
    step = foreseen(minutes([*[1.0] * 30, 6.0, *[1.0] * since]), RISE, lead_s=lead_s)

    assert step is not None
    assert step.replicas == expected


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        pytest.param(0, 5, id="a burst of now"),
        pytest.param(55, 5, id="a burst within the lead time is held"),
        pytest.param(60, 3, id="half of it still shows in a panic window"),
        pytest.param(65, 1, id="then it is let go"),
    ],
)
def test_what_a_slope_is_added_to_is_held_for_a_lead_time(age_s, expected):
    points = fine(lambda age: 5.0 if age in (age_s, age_s + 5) else 1.0, 300)
    step = foreseen(points, TREND)

    assert step is not None
    assert step.replicas == expected


def test_a_longer_panic_window_averages_over_more():
    policy = dataclasses.replace(TREND, panic_window_percentage=50)  # six buckets
    points = fine(lambda age: 7.0 if age == 80 else 1.0, 1800)
    step = foreseen(points, policy)

    assert step is not None
    assert step.replicas == 2  # (7 + 5 · 1) / 6, from ages 80 to 55 s


def test_no_load_and_no_rise_asks_for_nothing():
    assert foreseen(fine(lambda age: 0.0, 1800), RISE) is None


def test_one_reading_is_averaged_over_the_panic_window():
    step = foreseen(fine(lambda age: 9.0 if age == 30 else 1.0, 1800), TREND)

    assert step is not None
    assert step.replicas == 5


@pytest.mark.parametrize(
    ("points", "policy", "lead_s"),
    [
        pytest.param(minutes(BURSTS), OFF, LEAD_S, id="the forecast is off: no rise"),
        pytest.param(
            fine(lambda age: 10 - age / 60), OFF, LEAD_S, id="the forecast is off: no trend"
        ),
        pytest.param(minutes(BURSTS), RISE, None, id="the lead time is not known"),
        pytest.param(minutes(BURSTS), RISE, 0.0, id="a replica is ready at once"),
        pytest.param([], RISE, LEAD_S, id="there are no points"),
        pytest.param(minutes([1.0]), RISE, LEAD_S, id="rise: there is no history"),
        pytest.param(fine(lambda age: age, 60), TREND, LEAD_S, id="trend: there is no history"),
        pytest.param(
            fine(lambda age: None if age < 65 else 1.0),
            TREND,
            LEAD_S,
            id="trend: no load is known within the lead time",
        ),
        pytest.param(
            minutes([*BURSTS, *[None] * 5]), RISE, LEAD_S, id="rise: none is known of five minutes"
        ),
        pytest.param(
            minutes([*BURSTS, *[None] * 5]), RISE, 90.0, id="rise: of two minutes one knows none"
        ),
    ],
)
def test_a_forecast_abstains(points, policy, lead_s):
    assert foreseen(points, policy, lead_s=lead_s) is None


@pytest.mark.parametrize(
    ("load", "lead_s", "expected"),
    [
        pytest.param(lambda age: 10 - age / 60, 60, 1, id="one replica a minute, a minute ahead"),
        pytest.param(lambda age: 10 - age / 60, 300, 5, id="five minutes ahead"),
        pytest.param(lambda age: 1 + age / 60, 60, 0, id="falling load is not followed down"),
        pytest.param(lambda age: 3.0, 60, 0, id="constant load"),
        pytest.param(
            lambda age: 3 - max(0, age - 300) / 300, 60, 0, id="a slope before its window"
        ),
        pytest.param(lambda age: 50.0 if age == 20 else 3.0, 60, 0, id="one spike"),
        pytest.param(lambda age: None if age < 150 else 3.0, 60, 0, id="a gap"),
        pytest.param(
            lambda age: (0 if age == 40 else 10 - age / 60) if age < 200 else None,
            60,
            1,
            id="a slope with a gap and an outlier",
        ),
    ],
)
def test_a_trend_is_followed_up(load, lead_s, expected):
    outlook = along(fine(load, 1200), 1.0, lead_s)

    assert outlook is not None
    assert outlook.rise == pytest.approx(expected, abs=0.05)


def test_a_trend_is_told():
    step = foreseen(fine(lambda age: 10 - age / 60), TREND)

    assert step is not None
    assert step.replicas == 11
    assert (
        step.detail == "load 9.96 may rise by 1.00 within 60 s: +1.00 a minute over the last 300 s"
    )


def test_a_trend_never_foresees_more_than_load_has_moved():
    outlook = along(fine(lambda age: 2 - age / 600, 300), 1.0, 300)

    assert outlook is not None
    assert outlook.rise == pytest.approx(
        0.4
    )  # in the 240 s before the newest bin; its slope alone says 0.5


def test_a_trend_needs_its_bins():
    points = fine(lambda age: 10 - age / 60, 300)

    assert along(points[-19:], 1.0, 60) is not None
    assert along(points[-18:], 1.0, 60) is None


histories = st.lists(st.one_of(st.none(), st.floats(0, 20), st.just(1.0)), min_size=1, max_size=120)
forecasts = st.sampled_from([RISE, TREND])
leads = st.sampled_from([5.0, 60.0, 150.0])


def history_of(loads: Sequence[float | None], spacing_s: float) -> list[LoadPoint]:
    return [
        LoadPoint(at_s=NOW_S + spacing_s * (k + 1 - len(loads)), load=load)
        for k, load in enumerate(loads)
    ]


@given(
    loads=histories,
    spacing_s=st.sampled_from([5.0, 30.0, 60.0]),
    policy=forecasts,
    lead_s=leads,
    count=st.integers(0, 60),
)
def test_a_forecast_never_lowers_and_costs_no_more_than_what_was_seen(
    loads, spacing_s, policy, lead_s, count
):
    step = foreseen(history_of(loads, spacing_s), policy, count, lead_s)
    if step is not None and step.replicas is not None:
        highest = max(load for load in loads if load is not None)
        assert count < step.replicas <= math.ceil(2 * highest)


@given(
    loads=st.lists(st.floats(0, 20), min_size=2, max_size=200),
    more=st.floats(0, 50),
    policy=forecasts,
    lead_s=leads,
)
def test_more_load_now_never_foresees_less(loads, more, policy, lead_s):
    points = history_of(loads, 5.0)
    busier = [*points[:-1], dataclasses.replace(points[-1], load=loads[-1] + more)]
    before, after = foreseen(points, policy, 0, lead_s), foreseen(busier, policy, 0, lead_s)

    assert ((after and after.replicas) or 0) >= ((before and before.replicas) or 0)


@given(
    level=st.floats(0, 10),
    spike=st.floats(0, 1000),
    at=st.integers(0, 99),
    quantile=st.sampled_from([0.5, 0.9, 0.999]),
    lead_s=leads,
)
def test_one_spike_in_a_calm_past_asks_for_nothing(level, spike, at, quantile, lead_s):
    calm = [level] * 100
    spiky = [*calm[:at], level + spike, *calm[at + 1 :]]
    policy = dataclasses.replace(RISE, forecast_quantile=quantile)

    assert risen(spiky, policy, lead_s) == pytest.approx(0, abs=1e-9)


@given(loads=st.lists(st.floats(0, 20), min_size=30, max_size=120), gap=st.integers(0, 29))
def test_a_minute_without_readings_never_adds_a_rise(loads, gap):
    gappy = rise(minutes([*loads[:gap], None, *loads[gap + 1 :]]), RISE, LEAD_S)

    assert gappy is not None
    assert gappy.rise <= max(loads) - min(loads)
