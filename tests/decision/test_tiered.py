"""Tiers through the one decision: the article's T4 in the trough, A10 at the peak."""

import dataclasses

import pytest

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.policy import Forecast
from scaler.decision.pool import Member, TierWindow
from scaler.decision.sample import Sample
from scaler.decision.window import ScaleBounds
from tests.builders import inference, sample, steady, window

T4 = inference(
    max_concurrency=10,
    tier_group="chat",
    tier_cost=0.35,
    max_replicas=10,
    scale_down_delay_s=0.0,
    hpa_tolerance=0.0,
)
A10 = dataclasses.replace(T4, max_concurrency=30, tier_cost=1.10, tier_preference=1, max_replicas=4)


def tier(name, policy, seen):
    return Member(name=f"prod/{name}", policy=policy, window=seen)


def at(running, *, replicas):
    """Return a quarter of an hour of steady traffic; at zero replicas nothing reports."""
    if replicas:
        return steady(900, running=running, replicas=replicas, spec_replicas=replicas)
    times = (9_105.0 + 5 * k for k in range(180))
    return window(*(Sample(at_s=at_s, ready_replicas=0, spec_replicas=0) for at_s in times))


def decided(name, t4, a10, *, of_t4=T4, of_a10=A10):
    group = (tier("t4", of_t4, t4), tier("a10", of_a10, a10))
    policy = of_t4 if name == "t4" else of_a10
    return decide(TierWindow(member=f"prod/{name}", members=group), policy)


def test_in_the_trough_the_cheap_tier_serves():
    t4, a10 = at(14, replicas=2), at(0, replicas=0)

    assert decided("t4", t4, a10).replicas == 2
    assert decided("a10", t4, a10).replicas == 0
    assert decided("t4", t4, a10).reason is Reason.TIER_SHARE


def test_at_the_peak_the_fast_tier_serves_first():
    # 84 at once of the 100 that ten T4s hold: past 60 %.
    t4, a10 = at(84, replicas=10), at(0, replicas=0)

    assert decided("a10", t4, a10).replicas == 4
    assert decided("t4", t4, a10).replicas == 10  # until the A10s are ready


def test_a_silent_tier_holds():
    t4 = at(14, replicas=2)
    lone = TierWindow(
        member="prod/a10",
        members=(
            tier("t4", T4, t4),
            dataclasses.replace(tier("a10", A10, None), silent_since_s=1.0),
        ),
    )

    assert decide(lone, A10).reason is Reason.NO_DATA
    assert decide(dataclasses.replace(lone, member="prod/t4"), T4).reason is Reason.MEMBER_UNKNOWN


def test_without_a_capacity_nothing_can_be_dealt():
    blind = dataclasses.replace(T4, max_concurrency=None)
    group = (tier("t4", blind, at(14, replicas=2)), tier("a10", A10, at(0, replicas=0)))

    decision = decide(TierWindow(member="prod/a10", members=group), A10)

    assert decision.reason is Reason.NO_CAPACITY
    assert "prod/t4" in decision.detail


def test_a_tier_without_nodes_probes():
    stuck = at(0, replicas=0)
    stuck = dataclasses.replace(
        stuck,
        samples=tuple(
            dataclasses.replace(
                one, spec_replicas=1, loading_replicas=1, unschedulable_since_s=9_100.0
            )
            for one in stuck.samples
        ),
    )

    decision = decided("a10", at(84, replicas=10), stuck)

    assert (decision.replicas, decision.reason) == (1, Reason.TIER_PROBE)


@pytest.mark.parametrize(
    ("ready", "t4s"),
    [(1, 5), (0, 4)],
    ids=["it serves: what it took over is not in the demand yet", "it serves nothing yet"],
)
def test_nobody_shrinks_while_a_tier_that_serves_does_not_report(ready, t4s):
    t4, a10 = at(24, replicas=5), at(0, replicas=0)
    started = tuple(
        dataclasses.replace(one, ready_replicas=ready, spec_replicas=1) for one in a10.samples[-2:]
    )
    a10 = dataclasses.replace(a10, samples=(*a10.samples[:-2], *started))

    decision = decided("t4", t4, a10)
    assert decision.replicas == t4s
    assert ("stay until prod/a10 reports" in decision.detail) is (ready > 0)


def test_tiers_behind_one_gateway_do_not_take_each_others_requests_for_held():
    t4, a10 = at(28, replicas=4), at(84, replicas=4)
    behind = [
        dataclasses.replace(
            one,
            gateway="edge",
            samples=tuple(dataclasses.replace(s, gateway_in_flight=112.0) for s in one.samples),
        )
        for one in (t4, a10)
    ]

    for name in ("t4", "a10"):
        assert decided(name, *behind).replicas == decided(name, t4, a10).replicas


@pytest.mark.parametrize("running", [3, 14, 30, 55, 80])
def test_shares_cover_the_demand(running):
    replicas = max(1, running // 7)
    t4, a10 = at(running, replicas=replicas), at(0, replicas=0)

    capacity = 10 * (decided("t4", t4, a10).replicas or 0) + 30 * (
        decided("a10", t4, a10).replicas or 0
    )

    assert capacity * 0.7 >= running


def test_a_hold_is_no_panic_and_names_the_blind_alone():
    blind = dataclasses.replace(T4, max_concurrency=None)

    decision = decided("a10", at(14, replicas=2), at(0, replicas=0), of_t4=blind)

    assert not decision.panic
    assert decision.detail == "prod/t4: no safe concurrency is known"


def test_a_silent_tier_is_as_old_as_the_newest_of_the_others():
    early, late = window(sample(9_000.0)), window(sample(9_500.0))
    members = (tier("t4", T4, late), tier("l4", T4, early), tier("a10", A10, None))

    assert decide(TierWindow(member="prod/a10", members=members), A10).at_s == 9_500


def test_an_unheard_tier_is_named():
    lone = TierWindow(
        member="prod/t4",
        members=(tier("t4", T4, at(14, replicas=2)), Member(name="x", policy=None, window=None)),
    )

    decision = decide(lone, T4)

    assert (decision.reason, decision.panic) == (Reason.MEMBER_UNKNOWN, False)
    assert decision.detail == "nothing is known of x"


def test_a_peak_in_the_history_still_rules_in_the_band():
    # 50 at once are between 40 and 60 % of what ten T4s hold; an hour ago there were 84.
    t4, a10 = at(50, replicas=8), at(0, replicas=0)
    past = tuple(sample(6_000.0 + 30 * k, running=84, replicas=10) for k in range(60))
    none = tuple(
        Sample(at_s=6_000.0 + 30 * k, ready_replicas=0, spec_replicas=0) for k in range(60)
    )
    peaked = (dataclasses.replace(t4, history=past), dataclasses.replace(a10, history=none))

    assert decided("a10", t4, a10).replicas == 0
    assert decided("a10", *peaked).replicas == 3


def test_a_slow_start_is_given_its_time_to_find_a_node():
    stuck = at(0, replicas=0)
    waiting = tuple(
        dataclasses.replace(one, spec_replicas=1, loading_replicas=1, unschedulable_since_s=9_100.0)
        for one in stuck.samples
    )
    slow = dataclasses.replace(stuck, samples=waiting, startup_s=(1_200.0,) * 5)

    assert decided("a10", at(84, replicas=10), slow).reason is Reason.TIER_SHARE


@pytest.mark.parametrize(
    ("paused", "t4s", "a10s"),
    [
        pytest.param({}, 5, 0, id="the cheap tier takes it all"),
        pytest.param({"paused": True}, 2, 1, id="paused: the other takes the rest"),
        pytest.param({"scale_out_paused": True}, 2, 2, id="no more of it: two are past their peak"),
        pytest.param({"scale_in_paused": True}, 5, 0, id="no fewer of it: it may grow"),
    ],
)
def test_a_tier_that_nobody_scales_counts_as_what_it_is(paused, t4s, a10s):
    t4 = dataclasses.replace(at(30, replicas=2), bounds=ScaleBounds(**paused))
    a10 = at(0, replicas=0)

    assert decided("t4", t4, a10).replicas == t4s
    assert decided("a10", t4, a10).replicas == a10s


def test_a_tier_that_nobody_scales_in_keeps_its_replicas_and_serves_with_them():
    t4, a10 = at(7, replicas=1), at(7, replicas=1)
    kept = dataclasses.replace(a10, bounds=ScaleBounds(scale_in_paused=True))

    assert decided("t4", t4, a10).replicas == 2
    assert (decided("t4", t4, kept).replicas, decided("a10", t4, kept).replicas) == (0, 1)


def test_a_minimum_is_there_anyway_and_serves_first():
    kept = dataclasses.replace(A10, min_replicas=1)
    t4, a10 = at(7, replicas=1), at(7, replicas=1)

    assert decided("t4", t4, a10).replicas == 2
    assert decided("t4", t4, a10, of_a10=kept).replicas == 0


def test_a_tiers_own_forecast_is_the_groups():
    hopeful = dataclasses.replace(A10, forecast=Forecast.RISE, lead_time_s=60.0)
    hours = tuple(
        sample(1_000.0 + 60 * k, running=90 if k % 5 == 4 else 10, spec_replicas=1)
        for k in range(120)
    )
    a10 = dataclasses.replace(at(7, replicas=1), history=hours)

    decision = decided("a10", at(7, replicas=1), a10, of_a10=hopeful)

    assert Reason.FORECAST not in [step.reason for step in decision.steps]
