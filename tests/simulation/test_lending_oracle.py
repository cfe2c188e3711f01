"""The oracles of lending are bounds: of the pool, and of each other."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.policy import LendingPolicy
from scaler.simulation.baselines.lending_oracle import (
    Instant,
    bound,
    gpu_hours,
    trained_hours,
    unbound,
)

POLICY = LendingPolicy(pool_units=8, reserved_units=1)
LOADS = st.none() | st.floats(0, 1.5)


@st.composite
def runs(draw) -> list[Instant]:
    return [
        Instant(at_s=15.0 * n, load=load, panic_load=panic, held_units=held)
        for n, (load, panic, held) in enumerate(
            draw(st.lists(st.tuples(LOADS, LOADS, st.integers(0, 10)), min_size=1, max_size=60))
        )
    ]


def policies() -> st.SearchStrategy[LendingPolicy]:
    return st.builds(
        LendingPolicy,
        pool_units=st.integers(1, 12),
        units_per_worker=st.integers(1, 3),
        lend_below=st.floats(0.05, 0.65),
        max_workers=st.none() | st.integers(1, 12),
    )


@given(run=runs(), policy=policies())
def test_no_oracle_lends_what_the_pool_does_not_have(run, policy):
    for count, instant in zip(unbound(run, policy), run, strict=True):
        assert count >= 0
        assert count == 0 or (
            count * policy.units_per_worker + instant.held_units <= policy.pool_units
        )


@given(run=runs(), policy=policies())
def test_the_rule_only_takes_away(run, policy):
    pairs = zip(bound(run, policy), unbound(run, policy), strict=True)

    assert all(0 <= ruled <= free for ruled, free in pairs)


@given(run=runs(), policy=policies(), more=st.floats(0, 0.04))
def test_a_higher_threshold_never_lends_less(run, policy, more):
    higher = dataclasses.replace(policy, lend_below=policy.lend_below + more)

    pairs = zip(bound(run, policy), bound(run, higher), strict=True)
    assert all(low <= high for low, high in pairs)


def _run(*seen: tuple[float, int]) -> list[Instant]:
    return [
        Instant(at_s=3600.0 * n, load=load, panic_load=load, held_units=held)
        for n, (load, held) in enumerate(seen)
    ]


@pytest.mark.parametrize(
    ("seen", "lent"),
    [
        pytest.param([(0.5, 4)], (0,), id="nothing in the band before the first trough"),
        pytest.param([(0.2, 3), (0.5, 2)], (5, 5), id="no growth in the band"),
        pytest.param([(0.2, 3), (0.5, 6)], (5, 2), id="a shrink in the band"),
        pytest.param([(0.2, 3), (0.8, 3), (0.5, 3)], (5, 0, 0), id="off past the upper threshold"),
        pytest.param([(0.2, 0)], (7,), id="reserved units stay"),
    ],
)
def test_bound_by_the_rule(seen, lent):
    assert bound(_run(*seen), POLICY) == lent


def test_hours_count_from_the_start_of_scoring():
    run = [dataclasses.replace(i, at_s=i.at_s - 3600) for i in _run((0.2, 3), (0.2, 3), (0.2, 3))]

    assert gpu_hours(run, (5, 5, 5), POLICY) == 5.0


def _counts(*counts: int) -> list[Instant]:
    return [
        Instant(at_s=60.0 * n, load=0.1, panic_load=0.1, held_units=8 - count)
        for n, count in enumerate(counts)
    ]


def _trained_minutes(counts, *, startup_s=20.0, checkpoint_s=10.0):
    hours = trained_hours(
        _counts(*counts), counts, POLICY, startup_s=startup_s, checkpoint_s=checkpoint_s
    )
    return pytest.approx(hours * 60, abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "minutes"),
    [
        pytest.param((0, 0, 0), 0.0, id="nobody may run"),
        pytest.param((2, 2, 2), 4.0, id="there before and after: no start, no checkpoint"),
        pytest.param((0, 1, 1), 1 - 1 / 3, id="a start"),
        pytest.param((1, 1, 0, 0), 2 - 1 / 6, id="a checkpoint"),
        pytest.param((0, 2, 0, 2, 0, 0), 2.0, id="both, by two workers, twice"),
        pytest.param((3, 1, 3), 4 - 2 / 6, id="who stays is not told to go"),
        pytest.param((5,), 0.0, id="one instant is no time"),
    ],
)
def test_what_a_trainer_could_compute(counts, minutes):
    assert _trained_minutes(counts) == minutes


def test_a_span_too_short_for_a_start_and_a_checkpoint_is_left_alone():
    assert _trained_minutes((0, 1, 0, 0), startup_s=50.0, checkpoint_s=20.0) == 0.0


@given(run=runs(), policy=policies(), startup_s=st.floats(0, 90), checkpoint_s=st.floats(0, 90))
def test_no_trainer_computes_longer_than_it_may_run(run, policy, startup_s, checkpoint_s):
    may = unbound(run, policy)
    computed = trained_hours(run, may, policy, startup_s=startup_s, checkpoint_s=checkpoint_s)

    assert 0 <= computed <= gpu_hours(run, may, policy) + 1e-9
    at_once = trained_hours(run, may, policy, startup_s=0, checkpoint_s=0)
    assert at_once == pytest.approx(gpu_hours(run, may, policy))


@given(
    may=st.lists(st.integers(0, 2), min_size=2, max_size=6),
    startup_s=st.sampled_from([0.0, 20.0, 70.0, 130.0]),
    checkpoint_s=st.sampled_from([0.0, 10.0, 50.0]),
)
def test_no_choice_of_workers_computes_more(may, startup_s, checkpoint_s):
    def computed_s(run):
        steps = list(itertools.pairwise(run))
        started = sum(max(0, after - before) for before, after in steps)
        ended = sum(max(0, before - after) for before, after in steps)
        return 60 * sum(run) - startup_s * started - checkpoint_s * ended

    choices = itertools.product(*(range(count + 1) for count in may[:-1]))
    most = max(computed_s(run) for run in choices)

    hours = trained_hours(
        _counts(*may), may, POLICY, startup_s=startup_s, checkpoint_s=checkpoint_s
    )
    assert hours * 3600 == pytest.approx(most)
