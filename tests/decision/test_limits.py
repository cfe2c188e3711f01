import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decision import Reason
from scaler.decision.limits import past_dead_band, reported_value, within_bounds
from scaler.decision.window import ScaleBounds
from tests.builders import inference, sample, window


def at(spec, **bounds):
    return window(sample(spec_replicas=spec), bounds=ScaleBounds(**bounds))


@pytest.mark.parametrize(
    ("count", "policy", "bounds", "step"),
    [
        pytest.param(3, {}, {}, None, id="no bounds are known"),
        pytest.param(3, {"max_replicas": 2}, {}, (2, Reason.TOO_MANY_REPLICAS), id="cut"),
        pytest.param(0, {"min_replicas": 1}, {}, (1, Reason.TOO_FEW_REPLICAS), id="raised"),
        pytest.param(
            9, {}, {"max_replicas": 4}, (4, Reason.TOO_MANY_REPLICAS), id="the ScaledObject's"
        ),
        pytest.param(
            9, {"max_replicas": 6}, {"max_replicas": 4}, (6, Reason.TOO_MANY_REPLICAS), id="stated"
        ),
        pytest.param(
            0, {}, {"paused": True}, (1, Reason.TOO_FEW_REPLICAS), id="paused: it is what it is"
        ),
        pytest.param(
            9,
            {"min_replicas": 2, "max_replicas": 20},
            {"paused": True},
            (1, Reason.TOO_MANY_REPLICAS),
            id="paused, and asked for more",
        ),
        pytest.param(
            9,
            {},
            {"scale_out_paused": True},
            (1, Reason.TOO_MANY_REPLICAS),
            id="scale-out is paused: no more than it is",
        ),
        pytest.param(
            0, {}, {"scale_out_paused": True}, None, id="scale-out is paused: it may shrink"
        ),
        pytest.param(
            0,
            {},
            {"scale_in_paused": True},
            (1, Reason.TOO_FEW_REPLICAS),
            id="scale-in is paused: no less than it is",
        ),
        pytest.param(9, {}, {"scale_in_paused": True}, None, id="scale-in is paused: it may grow"),
        pytest.param(
            9,
            {"min_replicas": 3, "max_replicas": 20},
            {"scale_out_paused": True},
            (3, Reason.TOO_MANY_REPLICAS),
            id="scale-out is paused: to the minimum the HPA moves it all the same",
        ),
        pytest.param(
            1,
            {"max_replicas": 2},
            {"min_replicas": 5, "scale_in_paused": True, "scale_out_paused": True},
            None,
            id="crossed, and paused both ways",
        ),
        pytest.param(
            1, {"max_replicas": 2}, {"min_replicas": 5}, None, id="crossed: the maximum wins"
        ),
        pytest.param(0, {}, {}, None, id="zero is a count where no minimum is known"),
        pytest.param(
            0,
            {},
            {"min_replicas": 2},
            (2, Reason.TOO_FEW_REPLICAS),
            id="the ScaledObject's minimum",
        ),
        pytest.param(
            0,
            {"min_replicas": 1},
            {"min_replicas": 2},
            (1, Reason.TOO_FEW_REPLICAS),
            id="stated, in place of the ScaledObject's",
        ),
        pytest.param(2, {"min_replicas": 2, "max_replicas": 4}, {}, None, id="at the minimum"),
        pytest.param(4, {"min_replicas": 2, "max_replicas": 4}, {}, None, id="at the maximum"),
        pytest.param(
            1,
            {"min_replicas": 3, "max_replicas": 3},
            {},
            (3, Reason.TOO_FEW_REPLICAS),
            id="a single count is allowed",
        ),
    ],
)
def test_bounds(count, policy, bounds, step):
    result = within_bounds(count, at(1, **bounds), inference(**policy))

    assert (result and (result.replicas, result.reason)) == step


@pytest.mark.parametrize(
    ("count", "bounds", "detail"),
    [
        (9, {"paused": True}, "the object is paused: its maximum is 4"),
        (0, {"paused": True}, "the object is paused: its minimum is 4"),
        (9, {"scale_out_paused": True}, "scale-out is paused: the maximum is 4"),
        (0, {"scale_in_paused": True}, "scale-in is paused: the minimum is 4"),
        (0, {"scale_in_paused": True, "max_replicas": 2}, "scale-in is paused: the minimum is 2"),
        (9, {"scale_in_paused": True, "max_replicas": 6}, "the maximum is 6"),
        (0, {"scale_out_paused": True, "min_replicas": 2}, "the minimum is 2"),
    ],
)
def test_a_pause_is_said_where_it_binds(count, bounds, detail):
    step = within_bounds(count, at(4, **bounds), inference())

    assert step is not None
    assert step.detail == detail


def test_paused_both_ways_is_what_it_is():
    paused = {"scale_in_paused": True, "scale_out_paused": True}
    counts = [within_bounds(count, at(4, **paused), inference()) for count in (0, 4, 9)]

    assert [step and step.replicas for step in counts] == [4, None, 4]


def test_what_is_there_of_a_paused_object_may_not_be_known():
    paused = {"scale_in_paused": True, "scale_out_paused": True, "max_replicas": 6}

    assert within_bounds(5, at(None, **paused), inference()) is None


@pytest.mark.parametrize(
    ("spec", "count", "raised"),
    [
        (10, 11, 12),
        (20, 22, 23),
        (40, 44, 45),
        (15, 16, 17),
        (9, 10, None),
        (12, 11, None),
        (0, 1, None),
        (None, 5, None),
        (10, 10, None),
    ],
)
def test_up_to_the_first_count_that_a_default_hpa_acts_on(spec, count, raised):
    step = past_dead_band(count, at(spec), inference())

    assert (step and step.replicas) == raised


def test_the_dead_band_is_said():
    step = past_dead_band(11, at(10), inference())

    assert step is not None
    assert step.detail == "an HPA with 10 % tolerance keeps 10 for less than 12"


@pytest.mark.parametrize(
    ("spec", "count", "value"),
    [
        pytest.param(12, 11, 10.799, id="a value below 10.8 that rounds up to 11"),
        pytest.param(10, 9, 8.999, id="9.0 is on the edge"),
        pytest.param(20, 19, None, id="nothing under 18 rounds up to 19"),
        pytest.param(10, 5, None, id="far enough already"),
        pytest.param(10, 0, None, id="zero is KEDA's to do"),
        pytest.param(1, 0, None, id="from one to zero as well"),
        pytest.param(2, 1, None, id="far enough: half of them"),
        pytest.param(10, 10, None, id="no change is none to under-report"),
        pytest.param(5, 5, None, id="nor with few, where less than one would be acted on"),
        pytest.param(10, 11, None, id="nor is a rise"),
        pytest.param(None, 3, None, id="what is there is not known"),
    ],
)
def test_down_with_less_than_one_under_reported(spec, count, value):
    assert reported_value(count, at(spec), inference()) == value


def test_a_value_that_rounds_up_to_one_less_is_not_reported():
    # The HPA acts below 8.0015; 8.000, the thousandth that is surely below, means eight.
    assert reported_value(9, at(10), inference(hpa_tolerance=0.19985)) is None


def test_one_of_two_is_under_reported_in_a_wide_dead_band():
    assert reported_value(1, at(2), inference(hpa_tolerance=0.6)) == 0.799


@pytest.mark.parametrize(
    ("policy", "bounds"),
    [({"hpa_tolerance": 0.0}, {}), ({}, {"tolerance": 0.0})],
    ids=["stated", "read back"],
)
def test_without_a_dead_band_the_count_is_said_as_it_is(policy, bounds):
    assert past_dead_band(11, at(10, **bounds), inference(**policy)) is None
    assert reported_value(9, at(10, **bounds), inference(**policy)) is None


@given(spec=st.integers(1, 500), count=st.integers(1, 500))
def test_what_is_reported_means_the_count_and_is_acted_on(spec, count):
    value = reported_value(count, at(spec), inference())

    if value is not None:
        assert math.ceil(value) == count
        assert value / spec < 0.9
