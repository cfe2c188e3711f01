"""A sample that can be no reading is missing, and poisons nothing."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.readings.plausible import MOST, is_reading, within_unit
from tests.builders import inference
from tests.readings.worlds import NOW_S, STEP_S, Observer, busy


@pytest.mark.parametrize("value", [1e308, -1.0, float("nan"), float("inf"), 1e14])
def test_one_wild_sample_changes_nothing_but_its_own_instant(value):
    observer = Observer()
    for k in range(24, 0, -1):
        observer.round(NOW_S - k * STEP_S, {"llm-0": busy(running=3)})
    calm = decide(observer.window(NOW_S - STEP_S), inference())
    observer.round(NOW_S, {"llm-0": busy(running=value)})
    for k in range(1, 13):
        observer.round(NOW_S + k * STEP_S, {"llm-0": busy(running=3)})
    window = observer.window(NOW_S + 12 * STEP_S, 180.0)
    read = [r.requests_running for s in window.samples for r in s.replicas]
    assert {3.0} == {one for one in read if one is not None}
    policy = dataclasses.replace(inference(), hold_for_s=0.0)
    assert decide(window, policy).replicas == calm.replicas


def test_what_is_refused_is_counted():
    observer = Observer()
    observer.round(NOW_S, {"llm-0": busy(running=1e308, waiting=2)})
    observer.round(NOW_S + STEP_S, {"llm-0": busy(running=-4, waiting=2)})
    assert observer.assembly.store.refused == 2


def test_what_is_refused_is_counted_once_however_often_it_is_read():
    observer = Observer()
    for _ in range(3):  # a read begins a little before the end of the last one
        observer.round(NOW_S, {"llm-0": busy(running=1e308, waiting=2)})
    assert observer.assembly.store.refused == 1


def test_a_share_of_forty_is_counted_as_refused_too():
    observer = Observer()
    for k in (1, 0):
        observer.round(NOW_S - k * STEP_S, {"llm-0": busy(running=3, kv_cache_usage_perc=40)})
    window = observer.window(NOW_S)
    assert window.latest.replicas[0].kv_cache_usage is None
    assert observer.assembly.store.refused == 2


@given(st.floats())
def test_a_reading_is_a_number_that_can_be_counted(value):
    assert is_reading(value) == (value >= 0 and value <= MOST)


def test_a_field_is_measured_by_its_unit():
    fields = {"requests_running": 2e6, "kv_cache_usage": 40.0, "generation_tokens_total": 9e14}
    assert within_unit(fields) == {"generation_tokens_total": 9e14}
    assert within_unit({"kv_cache_usage": 1.0}) == {"kv_cache_usage": 1.0}
