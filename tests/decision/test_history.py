"""Of each minute, how low and how high demand was, and when most arrived."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.facts.record import Record
from scaler.decision.history import (
    COARSE_S,
    DAY_S,
    coarse_before_s,
    coarsen,
    minute_of,
    requests_open,
    thinned,
)
from scaler.decision.sample import Sample
from tests.builders import replica, sample, sample_of


def test_a_minute_leaves_its_lowest_and_its_highest_sample_in_order_of_time():
    loads = {5: 3.0, 20: 9.0, 40: 1.0, 60: 4.0, 65: 2.0, 120: 2.0}
    kept = thinned(sample(at_s, running=load) for at_s, load in loads.items())
    assert [(one.at_s, requests_open(one)) for one in kept] == [(20, 9), (40, 1), (65, 2)]


def _counted(at_s, running, arrived):
    return sample(at_s, running=running, arrivals_total=arrived)


def test_a_minute_leaves_the_two_samples_between_which_most_requests_came_and_went():
    minute = [_counted(5, 3, 0), _counted(20, 1, 4), _counted(25, 1, 90), _counted(40, 9, 99)]
    assert [one.at_s for one in thinned(minute)] == [20, 25, 40]


def test_arrivals_at_the_start_of_a_minute_are_counted_from_the_last_sample_of_the_one_before():
    first = [_counted(50, 1, 0), _counted(55, 5, 1), _counted(60, 2, 2)]
    second = [_counted(65, 2, 90), _counted(70, 4, 91)]
    assert [one.at_s for one in thinned([*first, *second])] == [50, 55, 60, 65, 70]
    assert [one.at_s for one in thinned(second, first[-1])] == [60, 65, 70]


def test_fastest_is_by_the_second_and_not_by_the_bucket():
    minute = [_counted(5, 3, 0), _counted(20, 3, 60), _counted(22, 3, 80)]
    minute += [_counted(40, 9, 81), _counted(41, 1, 82)]
    assert [one.at_s for one in thinned(minute)] == [20, 22, 40, 41]


def test_arrivals_next_to_a_sample_without_known_demand_do_not_count():
    silent = Sample(at_s=10, ready_replicas=1, arrivals_total=90)
    minute = [_counted(5, 3, 0), silent, _counted(15, 4, 91), _counted(20, 9, 95)]
    minute += [_counted(25, 1, 99)]
    assert [one.at_s for one in thinned(minute)] == [15, 20, 25]


def test_what_a_minute_left_is_not_left_again_by_the_next():
    samples = [_counted(50, 1, 0), _counted(55, 5, 1), _counted(60, 9, 2), _counted(65, 2, 90)]
    assert [one.at_s for one in thinned(samples)] == [50, 55, 60, 65]


@pytest.mark.parametrize(
    ("at_s", "minute"),
    [
        pytest.param(0, 0, id="the end of the minute before the first"),
        pytest.param(0.5, 1, id="within the first"),
        pytest.param(60, 1, id="its end"),
        pytest.param(60 + 3e-8, 1, id="its end, but for a float's error"),
        pytest.param(60.1, 2, id="after it"),
        pytest.param(600, 10, id="the end of the tenth"),
    ],
)
def test_a_minute_is_named_by_its_end(at_s, minute):
    assert minute_of(at_s) == minute


@pytest.mark.parametrize(
    ("replicas", "held"),
    [
        pytest.param([replica(running=6, waiting=2)], 8, id="what runs and what waits"),
        pytest.param([replica(running=6, waiting=None)], 6, id="only what runs is known"),
        pytest.param([replica(running=None, waiting=3)], 3, id="only what waits is known"),
        pytest.param([replica(running=None, waiting=None)], None, id="neither is"),
        pytest.param(
            [replica("a", running=None, waiting=None), replica("b", running=5)],
            5,
            id="of one replica neither is",
        ),
        pytest.param([replica()], 0, id="nothing is held"),
    ],
)
def test_what_engines_hold(replicas, held):
    assert requests_open(sample_of(*replicas)) == held


def test_a_minute_without_known_demand_leaves_nothing():
    assert thinned([sample(5, replicas=0, ready_replicas=2)]) == []


def test_a_workload_at_zero_has_no_demand_but_what_waits_before_it():
    assert requests_open(sample(replicas=0, spec_replicas=0)) == 0
    assert requests_open(sample(replicas=0, spec_replicas=0, gateway_waiting=4)) == 4
    assert requests_open(sample(replicas=0, spec_replicas=0, gateway_in_flight=4)) == 4


def test_in_flight_at_the_gateway_counts_what_the_engines_hold_as_well():
    assert requests_open(sample(running=6, gateway_in_flight=8)) == 8
    assert requests_open(sample(running=6, gateway_waiting=8)) == 14


@given(st.lists(st.tuples(st.integers(1, 600), st.integers(0, 9)), unique_by=lambda s: s[0]))
def test_no_minute_loses_its_extremes(points):
    samples = [sample(float(at_s), running=float(load)) for at_s, load in sorted(points)]
    kept = thinned(samples)
    assert len(kept) <= 4 * len({minute_of(one.at_s) for one in samples})
    for minute in {minute_of(one.at_s) for one in samples}:
        all_of = [requests_open(s) or 0 for s in samples if minute_of(s.at_s) == minute]
        kept_of = [requests_open(s) or 0 for s in kept if minute_of(s.at_s) == minute]
        assert (min(all_of), max(all_of)) == (min(kept_of), max(kept_of))


def test_minute_by_minute_leaves_what_all_at_once_does():
    arrived = itertools.accumulate([0, 1, 0, 9, 0, 0, 7, 2, 0, 0, 30, 0, 1, 1, 4, 0, 0, 0, 25, 1])
    samples = [_counted(15.0 * n, n * 7 % 5, total) for n, total in enumerate(arrived, 1)]
    kept, before = [], None
    for _, minute in itertools.groupby(samples, key=lambda one: minute_of(one.at_s)):
        part = list(minute)
        kept += [one for one in thinned(part, before) if one not in kept]
        before = part[-1]

    assert kept == thinned(samples)


@pytest.mark.parametrize(
    ("now_s", "before_s"),
    [
        pytest.param(DAY_S + 7200, 7200, id="a day ago"),
        pytest.param(DAY_S + 7200 + 3599, 7200, id="for an hour"),
        pytest.param(DAY_S + 7200 + 3600, 10_800, id="and then the next one"),
    ],
)
def test_what_is_a_day_old_is_thinned_an_hour_at_a_time(now_s, before_s):
    assert coarse_before_s(now_s) == before_s


@given(st.lists(st.tuples(st.integers(1, 3600), st.integers(0, 9)), unique_by=lambda s: s[0]))
def test_five_minutes_keep_their_extremes_and_what_is_newer_stays(points):
    fine = thinned(sample(float(at_s), running=float(load)) for at_s, load in sorted(points))
    record = Record(fine)
    coarsen(record, 1800.0)
    once = list(record.samples)
    coarsen(record, 1800.0)

    assert record.samples == once
    assert [one for one in once if one.at_s >= 1800] == [one for one in fine if one.at_s >= 1800]
    spans = {math.ceil(one.at_s / COARSE_S) for one in fine if one.at_s < 1800}
    assert len([one for one in once if one.at_s < 1800]) <= 4 * len(spans)
    for span in spans:
        before, after = (
            [
                requests_open(s) or 0.0
                for s in some
                if s.at_s < 1800 and math.ceil(s.at_s / COARSE_S) == span
            ]
            for some in (fine, once)
        )
        assert (min(before), max(before)) == (min(after), max(after))
