"""The HPA's rules, as Kubernetes has them (names of rules as in its own conditions)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.simulation.hpa import (
    Behavior,
    ExternalMetric,
    HorizontalPodAutoscaler,
    HpaConfig,
    PolicyKind,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    wide_open,
)


def metric(value, target=1.0, *, average=True):
    return ExternalMetric(value=value, target=target, average=average)


def sync(hpa, value, *, spec, now_s=0.0, status=None, ready=None, **more):
    return hpa.sync(
        [metric(value, **more)],
        now_s=now_s,
        spec_replicas=spec,
        status_replicas=spec if status is None else status,
        ready_replicas=spec if ready is None else ready,
    )


def hpa(behavior=None, *, least=1, most=100, **more):
    return HorizontalPodAutoscaler(
        HpaConfig(min_replicas=least, max_replicas=most, behavior=behavior, **more)
    )


OPEN = wide_open(tolerance=0.0)


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        pytest.param(5, 5, 5, id="on target: stay"),
        pytest.param(5.2, 5, 5, id="within ten percent: stay"),
        pytest.param(5.6, 5, 6, id="above ten percent: round up"),
        pytest.param(22, 20, 20, id="exactly ten percent more is kept"),
        pytest.param(23, 20, 23, id="beyond ten percent from twenty"),
        pytest.param(12, 13, 13, id="eight percent less: stay"),
    ],
)
def test_average_value_within_the_default_tolerance(value, spec, expected):
    assert sync(hpa(wide_open(tolerance=None)), value, spec=spec).replicas == expected


@pytest.mark.parametrize("spec", [1, 9, 10, 20, 43])
def test_with_tolerance_zero_every_single_step_goes_through(spec):
    assert sync(hpa(OPEN), spec + 1, spec=spec).replicas == spec + 1
    assert sync(hpa(OPEN), spec, spec=spec + 1).replicas == spec


def test_average_value_counts_status_replicas_not_ready_ones():
    answer = sync(hpa(OPEN), 8, spec=4, status=8, ready=1)
    assert answer.replicas == 8


def test_value_multiplies_ready_pods_and_so_scales_down_while_loading():
    answer = sync(hpa(OPEN), 2, spec=4, ready=1, average=False)
    assert answer.replicas == 2


def test_milli_units_are_exact():
    assert sync(hpa(OPEN), 8.5, spec=3).replicas == 9
    assert sync(hpa(OPEN), 20.0004, spec=3).replicas == 20


def test_the_largest_proposal_wins():
    answer = hpa(OPEN).sync(
        [metric(3), metric(7)], now_s=0, spec_replicas=2, status_replicas=2, ready_replicas=2
    )
    assert answer.replicas == 7


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([None, 7], 7, id="the rest may scale up"),
        pytest.param([None, 2], 5, id="but not down"),
        pytest.param([None, None], 5, id="all failed: hold"),
    ],
)
def test_failed_metrics_never_lower_the_count(values, expected):
    answer = hpa(OPEN).sync(
        [metric(value) for value in values],
        now_s=0,
        spec_replicas=5,
        status_replicas=5,
        ready_replicas=5,
    )
    assert answer.replicas == expected


@pytest.mark.parametrize(
    ("spec", "expected", "reason"),
    [
        pytest.param(0, 0, "ScalingDisabled", id="at zero it is off"),
        pytest.param(15, 10, "TooManyReplicas", id="above max: cut at once"),
        pytest.param(1, 2, "TooFewReplicas", id="below min: raised at once"),
    ],
)
def test_bounds_rule_before_any_metric(spec, expected, reason):
    answer = sync(hpa(least=2, most=10), None, spec=spec)
    assert (answer.replicas, answer.reason) == (expected, reason)


def test_without_behavior_growth_doubles_or_adds_to_four():
    plain = hpa()
    counts = [1]
    for n in range(4):
        counts.append(sync(plain, 100, spec=counts[-1], now_s=15.0 * n).replicas)
    assert counts == [1, 4, 8, 16, 32]


def test_without_behavior_the_highest_wish_of_five_minutes_holds():
    plain = hpa()
    assert sync(plain, 8, spec=8, now_s=0).replicas == 8
    assert sync(plain, 2, spec=8, now_s=15).replicas == 8
    assert sync(plain, 2, spec=8, now_s=300).replicas == 8
    assert sync(plain, 2, spec=8, now_s=301).replicas == 2


def test_the_count_at_the_start_is_the_first_recommendation():
    plain = hpa()
    assert sync(plain, 2, spec=8, now_s=0).reason == "ScaleDownStabilized"


def test_any_behavior_brings_the_four_pods_or_double_per_fifteen_seconds():
    limited = hpa(Behavior())
    assert sync(limited, 100, spec=1, now_s=0).replicas == 5
    assert sync(limited, 100, spec=5, now_s=10).replicas == 5
    assert sync(limited, 100, spec=5, now_s=15.1).replicas == 10


def down(select=SelectPolicy.MAX, stabilization_s=0.0, *policies):
    return Behavior(
        scale_down=ScalingRules(
            stabilization_s=stabilization_s, policies=policies, select=select, tolerance=0.0
        )
    )


PODS_2 = ScalingPolicy(kind=PolicyKind.PODS, value=2, period_s=60)
HALF = ScalingPolicy(kind=PolicyKind.PERCENT, value=50, period_s=60)


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        pytest.param(
            down(SelectPolicy.MAX, 0, PODS_2, HALF), 5, id="Max: the policy that takes most"
        ),
        pytest.param(
            down(SelectPolicy.MIN, 0, PODS_2, HALF), 8, id="Min: the one that takes least"
        ),
        pytest.param(down(SelectPolicy.DISABLED, 0, PODS_2), 10, id="Disabled: none goes"),
    ],
)
def test_scale_down_policies(behavior, expected):
    assert sync(hpa(behavior), 1, spec=10).replicas == expected


def test_a_policy_counts_what_went_in_its_period():
    limited = hpa(down(SelectPolicy.MAX, 0, PODS_2))
    assert sync(limited, 1, spec=10, now_s=0).replicas == 8
    assert sync(limited, 1, spec=8, now_s=30).replicas == 8
    assert sync(limited, 1, spec=8, now_s=60).replicas == 6


def test_percent_up_rounds_up_so_that_one_pod_can_grow():
    slow = Behavior(
        scale_up=ScalingRules(
            stabilization_s=0,
            policies=(ScalingPolicy(kind=PolicyKind.PERCENT, value=10, period_s=60),),
        )
    )
    assert sync(hpa(slow), 50, spec=1).replicas == 2


def test_up_takes_the_lowest_and_down_the_highest_wish_of_its_window():
    both = Behavior(
        scale_up=ScalingRules(stabilization_s=30, policies=OPEN.scale_up.policies, tolerance=0.0),
        scale_down=ScalingRules(stabilization_s=60, policies=OPEN.scale_down.policies, tolerance=0),
    )
    limited = hpa(both)
    assert sync(limited, 5, spec=5, now_s=0).replicas == 5
    assert sync(limited, 9, spec=5, now_s=15).replicas == 5
    assert sync(limited, 8, spec=5, now_s=31).replicas == 8
    assert sync(limited, 3, spec=8, now_s=46).replicas == 8
    assert sync(limited, 3, spec=8, now_s=91).replicas == 3


def test_a_cycle_without_metrics_leaves_no_recommendation():
    held = hpa(down(SelectPolicy.MAX, 60.0, PODS_2))
    assert sync(held, 10, spec=10, now_s=0).replicas == 10
    assert sync(held, None, spec=10, now_s=45).reason == "FailedGetExternalMetric"
    assert sync(held, 9, spec=10, now_s=61).replicas == 9


behaviors = st.sampled_from([None, Behavior(), OPEN, down(SelectPolicy.MIN, 120.0, PODS_2, HALF)])


@given(
    behaviors,
    st.lists(st.one_of(st.none(), st.floats(0, 200)), min_size=1, max_size=40),
    st.integers(1, 30),
)
def test_the_answer_is_within_bounds_and_errors_hold(behavior, values, start):
    autoscaler = hpa(behavior, least=2, most=25)
    spec = min(25, max(2, start))
    for n, value in enumerate(values):
        answer = sync(autoscaler, value, spec=spec, now_s=15.0 * n)
        assert 2 <= answer.replicas <= 25
        if value is None:
            assert answer.replicas == spec
        spec = answer.replicas


@given(st.integers(1, 100), st.integers(1, 100))
def test_a_wide_open_hpa_passes_any_count_through_in_one_sync(spec, wanted):
    assert sync(hpa(OPEN), wanted, spec=spec).replicas == wanted
