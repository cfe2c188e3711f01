"""A fold that is taken up again stands where a fold over every point does."""

import dataclasses
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision import kpa
from scaler.decision.folds import MARK_BUCKETS, MOST_NEW, Fold, fold, remembered
from scaler.decision.kpa import KpaState
from scaler.decision.pace import Pace, pace_of
from scaler.decision.point import LoadPoint
from scaler.decision.sample import Sample
from scaler.decision.sliding import GapRule
from tests.builders import inference, sample

BUCKET_S = 5.0
PACE = pace_of(
    inference(stable_window_s=30, scale_down_delay_s=30, panic_horizon_s=60),
    lead_time_s=None,
    bucket_s=BUCKET_S,
)
LOADS = st.one_of(st.none(), st.floats(0, 30), st.sampled_from([0.0, 1.0, 20.0]))


def points_of(loads: Sequence[float | None], first: int = 2_000) -> list[LoadPoint]:
    return [
        LoadPoint(at_s=(first + k) * BUCKET_S, load=load, ready=None if load == 0 else 2)
        for k, load in enumerate(loads)
    ]


def whole(points: Sequence[LoadPoint], pace: Pace = PACE) -> KpaState:
    """Return the state after every point, by the rules themselves."""
    state = kpa.start(pace)
    for point in points:
        state = kpa.step(state, point, pace)
    return state


@given(
    st.lists(LOADS, min_size=2, max_size=160),
    st.integers(1, 120),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=8),
    st.lists(st.tuples(st.integers(0, 159), LOADS), max_size=2),
    st.sampled_from(GapRule),
)
def test_a_moving_window_is_folded_as_if_anew(loads, length, moves, changes, gap_rule):
    pace = dataclasses.replace(PACE, gap_rule=gap_rule)
    points, start, end, earlier = points_of(loads), 0, length, None
    for dropped, added in [(0, 0), *moves]:
        start, end = start + dropped, end + added
        window = points[start:end]
        if not window:
            return
        earlier = fold(window, pace, earlier)
        assert earlier.end == whole(window, pace)
        for at, load in changes:  # what was learned since makes other loads of old samples
            if at < len(points):
                points[at] = dataclasses.replace(points[at], load=load)


def test_what_was_folded_before_is_not_folded_again():
    points = points_of([1.0 + k % 3 for k in range(400)])
    earlier = fold(points[:-1], PACE)
    wrong = dataclasses.replace(earlier, end=whole(points_of([9.0])))

    assert fold(points[1:], PACE, wrong).end == kpa.step(wrong.end, points[-1], PACE)


def test_a_fold_over_other_points_is_of_no_use():
    points = points_of([1.0] * 300)
    other = fold(points_of([1.0] * 299 + [2.0]), PACE)

    assert fold(points, PACE, other).end == whole(points)


def test_a_fold_that_ended_before_all_points_is_of_no_use():
    points = points_of([2.0] * 40, first=3_000)
    other = fold(points_of([1.0] * 40), PACE)

    assert fold(points, PACE, other).end == whole(points)


def test_a_fold_keeps_few_states():
    assert len(fold(points_of([1.0] * 320), PACE).marks) == 320 // MARK_BUCKETS


def kept(samples: Sequence[Sample]) -> list[Fold]:
    return [
        known
        for one in samples
        for value in one.__dict__.values()
        if isinstance(value, dict)
        for known in value.values()
        if isinstance(known, Fold)
    ]


def test_only_the_newest_fold_is_kept_however_the_window_moves():
    points = points_of([1.0 + k % 3 for k in range(100)])
    samples = [sample(point.at_s) for point in points]

    for end in (50, 51, 51, 60, 60 + MOST_NEW, 90):
        ended = remembered(points[:end], PACE, samples[:end])

        assert ended == whole(points[:end])
        assert len(kept(samples)) == len(kept(samples[end - 1 : end])) == 1
