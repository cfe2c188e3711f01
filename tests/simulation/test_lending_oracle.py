"""The oracles of lending are bounds: of the pool, and of each other."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.policy import LendingPolicy
from scaler.simulation.baselines.lending_oracle import Instant, bound, gpu_hours, unbound

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
