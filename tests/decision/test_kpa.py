"""Knative's rules as a table: its own vectors (``autoscaler_test.go``), then each rule's edge."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from scaler.decision.decision import Reason
from scaler.decision.kpa import KpaAnswer, Moments, answer, over, propose, recommend
from scaler.decision.pace import KNATIVE_PRESET, Pace, pace_of
from scaler.decision.point import Curve, LoadPoint
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


def proposed(pace: Pace, *inputs: tuple[int, int, float, float]) -> KpaAnswer:
    """
    Return the answer after (second, ready, stable total, panic total).

    Life began before: with nothing to do, as Knative's tests arrange it.
    """
    at, ready, stable, panic = np.array([(0, 1, 0.0, 0.0), *inputs]).T
    counts = ready.astype(np.int64)
    moments = Moments(at.astype(np.int64), counts, counts, stable, panic, panic)
    return answer(propose(moments, pace), pace)


def settled(pace: Pace, *inputs: tuple[int, int, float, float]) -> list[tuple[int | None, bool]]:
    """Return (count, panic) after each of (second, ready, stable total, panic total)."""
    each = (proposed(pace, *inputs[: end + 1]) for end in range(len(inputs)))
    return [(told.desired, told.panic) for told in each]


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
    assert settled(knative_pace(10), (0, 1, 100, 101)) == [(10, True)]
    assert settled(knative_pace(1), (0, 1, 100, 101), (0, 10, 100, 101))[-1] == (100, True)


def test_knatives_vector_20_without_a_delay_a_lower_count_shows_at_once():
    assert settled(knative_pace(), (0, 5, 40, 40), (0, 5, 20, 20)) == [(4, False), (2, False)]


@pytest.mark.parametrize(
    ("ready", "wanted", "panic"),
    [(0, 0, False), (1, 0, False), (2, 2, True)],
    ids=["none", "one", "several: nothing is taken away until there is history"],
)
def test_knatives_vector_21_how_life_starts(ready, wanted, panic):
    told = chain(knative_pace(), LoadPoint(at_s=0, load=0.0, ready=ready))

    assert (told.desired, told.panic) == (wanted, panic)
    if panic:
        assert told.steps[1].detail.endswith("asks for 0; began or last surged 0 s ago, lasts 60 s")


@pytest.mark.parametrize(
    ("point", "why"),
    [
        pytest.param(LoadPoint(at_s=1, load=None, ready=2), "load", id="#17 no metric"),
        pytest.param(LoadPoint(at_s=1, load=5.0), "ready replicas", id="#14 no count of pods"),
    ],
)
def test_a_point_that_says_too_little_holds(point, why):
    held = recommend(
        [LoadPoint(at_s=0, load=5.0, ready=2), point],
        InferencePolicy(),
        lead_time_s=None,
        bucket_s=1,
    )

    assert held.desired is None
    assert not held.panic
    assert held.steps[0].reason is Reason.NO_DATA
    assert why in held.steps[0].detail


@pytest.mark.parametrize(
    "silent", [LoadPoint(at_s=2, load=None, ready=3), LoadPoint(at_s=2, load=0.0)]
)
def test_a_point_that_says_too_little_changes_neither_panic_nor_delay(silent):
    pace = dataclasses.replace(knative_pace(), delay_buckets=9, gap_rule=GapRule.CARRY)
    first, last = LoadPoint(at_s=0, load=0.0, ready=3), LoadPoint(at_s=3, load=0.0, ready=3)

    assert reasons(chain(pace, first, silent, last)) == reasons(chain(pace, first, last))


def test_no_points_hold():
    assert recommend([], InferencePolicy(), lead_time_s=None, bucket_s=5).desired is None


def chain(pace: Pace, *points: LoadPoint) -> KpaAnswer:
    return over(Curve.of(points), pace)


def quiet(seconds: int, *, load: float = 1.0, ready: int = 1) -> list[LoadPoint]:
    """Return points that end the start's panic, one a second, up to second 0."""
    return [LoadPoint(at_s=at, load=load, ready=ready) for at in range(-seconds, 1)]


def reasons(told: KpaAnswer) -> list[tuple[int | None, Reason]]:
    return [(step.replicas, step.reason) for step in told.steps]


# One replica holds a load of 1 to its target; a panic window of two buckets.
PACE = dataclasses.replace(knative_pace(1.0, panic_window_percentage=1.0), panic_buckets=2)
DEMAND, PANIC = Reason.DEMAND, Reason.PANIC


@pytest.mark.parametrize(
    ("last", "panic"),
    [
        pytest.param(59, True, id="panic holds within the stable window"),
        pytest.param(60, True, id="at exactly the stable window it still holds"),
        pytest.param(61, False, id="strictly later it is over"),
    ],
)
def test_panic_ends_strictly_later_than_a_stable_window_after_the_last_surge(last, panic):
    surge = [LoadPoint(at_s=1, load=2.0, ready=1), LoadPoint(at_s=2, load=2.0, ready=1)]
    calm = [LoadPoint(at_s=2 + k, load=0.0, ready=1) for k in range(1, last + 1)]

    told = chain(PACE, *quiet(70), *surge, *calm)

    assert told.panic is panic
    assert told.desired == (2 if panic else 0)


def test_panic_takes_nothing_away_and_says_so():
    points = [
        *quiet(70),
        LoadPoint(at_s=1, load=9.0, ready=1),
        LoadPoint(at_s=2, load=9.0, ready=1),
        *(LoadPoint(at_s=at, load=1.0, ready=9) for at in range(3, 23)),
    ]
    told = chain(PACE, *points)

    assert reasons(told) == [(2, DEMAND), (2, PANIC), (9, PANIC)]
    assert told.steps[0].detail == "load 1.27 over 60 s, 1 per replica"
    assert told.steps[1].detail == (
        "load 1.00 over 2 s asks for 1; began or last surged 20 s ago, lasts 60 s"
    )
    assert told.steps[2].detail == "panic takes nothing away: 9 were wanted in its last 600 s"


def test_a_surge_is_told_with_the_share_that_it_asks_for():
    told = chain(PACE, *quiet(70, load=2, ready=2), LoadPoint(at_s=1, load=9.0, ready=2))

    assert reasons(told) == [(3, DEMAND), (6, PANIC)]
    assert told.steps[1].detail == (
        "load 5.50 over 2 s asks for 6, 300 % of the 2 there are (from 200 %)"
    )
    assert told.stable_load == pytest.approx(127 / 60)
    assert told.panic_load == 5.5


def test_the_maximum_of_a_panic_holds_stable_proposals_too():
    pace = dataclasses.replace(PACE, panic_threshold=1.1)

    assert settled(pace, (0, 1, 5, 2), (1, 1, 3, 2))[-1] == (5, True)


def test_a_panic_longer_than_the_horizon_forgets_its_beginning():
    pace = dataclasses.replace(PACE, horizon_buckets=30)
    surging = [LoadPoint(at_s=at, load=4.0, ready=1) for at in range(1, 100)]
    start_of_it = [LoadPoint(at_s=0, load=50.0, ready=1)]

    assert chain(pace, *start_of_it, *surging[:28]).desired == 10  # the up rate's limit
    assert chain(pace, *start_of_it, *surging).desired == 4


@pytest.mark.parametrize(
    ("before", "loading", "panic"),
    [
        pytest.param(0, 0, True, id="four are asked of one"),
        pytest.param(1, 1, True, id="one loads: four are asked of two"),
        pytest.param(2, 2, False, id="two load: what was asked for is on its way"),
        pytest.param(0, 3, True, id="three began to load since: the panic's own answer"),
        pytest.param(3, 1, True, id="of three that loaded one still does"),
    ],
)
def test_loading_replicas_count_in_the_panic_test(before, loading, panic):
    points = (
        LoadPoint(at_s=0, load=4.0, ready=9, loading=before),
        LoadPoint(at_s=1, load=4.0, ready=1, loading=loading),
    )

    assert chain(PACE, *quiet(70)[:-1], *points).panic is panic


def test_a_panic_outlives_the_replicas_that_it_asks_for():
    surge = LoadPoint(at_s=1, load=12.0, ready=1)
    read_again = dataclasses.replace(surge, loading=6)
    first, again = (chain(PACE, *quiet(70), one) for one in (surge, read_again))

    assert first.panic
    assert again.panic
    assert again.desired == first.desired
    assert "700 % of the 1 there are (from" in first.steps[1].detail
    assert "700 % of the 1 there were before (from" in again.steps[1].detail


def test_loading_replicas_count_in_the_rate_limits():
    told = chain(PACE, LoadPoint(at_s=0, load=100.0, ready=1, loading=2))

    assert reasons(told) == [(100, DEMAND), (100, PANIC), (30, Reason.SCALE_UP_LIMIT)]
    assert told.steps[-1].detail == "at most 10 times the 3 there are"


def test_the_down_rate_limits_a_fall():
    told = chain(PACE, *quiet(70, load=1.0, ready=25))

    assert reasons(told)[-1] == (2, Reason.SCALE_DOWN_LIMIT)
    assert told.steps[-1].detail == "at least 1/10 of the 25 there are"


@pytest.mark.parametrize(
    ("rate", "ready", "least", "most"),
    [
        pytest.param(1.1, 10, 9, 11, id="1.1 times ten is eleven, whatever a float says"),
        pytest.param(1.5, 3, 2, 5, id="the ceiling rounds up, the floor down"),
        pytest.param(2.0, 1, 0, 2, id="the floor of one replica is none"),
        pytest.param(2.0, 0, 0, 2, id="no replica counts as one"),
    ],
)
def test_rates_are_taken_from_what_there_is(rate, ready, least, most):
    pace = dataclasses.replace(PACE, max_scale_up_rate=rate, max_scale_down_rate=rate)

    assert proposed(pace, (0, ready, 0.0, 0.0)).desired == least
    assert proposed(pace, (0, ready, 1000.0, 0.0)).desired == most


def test_the_activation_scale_comes_after_the_up_rate_and_needs_demand():
    pace = dataclasses.replace(PACE, activation_scale=25)
    told = chain(pace, *quiet(70, load=0.5))

    assert reasons(told) == [(1, DEMAND), (25, Reason.ACTIVATION_SCALE)]
    assert told.steps[-1].detail == "any demand is met with at least 25"
    assert chain(pace, *quiet(70, load=0.0)).desired == 0


@pytest.mark.parametrize(
    ("delay_s", "seconds", "expected"),
    [
        pytest.param(0, 1, 3, id="no delay: the lower count shows at once"),
        pytest.param(10, 9, 8, id="within the delay the higher count stands"),
        pytest.param(10, 10, 3, id="at the delay it has expired"),
        pytest.param(9.5, 9, 8, id="a delay that is no whole bucket is rounded up"),
        pytest.param(9.5, 10, 3, id="rounded up, and no further"),
    ],
)
def test_a_scale_down_waits_for_its_delay(delay_s, seconds, expected):
    pace = knative_pace(1.0, scale_down_delay_s=delay_s)
    later = [(at, 8, 3.0, 3.0) for at in range(1, seconds + 1)]
    told = proposed(pace, (0, 8, 8.0, 8.0), *later)

    assert told.desired == expected
    if expected == 8:
        assert reasons(told) == [(3, DEMAND), (8, Reason.SCALE_DOWN_STABILIZED)]
        assert told.steps[-1].detail == "8 were wanted within the last 10 s"


def test_the_delay_remembers_what_panic_wanted():
    pace = dataclasses.replace(PACE, delay_buckets=100)
    surge = [LoadPoint(at_s=1, load=8.0, ready=1), LoadPoint(at_s=2, load=8.0, ready=1)]
    calm = [LoadPoint(at_s=at, load=0.0, ready=1) for at in range(3, 80)]

    assert reasons(chain(pace, *quiet(70), *surge, *calm))[-1] == (8, Reason.SCALE_DOWN_STABILIZED)


@pytest.mark.parametrize(
    ("silence_s", "panic"),
    [
        pytest.param(60, False, id="fifty-nine silent seconds are a gap"),
        pytest.param(61, True, id="a whole silent window is a start: nothing is taken away"),
    ],
)
def test_after_a_silent_window_life_starts_anew(silence_s, panic):
    told = chain(PACE, *quiet(130, ready=4), LoadPoint(at_s=silence_s - 1, load=0.0, ready=4))

    assert told.panic is panic
    assert told.desired == (4 if panic else 1)


def test_a_reading_that_went_missing_is_no_news_where_readings_carry():
    pace = dataclasses.replace(PACE, gap_rule=GapRule.CARRY)
    gone = LoadPoint(at_s=1, load=None, ready=1)

    assert chain(pace, *quiet(70), gone).desired is None
    assert chain(PACE, *quiet(70), gone).desired == 1
    assert chain(pace, *quiet(70), gone, LoadPoint(at_s=2, load=1.0, ready=1)).desired == 1


def test_noise_below_a_millionth_of_a_replica_is_not_demand():
    held = recommend(
        [LoadPoint(at_s=0, load=2.1, ready=1)], InferencePolicy(), lead_time_s=None, bucket_s=5
    )

    assert held.desired == 3  # 2.1 / 0.7 is 3.0000000000000004


def test_sentences_count_in_seconds_whatever_the_bucket():
    policy = inference(scale_down_delay_s=100)
    loads = [6.0] * 3 + [0.0] * 10
    points = [LoadPoint(at_s=5 * k, load=load, ready=3) for k, load in enumerate(loads)]
    panicking = recommend(points, policy, lead_time_s=None, bucket_s=5)
    calm = [LoadPoint(at_s=5 * k, load=0.0, ready=3) for k in range(len(loads), 30)]
    delayed = recommend([*points, *calm], policy, lead_time_s=None, bucket_s=5)

    assert [step.detail for step in panicking.steps] == [
        "load 1.00 over 60 s, 0.7 per replica",
        "load 0.00 over 10 s asks for 0; began or last surged 50 s ago, lasts 60 s",
        "panic takes nothing away: 9 were wanted in its last 600 s",
    ]
    assert delayed.steps[-1].detail == "9 were wanted within the last 100 s"


@pytest.mark.parametrize(
    ("fast", "loads", "count"),
    [
        pytest.param(True, [5] * 60 + [38], 4, id="as much as the newest reading says"),
        pytest.param(False, [5] * 60 + [38], 2, id="as much as the window's mean says"),
        pytest.param(True, [5] * 60 + [12], 1, id="no surge: the window does not ask for twice"),
        pytest.param(True, [5] * 60 + [38, 5], 4, id="it stays while the panic does"),
    ],
)
def test_with_the_fast_path_a_surge_asks_for_what_its_newest_reading_needs(fast, loads, count):
    policy = inference(
        target_utilization=1.0, stable_window_s=60.0, panic_window_percentage=33.0, fast_path=fast
    )
    points = [
        LoadPoint(at_s=5.0 * at, load=load / 10, ready=1, loading=0)
        for at, load in enumerate(loads)
    ]
    assert recommend(points, policy, lead_time_s=None, bucket_s=5).desired == count
