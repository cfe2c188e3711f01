"""KEDA's rules for one ScaledObject."""

import math

import pytest

from scaler.simulation.scaled_object import (
    Fallback,
    ScaledObject,
    ScaledObjectConfig,
    metric_value,
    target_size,
)


def keda(*, last_active_s=None, **config):
    scaled = ScaledObject(ScaledObjectConfig(**config), created_s=0.0)
    scaled.last_active_s = last_active_s
    return scaled


def poll(scaled, *, now_s=1000.0, replicas, active=False, error=False):
    return scaled.poll(now_s=now_s, replicas=replicas, active=active, error=error)


@pytest.mark.parametrize(
    ("config", "replicas", "expected"),
    [
        pytest.param({}, 0, 1, id="from zero to one, the HPA does the rest"),
        pytest.param({"min_replica_count": 3}, 0, 3, id="from zero to the minimum"),
        pytest.param({}, 2, None, id="above zero the HPA rules"),
        pytest.param(
            {"min_replica_count": 4, "idle_replica_count": 0}, 2, 4, id="idle mode: to the minimum"
        ),
    ],
)
def test_active(config, replicas, expected):
    scaled = keda(**config)
    assert poll(scaled, replicas=replicas, active=True) == expected
    assert scaled.last_active_s == 1000.0


@pytest.mark.parametrize(
    ("last_active_s", "expected"),
    [
        pytest.param(800.0, None, id="within the cooldown"),
        pytest.param(700.0, None, id="exactly the cooldown is not over"),
        pytest.param(699.0, 0, id="after the cooldown straight to zero"),
        pytest.param(None, 0, id="never active: no cooldown"),
    ],
)
def test_inactive_waits_for_the_cooldown(last_active_s, expected):
    assert poll(keda(last_active_s=last_active_s), replicas=7) == expected


@pytest.mark.parametrize(
    ("config", "replicas", "expected"),
    [
        pytest.param({"min_replica_count": 2}, 5, None, id="with a minimum the HPA lowers"),
        pytest.param({"min_replica_count": 2}, 1, 2, id="below the minimum it is raised"),
        pytest.param({"min_replica_count": 2, "idle_replica_count": 0}, 5, 0, id="to idle"),
        pytest.param({}, 0, None, id="at zero nothing is left to do"),
    ],
)
def test_inactive_with_bounds(config, replicas, expected):
    assert poll(keda(last_active_s=0.0, **config), replicas=replicas) == expected


def test_the_initial_cooldown_counts_from_creation():
    scaled = keda(initial_cooldown_period_s=60.0)
    assert poll(scaled, now_s=59.0, replicas=3) is None
    assert poll(scaled, now_s=61.0, replicas=3) == 0


def test_active_beside_an_erring_trigger_does_not_refresh_the_cooldown():
    scaled = keda(last_active_s=100.0)
    assert poll(scaled, replicas=3, active=True, error=True) is None
    assert scaled.last_active_s == 100.0


@pytest.mark.parametrize(
    ("fallback", "expected"),
    [
        pytest.param(None, None, id="no fallback: hold"),
        pytest.param(Fallback(replicas=4), None, id="a fallback above zero: wait for it"),
        pytest.param(Fallback(replicas=0), 0, id="a fallback of zero cuts at the first failure"),
    ],
)
def test_an_error_with_no_trigger_active(fallback, expected):
    scaled = keda(last_active_s=0.0, fallback=fallback)
    assert poll(scaled, replicas=3, error=True) == expected


def test_push_true_scales_at_once_and_push_false_is_ignored():
    scaled = keda()
    assert scaled.push(now_s=5.0, replicas=0, active=True) == 1
    assert scaled.push(now_s=9000.0, replicas=5, active=False) is None
    assert scaled.last_active_s == 5.0


def test_the_fallback_takes_over_after_more_failures_than_its_threshold():
    scaled = keda(fallback=Fallback(replicas=6, failure_threshold=3))
    given = [scaled.metric(None, target=1.0) for _ in range(4)]
    assert given == [None, None, None, 6.0]
    assert scaled.falls_back
    assert scaled.metric(2.0, target=1.0) == 2.0
    assert not scaled.falls_back


@pytest.mark.parametrize(
    ("whole", "fraction", "read"),
    [
        pytest.param(3, 0.0, 3.0, id="no float: the integer"),
        pytest.param(3, 2.5, 2.5, id="a positive float wins"),
        pytest.param(3, -1.0, 3.0, id="a negative float does not"),
        pytest.param(-2, 0.0, 0.0, id="negative is zero"),
        pytest.param(0, math.inf, 0.0, id="infinite is zero"),
        pytest.param(7, math.nan, 7.0, id="NaN is no float"),
        pytest.param(0, 20.0004, 20.0, id="three decimals"),
    ],
)
def test_what_keda_reads_from_a_value(whole, fraction, read):
    assert metric_value(whole, fraction) == read


def test_the_target_is_the_float_if_there_is_one():
    assert target_size(2, 0.0) == 2.0
    assert target_size(2, 1.5) == 1.5


def test_its_hpa_cannot_go_below_one():
    config = ScaledObjectConfig(min_replica_count=0, max_replica_count=8)
    assert (config.hpa().min_replicas, config.hpa().max_replicas) == (1, 8)
