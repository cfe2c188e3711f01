"""While readings fail what was decided on those before stands, for a while, and never a zero."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.pool import Member, TierWindow
from scaler.decision.sample import Sample
from scaler.decision.window import Window
from tests.builders import INTERVAL_S, inference, sample, steady, window
from tests.decision.test_decide_properties import policies, windows

BUSY = steady(1200, running=21, replicas=3, spec_replicas=3)
HELD = inference(hold_for_s=120.0)


def then_silent(window: Window, seconds: float) -> Window:
    return dataclasses.replace(window, silent_s=seconds)


def then_mute(window: Window, buckets: int, **cluster) -> Window:
    """Return a window whose cluster still speaks, of three ready replicas, and no engine does."""
    mute = tuple(
        Sample(at_s=window.now_s + k * INTERVAL_S, **{"ready_replicas": 3, **cluster})
        for k in range(1, buckets + 1)
    )
    return dataclasses.replace(window, samples=(*window.samples, *mute))


@pytest.mark.parametrize(
    "blind", [then_silent(BUSY, 60), then_mute(BUSY, 12, spec_replicas=3)], ids=["silent", "mute"]
)
def test_the_last_decision_stands_with_its_age_and_why(blind):
    before, held = decide(BUSY, HELD), decide(blind, HELD)
    assert (held.replicas, held.active, held.reason) == (before.replicas, True, Reason.HELD)
    assert held.at_s == BUSY.now_s
    assert "readings of 60 s ago, which stand for 120 s (holdFor)" in held.detail
    assert held.steps[: len(before.steps)] == before.steps


@pytest.mark.parametrize("seconds", [125, 600])
def test_it_stands_no_longer_than_holdfor(seconds):
    assert decide(then_silent(BUSY, seconds), HELD).holds
    assert decide(then_mute(BUSY, int(seconds / INTERVAL_S), spec_replicas=3), HELD).holds


def test_a_zero_never_stands():
    idle = steady(1200, running=0, replicas=1, spec_replicas=1)
    policy = inference(scale_down_delay_s=0.0)
    assert decide(idle, policy).replicas == 0
    assert decide(then_silent(idle, 10), policy).holds


def test_where_a_gateway_says_less_nothing_more_than_there_is_stands():
    crowded = steady(1200, running=60, replicas=3, spec_replicas=3, gateway_in_flight=180)
    count = decide(crowded, HELD).replicas
    assert count is not None
    assert count > 3
    same = then_mute(crowded, 2, spec_replicas=3, gateway_in_flight=180)
    less = then_mute(crowded, 2, spec_replicas=3, gateway_in_flight=20)
    there = then_mute(crowded, 2, spec_replicas=count, gateway_in_flight=20)
    assert decide(same, HELD).replicas == count
    assert decide(less, HELD).holds
    assert decide(there, HELD).replicas == count


def test_nobody_scales_ahead_of_the_hpa_on_what_was():
    surge = window(
        *steady(1200, running=7, spec_replicas=1).samples,
        *(sample(10_000 + k * INTERVAL_S, running=200, spec_replicas=1) for k in range(1, 8)),
    )
    assert decide(surge, HELD).panic
    held = decide(then_silent(surge, 5), HELD)
    assert (held.reason, held.panic, held.woken) == (Reason.HELD, False, False)


def test_readings_that_come_back_end_it():
    back = then_mute(BUSY, 6, spec_replicas=3)
    newest = sample(back.now_s + INTERVAL_S, running=3, replicas=3, spec_replicas=3)
    assert (
        decide(dataclasses.replace(back, samples=(*back.samples, newest)), HELD).reason
        is not Reason.HELD
    )


def test_a_tier_stands_while_one_of_its_group_is_silent():
    policy = inference(hold_for_s=120.0, tier_group="llm", tier_cost=1.0, scale_down_delay_s=0.0)
    members = {name: Member(name=name, policy=policy, window=BUSY) for name in ("prod/a", "prod/b")}
    group = TierWindow(member="prod/a", members=tuple(members.values()))
    blind = dataclasses.replace(members["prod/b"], window=then_silent(BUSY, 30))
    late = dataclasses.replace(members["prod/a"], window=then_silent(BUSY, 30))
    before = decide(group, policy)
    held = decide(dataclasses.replace(group, members=(late, blind)), policy)
    assert (held.replicas, held.reason) == (before.replicas, Reason.HELD)
    old = dataclasses.replace(late, window=then_silent(BUSY, 200))
    assert decide(dataclasses.replace(group, members=(old, blind)), policy).holds


DEAR = inference(
    max_concurrency=10,
    target_utilization=1.0,
    hold_for_s=120.0,
    tier_group="llm",
    tier_cost=1.0,
    max_replicas=4,
    scale_down_delay_s=0.0,
    hpa_tolerance=0.0,
)
CHEAP = dataclasses.replace(DEAR, tier_cost=0.4, max_replicas=3)
ASLEEP = window(
    *(
        Sample(at_s=one.at_s, ready_replicas=0, spec_replicas=0, loading_replicas=0)
        for one in BUSY.samples
    )
)


def of_dear(cheap, dear=ASLEEP, *, hold_for_s=120.0):
    """Decide on the dear tier beside a cheap one of at most three replicas of ten requests."""
    policy = dataclasses.replace(DEAR, hold_for_s=hold_for_s)
    members = (
        Member(name="prod/cheap", policy=CHEAP, window=cheap),
        Member(name="prod/dear", policy=policy, window=dear),
    )
    return decide(TierWindow(member="prod/dear", members=members), policy)


def unheard_for(cheap, buckets):
    """Return the window with its newest readings of load gone; the cluster speaks."""
    mute = tuple(
        dataclasses.replace(one, replicas=(), ready_replicas=one.ready)
        for one in cheap.samples[-buckets:]
    )
    return dataclasses.replace(cheap, samples=(*cheap.samples[:-buckets], *mute))


def grown(running, *, ready):
    """Return a tier whose load was served, and then rose to what its replicas cannot serve."""
    small = steady(1200, running=5, replicas=ready, spec_replicas=ready)
    risen = tuple(
        sample(one.at_s, running=running / ready, replicas=ready, spec_replicas=ready)
        for one in small.samples[-24:]
    )
    return dataclasses.replace(small, samples=(*small.samples[:-24], *risen))


def test_a_gap_in_the_cheap_tiers_readings_wakes_no_dear_one():
    cheap = grown(25, ready=1)
    assert of_dear(cheap).replicas == 0
    held = of_dear(unheard_for(cheap, 1))
    assert (held.replicas, held.reason, held.panic) == (0, Reason.HELD, False)
    assert "prod/cheap does not report" in held.detail
    assert "readings of 5 s ago stands for 120 s (holdFor)" in held.detail


def test_a_gap_that_outlasts_holdfor_wakes_it():
    """What the cheap one then needs nobody knows: in doubt inference wins."""
    blind = unheard_for(grown(25, ready=1), 4)
    assert of_dear(blind, hold_for_s=30.0).replicas == 0
    assert (of_dear(blind, hold_for_s=10.0).replicas or 0) > 0


def test_what_the_dear_tier_itself_needs_it_gets_in_a_gap():
    serving = grown(25, ready=1)
    held = of_dear(unheard_for(grown(25, ready=1), 1), serving)
    assert (held.replicas or 0) >= 3


@given(
    st.integers(1, 3),
    st.integers(0, 60),
    st.integers(1, 30),
    st.sampled_from([10.0, 60.0, 120.0]),
)
def test_silence_of_one_tier_makes_no_other_grow_while_holdfor_lasts(
    ready, running, buckets, hold_for_s
):
    cheap = grown(running, ready=ready)
    blind = unheard_for(cheap, buckets)
    spoke_s = cheap.samples[-buckets - 1].at_s
    then = of_dear(cheap.until(spoke_s), ASLEEP.until(spoke_s), hold_for_s=hold_for_s)
    found = of_dear(blind, hold_for_s=hold_for_s)
    if buckets * INTERVAL_S <= hold_for_s:
        assert found.replicas is not None
        assert found.replicas <= (then.replicas or 0)
    else:
        assert found.reason is not Reason.HELD


@given(
    windows(least=15),
    policies(),
    st.sampled_from([0.0, 5.0, 30.0, 120.0]),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_what_stands_is_the_decision_of_an_earlier_instant_and_no_other(
    window, policy, hold_for_s, mute, silent
):
    policy = dataclasses.replace(policy, hold_for_s=hold_for_s)
    blind = then_silent(then_mute(window, mute), silent * INTERVAL_S)

    found = decide(blind, policy)

    if found.reason is Reason.HELD:
        assert 0 < blind.asked_s - found.at_s <= hold_for_s
        then = blind.until(found.at_s)
        assert then is not None
        assert found.replicas == decide(then, dataclasses.replace(policy, hold_for_s=0)).replicas
        assert found.active
    elif silent:
        assert found.holds
    if not hold_for_s:
        assert found.reason is not Reason.HELD
