"""Tiers behind one gateway: what it holds back is theirs together."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.pool import Member
from scaler.decision.sample import Sample
from scaler.decision.shared_gateway import count_held_once
from tests.builders import inference, sample, window
from tests.decision.instants import held as held_of


def tier(name, *samples, gateway="edge", **more):
    return Member(
        name=f"prod/{name}",
        policy=inference(),
        window=window(*samples, gateway=gateway, **more),
    )


def held(members):
    """Return what each member then counts as held at its newest sample."""
    return [held_of(one.window.latest) for one in count_held_once(members) if one.window]


RUNNING = {"running": 50, "waiting": 5}


@pytest.mark.parametrize(
    ("reading", "parts"),
    [
        pytest.param({"gateway_in_flight": 110.0}, [0, 0], id="all of it runs or waits in the two"),
        pytest.param({"gateway_in_flight": 130.0}, [10, 10], id="the rest is held, a half each"),
        pytest.param({"gateway_in_flight": 90.0}, [0, 0], id="the gauge is behind: none is held"),
        pytest.param({"gateway_waiting": 30.0}, [15, 15], id="a gauge of those that wait"),
        pytest.param(
            {"gateway_waiting": 30.0, "gateway_in_flight": 999.0},
            [15, 15],
            id="which says it better than one of all",
        ),
        pytest.param({}, [0, 0], id="no reading"),
    ],
)
def test_what_one_gateway_holds_is_counted_once(reading, parts):
    fleet = [tier(name, sample(**RUNNING, **reading)) for name in ("t4", "a10")]

    assert held(fleet) == parts


@pytest.mark.parametrize(
    ("reading", "in_flight", "waiting"),
    [
        pytest.param({"gateway_in_flight": 130.0}, 65.0, None, id="of all in flight"),
        pytest.param({"gateway_waiting": 30.0}, None, 15.0, id="of those that wait"),
        pytest.param({}, None, None, id="none: silence stays silence"),
    ],
)
def test_the_gauge_stays_what_it_is(reading, in_flight, waiting):
    fleet = [tier(name, sample(**RUNNING, **reading)) for name in ("t4", "a10")]

    (here, _) = count_held_once(fleet)

    assert here.window is not None
    newest = here.window.latest
    assert (newest.gateway_in_flight, newest.gateway_waiting) == (in_flight, waiting)


@pytest.mark.parametrize(
    ("gateways", "parts"),
    [
        pytest.param(("edge", "core"), [75, 75], id="two gateways: each its own"),
        pytest.param((None, None), [75, 75], id="which one is not known"),
        pytest.param(("edge", None), [75, 75], id="nobody shares it"),
    ],
)
def test_gateways_of_their_own_stay_as_they_are(gateways, parts):
    fleet = [
        tier(str(n), sample(**RUNNING, gateway_in_flight=130.0), gateway=gateway)
        for n, gateway in enumerate(gateways)
    ]

    assert held(fleet) == parts
    assert list(count_held_once(fleet)) == fleet


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        pytest.param(
            Sample(at_s=0, ready_replicas=2), [0, 0], id="one serves silently: it may run"
        ),
        pytest.param(
            Sample(at_s=0, ready_replicas=0, spec_replicas=0), [37.5, 0], id="one is at zero"
        ),
        pytest.param(sample(-12.5, **RUNNING), [10, 0], id="one was last seen two intervals ago"),
        pytest.param(sample(-12.6, **RUNNING), [0, 0], id="one is stale"),
        pytest.param(sample(5, **RUNNING), [0, 0], id="one was not there yet"),
    ],
)
def test_what_the_other_tier_says(other, parts):
    here = tier("t4", sample(**RUNNING, gateway_in_flight=130.0))

    assert held([here, tier("a10", other)]) == parts


def test_a_silent_member_is_left_out():
    here = tier("t4", sample(**RUNNING, gateway_in_flight=130.0))
    silent = dataclasses.replace(here, window=None)

    assert count_held_once([here, silent]) == (here, silent)


def test_what_arrives_at_all_together_is_nobodys_own():
    fleet = [tier(name, sample(**RUNNING, arrivals_total=7.0)) for name in ("t4", "a10")]
    alone = fleet[:1]

    assert [one.window.latest.arrivals_total for one in count_held_once(fleet) if one.window] == [
        None,
        None,
    ]
    assert list(count_held_once(alone)) == alone


def test_history_stands_for_longer():
    past = sample(-200, **RUNNING, gateway_in_flight=130.0)
    others = sample(-340, **RUNNING)
    now = sample(**RUNNING)
    fleet = [tier("t4", now, history=(past,)), tier("a10", now, history=(others,))]

    (here, _) = count_held_once(fleet)

    assert here.window is not None
    assert held_of(here.window.history[0]) == 10


@given(
    running=st.lists(st.integers(0, 100), min_size=2, max_size=4),
    in_flight=st.integers(0, 500),
    waiting=st.none() | st.integers(0, 200),
)
def test_the_parts_add_up_to_what_is_held(running, in_flight, waiting):
    reading = {"gateway_in_flight": float(in_flight), "gateway_waiting": waiting}
    fleet = [tier(str(n), sample(running=one, **reading)) for n, one in enumerate(running)]

    whole = max(0, in_flight - sum(running)) if waiting is None else waiting

    assert sum(held(fleet)) == pytest.approx(whole)
