"""One demand over tiers: what they serve together, and when it is at its peak."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.point import LoadPoint
from scaler.decision.tier_demand import (
    Group,
    Tier,
    is_peak,
    past_of,
    points_of,
)
from tests.builders import inference

BUCKET_S = 10.0
START_S = 1_000_000 * 60.0
HOLD, ABOVE, BELOW = 5.0, 7.0, 3.0
"""Loads of the cheap tier, which holds ten: 0.5, 0.7 and 0.3 of it."""


def series(
    loads: Sequence[float | None],
    *,
    ready: int | None = 1,
    start_s: float = START_S,
    spacing_s: float = BUCKET_S,
) -> list[LoadPoint]:
    return [
        LoadPoint(at_s=start_s + spacing_s * k, load=load, ready=ready)
        for k, load in enumerate(loads)
    ]


def tier(name: str, points: Sequence[LoadPoint] = (), **more: Any) -> Tier:
    stated = {"tier_group": "llm", "tier_cost": 1.0, "target_utilization": 1.0}
    policy = inference(**{**stated, **more.pop("policy", {})})
    return Tier(**{"name": name, "policy": policy, "capacity": 10.0, "points": points, **more})


def cheap(points: Sequence[LoadPoint] = (), **more: Any) -> Tier:
    return tier("cheap", points, **{"maximum": 10, **more})


def fast(points: Sequence[LoadPoint] = (), **more: Any) -> Tier:
    return tier("fast", points, policy={"tier_cost": 3.0, "tier_preference": 1}, **more)


def peaks(
    loads: Sequence[float | None],
    *,
    history: Sequence[LoadPoint] = (),
    others: Sequence[Tier] | None = None,
    **more: Any,
) -> bool:
    """Say whether a group is at its peak after these loads of its cheap tier."""
    points = series(loads)
    idle = fast(series([0.0] * len(loads)))
    group = Group.of(
        (cheap(points, history=history, **more), *((idle,) if others is None else others))
    )
    return is_peak(group, points_of(group, BUCKET_S), BUCKET_S, 1)


def test_loads_add_in_units_of_the_smallest_replica():
    big = fast(series([0.5], ready=3), capacity=25.0)
    group = Group.of((cheap(series([2.0], ready=4)), big))

    assert points_of(group, BUCKET_S) == (
        LoadPoint(at_s=START_S, load=2000 + 0.5 * 2500, ready=4 * 1000 + 3 * 2500),
    )


def test_replicas_that_load_add_too():
    loading = [LoadPoint(at_s=START_S, load=0.0, ready=0, loading=2)]
    group = Group.of((cheap(loading), fast(loading, capacity=20.0)))

    assert [point.loading for point in points_of(group, BUCKET_S)] == [2 * 1000 + 2 * 2000]


def test_loads_are_brought_to_the_groups_target():
    half, most = (
        tier(
            f"at {target}", series([1.0]), policy={"tier_cost": cost, "target_utilization": target}
        )
        for target, cost in ((0.5, 1.0), (0.8, 2.0))
    )

    # A full replica at a target of 0.8 takes as many as 0.625 full ones at a target of 0.5.
    assert points_of(Group.of((half, most)), BUCKET_S)[0].load == pytest.approx(1625)


@pytest.mark.parametrize(
    ("late_buckets", "known"),
    [
        pytest.param(2, True, id="tiers are scraped at different instants"),
        pytest.param(3, False, id="what is older is not known"),
    ],
)
def test_a_point_stands_for_a_while(late_buckets, known):
    late = fast(series([1.0]))
    now = cheap(series([2.0], start_s=START_S + late_buckets * BUCKET_S))
    newest = points_of(Group.of((now, late)), BUCKET_S)[-1]

    assert newest.load == (3000.0 if known else None)
    assert newest.ready == (2000 if known else None)


@pytest.mark.parametrize(
    ("load", "ready", "expected"),
    [
        pytest.param(None, 2, 1.4, id="a silent tier counts as rightly sized"),
        pytest.param(None, 0, 0.0, id="without a replica nothing is served"),
        pytest.param(None, None, None, id="neither load nor replicas are known"),
        pytest.param(0.3, None, 0.3, id="its load alone is known"),
    ],
)
def test_the_load_of_a_point(load, ready, expected):
    one = tier("one", policy={"target_utilization": 0.7})

    assert one.load(LoadPoint(at_s=0, load=load, ready=ready)) == pytest.approx(expected)


def test_a_bucket_in_which_one_tiers_replicas_are_unknown_says_nothing():
    group = Group.of((cheap(series([1.0])), fast(series([1.0], ready=None))))

    assert points_of(group, BUCKET_S) == (LoadPoint(at_s=START_S, load=None),)


# A stable window is six buckets.
@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        pytest.param([ABOVE] * 5, False, id="less than a stable window above"),
        pytest.param([ABOVE] * 6, True, id="a whole stable window above"),
        pytest.param([6.0] * 6, True, id="at the threshold is above"),
        pytest.param([5.99] * 60, False, id="just under it never is"),
        pytest.param([ABOVE] * 5 + [HOLD] + [ABOVE] * 5, False, id="a run that is broken"),
        pytest.param([ABOVE] * 6 + [HOLD] * 60, True, id="in the band the peak lasts"),
        pytest.param([ABOVE] * 6 + [BELOW] * 5, True, id="less than a stable window below"),
        pytest.param([ABOVE] * 6 + [BELOW] * 6, False, id="a whole stable window below"),
        pytest.param([ABOVE] * 6 + [4.0] * 60, True, id="at the lower threshold is not below"),
        pytest.param([ABOVE] * 6 + ([BELOW] * 5 + [HOLD]) * 9, True, id="runs below, broken"),
        pytest.param(
            [ABOVE] * 6 + [BELOW] * 6 + [HOLD] * 60, False, id="in the band it stays over"
        ),
        pytest.param([HOLD] * 60, False, id="never crossed: not at its peak"),
    ],
)
def test_the_peak_begins_and_ends_with_a_stable_window(loads, expected):
    assert peaks(loads) is expected


def test_what_is_not_known_ends_a_run():
    points = series([ABOVE] * 3 + [None] + [ABOVE] * 5)
    unknown = [dataclasses.replace(p, ready=None) if p.load is None else p for p in points]
    group = Group.of((cheap(unknown), fast(series([0.0] * 9))))

    assert not is_peak(group, points_of(group, BUCKET_S), BUCKET_S, 1)


def test_one_reading_is_averaged_over_the_panic_window():
    loads = [ABOVE + 1] * 3 + [HOLD] + [ABOVE + 1] * 3
    group = Group.of((cheap(series(loads)), fast(series([0.0] * len(loads)))))
    points = points_of(group, BUCKET_S)

    assert is_peak(group, points, BUCKET_S, 2)
    assert not is_peak(group, points, BUCKET_S, 1)


def test_demand_counts_wherever_it_is_served():
    served = [cheap(series([BELOW] * 6)), fast(series([4.0] * 6))]
    group = Group.of(served)

    assert is_peak(group, points_of(group, BUCKET_S), BUCKET_S, 1)


def test_thresholds_are_the_cheapest_tiers():
    assert not peaks([ABOVE] * 6, policy={"tier_peak_above": 0.8})
    assert peaks([ABOVE] * 6 + [BELOW] * 6, policy={"tier_peak_below": 0.2})


def test_without_a_maximum_the_cheap_tiers_are_never_full():
    assert not peaks([1000.0] * 60, maximum=None)


def test_without_a_preferred_tier_there_is_no_peak():
    assert Group.of((cheap(), tier("other"))).cheap_units == math.inf
    assert not peaks([1000.0] * 60, others=[tier("other", series([0.0] * 60))])


def test_the_cheap_tiers_are_all_but_the_most_preferred():
    middle = tier("middle", maximum=3, capacity=20.0, policy={"tier_cost": 2.0})

    assert Group.of((cheap(), middle, fast())).cheap_units == 10 * 1000 + 3 * 2000


def minutes(loads: Sequence[float | None], *, ready: int | None = 1) -> list[LoadPoint]:
    """Return the two points that are kept of each minute: its least load, then the given one."""
    start_s = START_S - 60 * len(loads)
    return [
        LoadPoint(at_s=start_s + 60 * k + after_s, load=part, ready=ready)
        for k, load in enumerate(loads)
        for after_s, part in ((10, load if load is None else load - 0.5), (40, load))
    ]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param([ABOVE, ABOVE], True, id="above in the past, in the band since"),
        pytest.param([6.2, 6.2], False, id="at times under the threshold in the past"),
        pytest.param([ABOVE, ABOVE, BELOW, BELOW], False, id="below since"),
        pytest.param([ABOVE, ABOVE, 4.2, 4.2], True, id="at times over the lower threshold"),
        pytest.param([], False, id="no past"),
    ],
)
def test_the_last_crossing_may_lie_in_the_thinned_past(history, expected):
    idle = fast(series([0.0] * 10), history=minutes([0.5] * len(history)))
    points = minutes(history)

    assert peaks([HOLD - 0.5] * 10, history=points, others=[idle]) is expected


@pytest.mark.parametrize(
    ("middle", "expected"), [(0.5, True), (None, False)], ids=["known", "not known"]
)
def test_a_minute_in_which_a_tier_is_unknown_ends_a_run(middle, expected):
    idle = fast(series([0.0] * 10), history=minutes([0.5, middle, 0.5], ready=None))
    slow = {"stable_window_s": 120.0}

    assert peaks([HOLD] * 10, history=minutes([ABOVE] * 3), others=[idle], policy=slow) is expected


def test_older_than_the_latchs_lookback_counts_no_more():
    gap = int(6 * 3600 / BUCKET_S)

    # The first bucket of the run begins six hours before the newest point, then one bucket more.
    assert peaks([ABOVE] * 6 + [HOLD] * (gap - 6))
    assert not peaks([ABOVE] * 6 + [HOLD] * (gap - 5))


def test_the_past_of_a_group_is_its_highest_demand_each_minute():
    group = Group.of(
        (
            cheap(series([0.0]), history=minutes([3.0, 4.0])),
            fast(series([0.0]), history=minutes([1.0, 2.0]), capacity=20.0),
        )
    )

    assert [(point.at_s - START_S, point.load) for point in past_of(group, START_S)] == [
        (-120, 3000 + 2000),
        (-60, 4000 + 4000),
    ]


def test_the_past_ends_where_the_fine_points_begin():
    group = Group.of((cheap(history=minutes([3.0, 4.0])),))

    assert len(past_of(group, START_S - 60)) == 1


@given(
    loads=st.lists(st.sampled_from([BELOW, HOLD, ABOVE]), min_size=1, max_size=60),
    shift=st.integers(-1000, 1000),
)
def test_a_shift_by_whole_buckets_changes_nothing(loads, shift):
    there = [
        dataclasses.replace(point, at_s=point.at_s + shift * BUCKET_S) for point in series(loads)
    ]
    idle = fast([dataclasses.replace(point, load=0.0) for point in there])
    group = Group.of((cheap(there), idle))

    assert is_peak(group, points_of(group, BUCKET_S), BUCKET_S, 1) is peaks(loads)


@pytest.mark.parametrize(
    ("point", "ready", "loading", "silent"),
    [
        pytest.param(LoadPoint(at_s=0, load=1.0, ready=2, loading=3), 2, 3, False, id="serving"),
        pytest.param(LoadPoint(at_s=0, load=None, ready=2), 2, 0, True, id="serving in silence"),
        pytest.param(LoadPoint(at_s=0, load=None, ready=0), 0, 0, False, id="nothing to say"),
        pytest.param(LoadPoint(at_s=0, load=None), None, 0, False, id="its replicas not known"),
        pytest.param(None, None, 0, False, id="never heard of"),
    ],
)
def test_what_a_tier_is_at_now(point, ready, loading, silent):
    past = [LoadPoint(at_s=at_s, load=9.0, ready=9, loading=9) for at_s in (-30, -20, -10)]
    one = cheap([] if point is None else [*past, point])

    assert (one.ready, one.loading, one.is_silent) == (ready, loading, silent)


@pytest.mark.parametrize(
    ("waits_s", "lead_time_s", "available"),
    [
        pytest.param(0.0, None, True, id="no pod waits"),
        pytest.param(300.0, None, True, id="five minutes where the lead time is not known"),
        pytest.param(300.5, None, False, id="and no longer"),
        pytest.param(60.0, 60.0, True, id="as long as its lead time"),
        pytest.param(61.0, 60.0, False, id="for longer"),
    ],
)
def test_a_tier_without_nodes_is_given_its_lead_time(waits_s, lead_time_s, available):
    one = cheap(unschedulable_s=waits_s, lead_time_s=lead_time_s)

    assert one.is_available is available


def test_at_the_peak_the_preferred_comes_first():
    group = Group.of((fast(), cheap()))

    assert [one.name for one in group.ordered(peak=False)] == ["cheap", "fast"]
    assert [one.name for one in group.ordered(peak=True)] == ["fast", "cheap"]


def test_a_minute_of_the_history_ends_where_the_samples_begin():
    def since(load: float, history: float) -> dict[str, Any]:
        past = series([history], start_s=START_S + 10)
        return {"points": series([load] * 6, start_s=START_S + 30), "history": past}

    group = Group.of((cheap(**since(HOLD, ABOVE)), fast(**since(0.0, 0.0))))

    # Half a minute above is not a stable window.
    assert not is_peak(group, points_of(group, BUCKET_S), BUCKET_S, 1)


def test_of_two_tiers_at_one_cost_the_preferred_comes_first():
    group = Group.of((tier("a"), tier("b", policy={"tier_preference": 1}), tier("c")))

    assert [one.name for one in group.tiers] == ["b", "a", "c"]
