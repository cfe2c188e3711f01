"""Replicas that sleep: capacity to come for a wake time, and none once nobody woke them."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.window import ScaleBounds
from scaler.readings.sleepers import sleepers_as_loading
from tests.builders import inference, lending, member, pool, replica, sample_of, window

FAST = {"scale_down_delay_s": 0.0, "hpa_tolerance": 0.0}


def fleet(*running, asleep=0, gateway=True, seconds=90.0, since_s=None, step_s=5.0, **more):
    """Return a steady window of awake replicas and sleepers; ``since_s``: they slept so long."""
    awake = [replica(f"awake-{k}", running=load) for k, load in enumerate(running)]
    samples = []
    for back in range(int(seconds / step_s), -1, -1):
        slept = since_s is None or back * step_s <= since_s
        rest = [replica(f"asleep-{k}", sleeping=slept) for k in range(asleep)]
        seen = sample_of(
            *awake,
            *rest,
            at_s=10_000.0 - back * step_s,
            spec_replicas=len(awake) + asleep,
            gateway_in_flight=float(sum(running)) if gateway else None,
        )
        samples.append(sleepers_as_loading(seen))
    return window(*samples, interval_s=step_s, **more)


def not_woken(decision):
    return [step for step in decision.steps if step.reason is Reason.NOT_WOKEN]


@pytest.mark.parametrize("gateway", [True, False], ids=["a gateway counts all", "none"])
@pytest.mark.parametrize("step_s", [1.0, 5.0, 15.0, 30.0])
def test_others_are_asked_for_in_place_of_sleepers_that_nobody_wakes(gateway, step_s):
    # 24 requests need four replicas; two are awake, three sleep.
    decision = decide(fleet(12, 12, asleep=3, gateway=gateway, step_s=step_s), inference(**FAST))

    assert decision.replicas == 7
    (step,) = not_woken(decision)
    assert "4 are needed, 2 are awake, and 3 have slept on for 30 s" in step.detail


@pytest.mark.parametrize("gateway", [True, False], ids=["a gateway counts all", "none"])
@pytest.mark.parametrize(
    ("running", "more"),
    [
        pytest.param((12, 12), {"since_s": 20.0}, id="they may still wake"),
        pytest.param((12, 12), {"seconds": 20.0}, id="for how long is not known"),
        pytest.param((3, 3), {}, id="those awake suffice"),
    ],
)
def test_within_the_wake_time_and_where_they_are_not_needed_they_are_left_to_sleep(
    running, more, gateway
):
    decision = decide(fleet(*running, asleep=3, gateway=gateway, **more), inference(**FAST))

    assert not not_woken(decision)
    assert (decision.replicas or 0) <= 5


def test_load_that_rose_just_now_and_a_count_that_is_held_ask_nobody_to_wake():
    calm = fleet(3, 3, asleep=3)
    busy = fleet(12, 12, asleep=3)
    risen = window(*calm.samples[:-2], *busy.samples[-2:])
    fallen = window(*busy.samples[:-2], *calm.samples[-2:])

    assert not not_woken(decide(risen, inference(**FAST)))
    assert not not_woken(decide(fallen, inference(scale_down_delay_s=300.0)))


def test_most_of_a_fleet_asleep_without_a_gateway_is_no_reason_to_hold_for_ever():
    # Five of six do not report: the instant says too little for anything but this.
    decision = decide(fleet(19, asleep=5, gateway=False), inference(**FAST))

    assert (decision.replicas, decision.reason) == (8, Reason.NOT_WOKEN)
    assert decide(fleet(3, asleep=5, gateway=False), inference(**FAST)).holds


def test_the_maximum_holds():
    seen = fleet(12, 12, asleep=3, bounds=ScaleBounds(max_replicas=6))

    assert decide(seen, inference(**FAST)).replicas == 6


fleets = st.fixed_dictionaries(
    {
        "running": st.tuples(st.integers(0, 30), st.integers(0, 30)),
        "asleep": st.integers(0, 5),
        "gateway": st.booleans(),
        "since_s": st.none() | st.integers(0, 18).map(lambda k: 5.0 * k),
    }
)


def seen_of(about):
    return fleet(*about["running"], **{key: about[key] for key in about if key != "running"})


@given(fleets, st.floats(0, 100), st.floats(0, 100))
def test_a_longer_wake_never_asks_for_more_and_no_wake_asks_for_fewer_than_none(about, one, other):
    seen = seen_of(about)
    counts = [
        decide(seen, inference(wake_time_s=wake_s, **FAST)).replicas
        for wake_s in (min(one, other), max(one, other), 600.0)
    ]

    short, long, never = (-1 if count is None else count for count in counts)
    assert short >= long >= never


@given(fleets, st.floats(0, 400), st.floats(0, 400))
def test_a_longer_lead_time_never_asks_for_fewer(about, one, other):
    seen = seen_of(about)
    short, long = (
        decide(seen, inference(lead_time_s=lead_s, hpa_tolerance=0.0)).replicas
        for lead_s in (min(one, other), max(one, other))
    )

    assert (short is None) == (long is None)
    assert (short or 0) <= (long or 0)


@given(fleets)
def test_a_sleeper_is_never_ready_and_sleepers_that_count_for_nothing_leave_what_is_needed(about):
    seen = seen_of(about)
    latest = seen.latest
    awake = sum(not one.sleeping for one in latest.replicas)
    decision = decide(seen, inference(**FAST))

    if latest.gateway_in_flight is not None:
        assert latest.ready == awake
    for step in not_woken(decision):
        load = sum(one.requests_running or 0 for one in latest.replicas)
        assert (step.replicas or 0) - (len(latest.replicas) - awake) >= load / 7


def test_a_pool_tells_which_units_sleepers_hold():
    asleep = dataclasses.replace(member([0.1] * 40), window=fleet(1, asleep=2))

    notes = decide(pool(asleep), lending()).notes

    assert any("2 units are held by replicas of prod/llm that sleep" in note for note in notes)
    assert not any("sleep" in note for note in decide(pool(member([0.1] * 40)), lending()).notes)
