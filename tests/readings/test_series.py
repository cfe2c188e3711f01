"""Points merge by series and time, whatever the order and however often they come."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.errors import SourceError
from scaler.readings.series import EVERYTHING, SeriesStore, Track

POD = ("llm", "llm-0")
POINTS = st.lists(
    st.tuples(st.integers(0, 200).map(float), st.floats(0, 9)), unique_by=lambda point: point[0]
)


def track_of(*points):
    track = Track({})
    track.merge(points)
    return track


@given(POINTS, st.randoms())
def test_the_order_in_which_points_come_does_not_matter(points, random):
    in_order, shuffled = Track({}), Track({})
    in_order.merge(sorted(points))
    random.shuffle(points)
    for point in points:
        shuffled.merge([point])
    assert (in_order.times, in_order.values) == (shuffled.times, shuffled.values)
    assert list(in_order.times) == sorted(at for at, _ in points)


@given(POINTS)
def test_the_same_points_twice_change_nothing_and_say_so(points):
    track = track_of(*sorted(points))
    before = list(track.values)
    assert track.merge(sorted(points)) == math.inf
    assert list(track.values) == before


def test_a_late_point_gets_in_and_is_named_as_what_changed():
    track = track_of((10, 1.0), (30, 3.0))
    assert track.merge([(20, 2.0), (30, 3.0)]) == 20
    assert list(track.values) == [1.0, 2.0, 3.0]


def test_values_that_are_no_numbers_never_enter():
    track = track_of((1, math.nan), (2, math.inf), (3, -math.inf), (4, 5.0))
    assert list(track.values) == [5.0]


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [
        pytest.param(9.9, None, id="before the first point nothing is known"),
        pytest.param(10.0, 1.0, id="a point stands from its own instant on"),
        pytest.param(34.9, 1.0, id="and until it is stale"),
        pytest.param(35.0, None, id="at its age limit it is missing"),
    ],
)
def test_a_point_stands_until_it_is_stale(at_s, expected):
    assert track_of((10, 1.0)).at(at_s, 25) == expected


def test_recent_values_count_back_from_the_last_point_and_not_from_now():
    assert list(track_of((0, 9.0), (5, 1.0), (10, 2.0)).recent(12, 5)) == [1.0, 2.0]


def test_one_series_too_many_is_an_error_of_kind_limit():
    store = SeriesStore(max_series=1)
    store.merge("m", POD, {"engine": "0"}, [(1, 1.0)])
    store.merge("m", POD, {"engine": "0"}, [(2, 1.0)])
    with pytest.raises(SourceError, match="limit: more than 1 series") as caught:
        store.merge("m", POD, {"engine": "1"}, [(1, 1.0)])
    assert caught.value.kind == "limit"


def test_forgetting_drops_old_points_and_then_their_series():
    store = SeriesStore()
    store.merge("m", POD, {"engine": "0"}, [(1, 1.0)])
    store.merge("m", POD, {"engine": "1"}, [(1, 1.0), (9, 2.0)])
    store.forget(5)
    assert len(store) == 1
    assert [list(track.values) for track in store.tracks("m", POD)] == [[2.0]]


def test_a_change_is_remembered_for_the_rounds_that_may_not_have_seen_it():
    store = SeriesStore()
    for round_ in range(1, 11):
        store.next_round()
        store.merge("m", POD, {}, [(round_ * 10.0, 1.0)])
    assert store.changed_since(POD, 10) == 100
    assert store.changed_since(POD, 9) == 90
    assert store.changed_since(POD, 11) == math.inf
    assert store.changed_since(POD, 1) == EVERYTHING
    assert store.changed_since(("llm", "other"), 0) == math.inf
