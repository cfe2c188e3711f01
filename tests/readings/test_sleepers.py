"""Replicas whose engine sleeps: capacity to come where a gateway counts what they may hold."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.decision.facts.bucket import reporting
from scaler.readings.sleepers import sleepers_as_loading
from tests.builders import inference, replica, sample_of, window

AWAKE = replica("llm-0", running=3)
ASLEEP = [replica(f"llm-{number}", running=0.0, sleeping=True) for number in (1, 2)]


def test_with_a_gateway_that_counts_all_they_load_and_without_they_stay_silent():
    seen = sample_of(AWAKE, *ASLEEP, gateway_in_flight=3.0)

    told = sleepers_as_loading(seen)
    assert (told.ready_replicas, told.loading_replicas) == (1, 2)
    for unknown in (
        {"gateway_in_flight": None},
        {"gateway_in_flight": None, "gateway_waiting": 3.0},
    ):
        alone = dataclasses.replace(seen, **unknown)
        assert sleepers_as_loading(alone) is alone


@given(
    awake=st.integers(0, 4),
    asleep=st.integers(0, 4),
    ready=st.integers(0, 9),
    loading=st.none() | st.integers(0, 3),
)
def test_replicas_are_moved_and_none_is_lost_nor_any_that_reports(awake, asleep, ready, loading):
    replicas = [replica(f"a{number}", running=1) for number in range(awake)]
    replicas += [replica(f"b{number}", sleeping=True) for number in range(asleep)]
    seen = sample_of(
        *replicas, ready_replicas=ready, loading_replicas=loading, gateway_in_flight=1.0
    )

    told = sleepers_as_loading(seen)
    assert (told.ready_replicas or 0) + (told.loading_replicas or 0) == ready + (loading or 0)
    assert (told.ready_replicas or 0) >= min(ready, reporting(seen))
    assert (sleepers_as_loading(told).ready_replicas or 0) >= min(ready, reporting(seen))


@pytest.mark.parametrize(
    ("gateway", "wanted"), [(3.0, 1), (43.0, 5)], ids=["the others hold all", "they hold forty"]
)
def test_what_they_hold_at_the_gateway_counts_and_what_they_do_not_is_no_reason_to_hold(
    gateway, wanted
):
    policy = inference()
    seen = [
        sleepers_as_loading(
            sample_of(AWAKE, *ASLEEP, at_s=5.0 * k, spec_replicas=3, gateway_in_flight=gateway)
        )
        for k in range(2, 202)
    ]
    decision = decide(window(*seen), policy)

    assert decision.replicas is not None
    assert decision.replicas >= wanted
    assert not any(step.reason == "PartialData" for step in decision.steps)
    if gateway == 3.0:
        assert decision.replicas < 3
