"""Shares of one demand: who takes it, what stays until others are ready, and what never happens."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.decision.decision import Reason
from scaler.decision.point import LoadPoint
from scaler.decision.policy import Forecast
from scaler.decision.tier_demand import Group, Tier
from scaler.decision.tiers import Deal, deal, share
from tests.builders import inference

BUCKET_S = 10.0
NOW_S = 1_000_000 * 60.0
SHARE, PROBE = Reason.TIER_SHARE, Reason.TIER_PROBE


def tier(
    name: str,
    *,
    cost: float = 1.0,
    preference: int = 0,
    capacity: float = 10.0,
    load: float | None = 0.0,
    ready: int | None = 0,
    loading: int = 0,
    policy: dict[str, Any] | None = None,
    seconds: float = 300.0,
    **more: Any,
) -> Tier:
    """Return a tier of constant load (in its replicas), a target of 1 and no scale-down delay."""
    count = int(seconds / BUCKET_S)
    points = [
        LoadPoint(at_s=NOW_S - BUCKET_S * age, load=load, ready=ready, loading=loading)
        for age in range(count - 1, -1, -1)
    ]
    stated = {
        "tier_group": "llm",
        "tier_cost": cost,
        "tier_preference": preference,
        "target_utilization": 1.0,
        "scale_down_delay_s": 0.0,
        **(policy or {}),
    }
    return Tier(name=name, policy=inference(**stated), capacity=capacity, points=points, **more)


def t4(**more: Any) -> Tier:
    """Return the article's tier of the trough: cheap, ten requests a replica."""
    return tier("t4", **{"cost": 1.0, "maximum": 10, **more})


def a10(**more: Any) -> Tier:
    """Return the article's tier of the peak: three times the price, forty requests a replica."""
    return tier("a10", **{"cost": 3.0, "preference": 1, "capacity": 40.0, "maximum": 4, **more})


def shared(*tiers: Tier) -> dict[str, int | None]:
    return {one.name: share(tiers, one.name, bucket_s=BUCKET_S).steps[-1].replicas for one in tiers}


def dealt(units: int, *tiers: Tier, peak: bool = False) -> Deal:
    group = Group.of(tiers)
    return deal(group, group.ordered(peak=peak), units)


@pytest.mark.parametrize(
    ("replicas", "peak", "expected"),
    [
        pytest.param(0, False, {"t4": 0, "a10": 0}, id="no demand, no share"),
        pytest.param(0.1, False, {"t4": 1, "a10": 0}, id="a little demand is the cheapest's"),
        pytest.param(10, False, {"t4": 10, "a10": 0}, id="the cheapest takes all that it holds"),
        pytest.param(10.1, False, {"t4": 10, "a10": 1}, id="the rest goes to the next"),
        pytest.param(30, False, {"t4": 10, "a10": 4}, id="up to all maxima"),
        pytest.param(10, True, {"t4": 0, "a10": 3}, id="at the peak the preferred takes it first"),
        pytest.param(16, True, {"t4": 0, "a10": 4}, id="all that it holds"),
        pytest.param(17.5, True, {"t4": 2, "a10": 4}, id="and the cheap one the rest"),
    ],
)
def test_a_demand_is_dealt_out_in_order(replicas, peak, expected):
    assert dealt(int(replicas * 1000), t4(), a10(), peak=peak).planned == expected


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        pytest.param(0.5, {"t4": 2, "a10": 1}, id="minimums are there anyway"),
        pytest.param(6.0, {"t4": 2, "a10": 1}, id="and serve first"),
        pytest.param(7.0, {"t4": 3, "a10": 1}, id="only what is left is dealt out"),
    ],
)
def test_minimums_serve_first(demand, expected):
    assert dealt(int(demand * 1000), t4(minimum=2), a10(minimum=1)).planned == expected


def test_the_order_is_by_cost_then_preference_then_name():
    tiers = [
        tier("d", cost=2),
        tier("c", cost=1),
        tier("b", cost=1),
        tier("e", cost=2, preference=5),
        tier("a", cost=2),
    ]
    group = Group.of(tiers)

    assert [one.name for one in group.tiers] == ["b", "c", "e", "a", "d"]
    assert [one.name for one in group.ordered(peak=True)] == ["e", "b", "c", "a", "d"]


@pytest.mark.parametrize(
    ("demand", "tiers", "expected"),
    [
        pytest.param(
            10,
            (t4(ready=8), a10(ready=1)),
            {"t4": 6, "a10": 3},
            id="of ten, forty are served by what is ready of the peak's: six stay",
        ),
        pytest.param(10, (t4(ready=8), a10(ready=2)), {"t4": 2, "a10": 3}, id="less, the more"),
        pytest.param(10, (t4(ready=8), a10(ready=3)), {"t4": 0, "a10": 3}, id="none at last"),
        pytest.param(
            10, (t4(ready=20), a10()), {"t4": 10, "a10": 3}, id="never more than the maximum"
        ),
        pytest.param(
            10,
            (t4(ready=2, loading=9), a10()),
            {"t4": 10, "a10": 3},
            id="what loads is ready before what is asked for now",
        ),
        pytest.param(
            10,
            (t4(ready=2, loading=9), a10(ready=2)),
            {"t4": 2, "a10": 3},
            id="but it is kept only for what lacks",
        ),
        pytest.param(
            10,
            (t4(ready=2, loading=9, unschedulable_s=9999), a10()),
            {"t4": 2, "a10": 3},
            id="what finds no node does not load",
        ),
        pytest.param(
            4, (t4(), a10(ready=0, loading=4)), {"t4": 0, "a10": 1}, id="its own are no others"
        ),
        pytest.param(
            5,
            (t4(minimum=1, ready=1), a10(loading=4)),
            {"t4": 1, "a10": 1},
            id="the others lack nothing",
        ),
        pytest.param(
            8,
            (t4(loading=5), tier("l4", cost=2.0, loading=5), a10()),
            {"t4": 5, "l4": 3, "a10": 2},
            id="what one tier loads for the peak's another need not",
        ),
    ],
)
def test_a_tier_shrinks_only_by_what_the_others_have_ready(demand, tiers, expected):
    assert dealt(demand * 1000, *tiers, peak=True).kept == expected


@pytest.mark.parametrize(
    ("unschedulable_s", "lead_time_s", "expected"),
    [
        pytest.param(0, 120, {"t4": 8, "a10": 1}, id="nothing waits for a node"),
        pytest.param(120, 120, {"t4": 8, "a10": 1}, id="a lead time is what a pod may take"),
        pytest.param(121, 120, {"t4": 3, "a10": 2}, id="longer: two and a probe, the rest moves"),
        pytest.param(300, None, {"t4": 8, "a10": 1}, id="unknown lead time: five minutes"),
        pytest.param(301, None, {"t4": 3, "a10": 2}, id="and no more than that"),
    ],
)
def test_a_tier_that_finds_no_nodes_keeps_a_probe(unschedulable_s, lead_time_s, expected):
    cheap = t4(
        load=4.0,
        ready=2,
        loading=6,
        maximum=20,
        unschedulable_s=unschedulable_s,
        lead_time_s=lead_time_s,
    )

    assert shared(cheap, a10(load=1.0, ready=1, lead_time_s=120)) == expected


def test_a_probe_says_what_it_waits_for():
    cheap = t4(load=8.0, ready=2, maximum=20, unschedulable_s=400)
    steps = share((cheap, a10()), "t4", bucket_s=BUCKET_S).steps

    assert [(step.replicas, step.reason) for step in steps] == [(2, SHARE), (3, PROBE)]
    assert steps[-1].detail == (
        "a pod has found no node for 400 s, longer than the lead time: 2 and one that probes, of 8"
    )


@pytest.mark.parametrize(
    ("load", "expected"),
    [(2.0, 2), (1.5, 2), (2.1, 3)],
    ids=["enough is ready", "more than enough", "not enough"],
)
def test_no_probe_where_what_is_ready_suffices(load, expected):
    assert shared(t4(load=load, ready=2, unschedulable_s=9999), a10())["t4"] == expected


def test_the_share_is_told_with_the_whole_deal():
    told = share((a10(ready=1, load=0.5), t4(ready=1, load=1.0)), "t4", bucket_s=BUCKET_S)

    assert [(step.replicas, step.reason) for step in told.steps] == [(3, SHARE)]
    assert told.steps[0].detail == (
        "the group needs 3.00 of its smallest replicas (Demand), the cheapest first: t4 3, a10 0"
    )
    assert (told.panic, told.peak) == (False, False)


def test_what_stays_for_the_others_is_told():
    told = share((t4(ready=8, load=8.0), a10()), "t4", bucket_s=BUCKET_S)

    assert told.peak
    assert [(step.replicas, step.reason) for step in told.steps] == [(0, SHARE), (8, SHARE)]
    assert "the preferred first: t4 0, a10 2" in told.steps[0].detail
    assert told.steps[1].detail == "8 stay until the others have their shares ready"


def test_a_surge_is_the_groups():
    calm = t4(ready=2, load=1.0)
    surge = dataclasses.replace(
        calm,
        points=[*calm.points[:-2], *(dataclasses.replace(p, load=9.0) for p in calm.points[-2:])],
    )
    told = share((surge, a10()), "a10", bucket_s=BUCKET_S)

    assert told.panic
    assert shared(surge, a10()) == {"t4": 9, "a10": 0}


def test_any_demand_is_met_with_the_activation_scale_of_the_cheapest():
    assert shared(t4(load=0.1, ready=1, policy={"activation_scale": 3}), a10()) == {
        "t4": 3,
        "a10": 0,
    }


def test_targets_of_their_own_are_brought_to_one():
    half = a10(load=1.0, ready=1, policy={"target_utilization": 0.5})

    # Forty requests at half a replica's: room for eighty, eight of the cheap.
    assert shared(t4(maximum=20), half)["t4"] == 8


def test_the_forecast_is_made_for_the_group():
    bursts = [
        LoadPoint(at_s=NOW_S - 3600 + 60 * k, load=5.0 if k % 3 == 2 else 1.0, ready=1)
        for k in range(50)
    ]
    rise = {"forecast": Forecast.RISE}
    cheap = t4(load=1.0, ready=1, history=bursts, lead_time_s=60, policy=rise)

    assert shared(cheap, a10(history=[dataclasses.replace(p, load=0.0) for p in bursts])) == {
        "t4": 5,
        "a10": 0,
    }
    told = share((cheap, a10(history=bursts)), "t4", bucket_s=BUCKET_S)
    assert "(Forecast)" in told.steps[0].detail


@pytest.mark.parametrize(
    ("tiers", "expected", "why"),
    [
        pytest.param(
            (t4(load=None, ready=2), a10(load=1.0, ready=1)),
            {"t4": None, "a10": 1},
            "the load of this tier is not known",
            id="a silent tier holds, and counts as rightly sized",
        ),
        pytest.param(
            (t4(load=None, ready=0), a10(load=0.5, ready=1)),
            {"t4": 2, "a10": 0},
            "",
            id="none ready serves nothing: no silence",
        ),
        pytest.param(
            (t4(ready=None), a10(load=1.0, ready=1)),
            {"t4": None, "a10": None},
            "the ready replicas of t4 are not known",
            id="replicas of one are not known: nobody moves",
        ),
        pytest.param(
            (t4(seconds=0), a10(load=1.0, ready=1)),
            {"t4": None, "a10": None},
            "the ready replicas of t4 are not known",
            id="one was never read",
        ),
    ],
)
def test_silence_is_no_demand_and_no_lack_of_it(tiers, expected, why):
    answers = {one.name: share(tiers, one.name, bucket_s=BUCKET_S).steps for one in tiers}
    counts = {name: steps[-1].replicas for name, steps in answers.items()}

    if expected["t4"] is not None:  # what is still needed stays until the cheap ones are ready
        assert (counts["t4"], counts["a10"]) == (expected["t4"], 1)
        return
    assert counts == expected
    assert answers["t4"] == (dataclasses.replace(answers["t4"][0], detail=why),)
    assert answers["t4"][0].reason is Reason.NO_DATA
    told = share(tiers, "t4", bucket_s=BUCKET_S)
    assert not told.panic
    assert not told.peak


def test_the_slowest_tiers_lead_time_is_the_groups():
    auto = {"scale_down_delay_s": None}
    fell = t4(load=1.0, ready=4, seconds=1500, lead_time_s=60, policy=auto)
    points = [
        dataclasses.replace(point, load=4.0) if 60 <= number < 66 else point  # 890 s ago
        for number, point in enumerate(fell.points)
    ]
    fell = dataclasses.replace(fell, points=points)

    assert shared(fell, a10(seconds=1500, lead_time_s=60))["t4"] == 2
    assert shared(fell, a10(seconds=1500, lead_time_s=600))["t4"] == 4


def test_a_tier_that_was_read_too_long_ago_holds_all():
    late = t4(load=1.0, ready=1)
    late = dataclasses.replace(late, points=late.points[:-3])

    assert shared(late, a10(load=1.0, ready=1)) == {"t4": None, "a10": None}


def test_a_silent_tier_takes_no_more():
    silent = t4(load=None, ready=2)

    assert shared(silent, a10(load=2.0, ready=2))["a10"] == 2
    told = dealt(30_000, silent, a10())
    assert told.planned == told.kept == {"t4": 2, "a10": 4}  # and the others may grow


# Any group, any state.
groups = st.lists(
    st.builds(
        tier,
        name=st.uuids().map(str),
        cost=st.sampled_from([0.5, 1.0, 3.0]),
        preference=st.integers(0, 2),
        capacity=st.sampled_from([3.0, 10.0, 40.0]),
        load=st.one_of(st.none(), st.floats(0, 12)),
        ready=st.integers(0, 12),
        loading=st.integers(0, 5),
        minimum=st.integers(0, 2),
        maximum=st.one_of(st.none(), st.integers(2, 12)),
        unschedulable_s=st.sampled_from([0.0, 0.0, 1000.0]),
        seconds=st.just(30.0),
    ),
    min_size=1,
    max_size=4,
)


def held_by(group: Group, counts: dict[str, int]) -> int:
    return sum(group.units(one) * counts[one.name] for one in group.tiers)


@given(tiers=groups, units=st.integers(0, 200_000), peak=st.booleans())
def test_shares_sum_to_the_demand_up_to_what_there_can_be(tiers, units, peak):
    group = Group.of(tiers)
    planned = dict(dealt(units, *tiers, peak=peak).planned)
    most = {}
    for one in tiers:
        most[one.name] = 10**6 if one.maximum is None else one.maximum
        if one.is_silent or not one.is_available:
            most[one.name] = min(most[one.name], one.ready or 0)

    assert held_by(group, planned) >= min(units, held_by(group, most))
    assert all(planned[name] <= limit for name, limit in most.items())
    # And no replica too many: without the last one dealt out, some of the demand is not held.
    dealt_out = [t for t in group.ordered(peak=peak) if planned[t.name] > floor(t, most)]
    if dealt_out:
        assert held_by(group, planned) - group.units(dealt_out[-1]) < units


def floor(one: Tier, most: dict[str, int]) -> int:
    return min((one.ready or 0) if one.is_silent else one.minimum, most[one.name])


@given(tiers=groups, units=st.integers(0, 200_000), peak=st.booleans())
def test_ready_capacity_is_given_up_only_for_ready_capacity(tiers, units, peak):
    group = Group.of(tiers)
    kept = dealt(units, *tiers, peak=peak).kept
    within = {t.name: t.ready if t.maximum is None else min(t.ready, t.maximum) for t in tiers}
    still = {name: min(kept[name], ready) for name, ready in within.items()}

    assert held_by(group, still) >= min(units, held_by(group, within))


@given(tiers=groups)
def test_every_tier_answers_from_the_same_deal(tiers):
    backwards = list(reversed(tiers))
    answers = shared(*tiers)

    assert shared(*backwards) == answers
    for one in tiers:
        assert (answers[one.name] is None) is one.is_silent


@given(tiers=groups, units=st.integers(0, 200_000), peak=st.booleans())
def test_no_tier_is_locked_out(tiers, units, peak):
    told = dealt(units, *tiers, peak=peak)

    for one in tiers:
        freed = dealt(
            units,
            *(dataclasses.replace(t, unschedulable_s=0.0) if t is one else t for t in tiers),
            peak=peak,
        )
        # What it would take if it, of all, found nodes decides whether it probes for them.
        assert told.missed.get(one.name, freed.planned[one.name]) == freed.planned[one.name]
        assert (one.name in told.missed) is not one.is_available


class Cluster:
    """Tiers whose pods start in their lead time, if they find a node; what serves is loaded."""

    def __init__(self, tiers: Sequence[Tier], nodes: dict[str, int]) -> None:
        self.tiers = [dataclasses.replace(one, points=[]) for one in tiers]
        self.nodes = nodes
        self.now_s = NOW_S
        self.started: dict[str, list[float]] = {one.name: [] for one in tiers}
        self.waiting_since: dict[str, float] = {}

    def step(self, requests: float) -> dict[str, int]:
        self.now_s += BUCKET_S
        serving = {t.name: self.ready(t) * t.capacity for t in self.tiers}
        total = sum(serving.values())
        seen = []
        for one in self.tiers:
            carried = requests * serving[one.name] / total if total else requests
            is_entry = one is self.tiers[0]
            point = LoadPoint(
                at_s=self.now_s,
                load=carried / one.capacity if total or is_entry else 0.0,
                ready=self.ready(one),
                loading=len(self.started[one.name]) - self.ready(one),
            )
            since = self.waiting_since.get(one.name, self.now_s)
            seen.append(
                dataclasses.replace(
                    one,
                    points=[*one.points, point][-30:],
                    unschedulable_s=self.now_s - since,
                )
            )
        self.tiers = seen
        counts = shared(*seen)
        wanted = {name: count for name, count in counts.items() if count is not None}
        assert len(wanted) == len(seen)
        for name, count in wanted.items():
            self.scale(name, count)
        return wanted

    def ready(self, one: Tier) -> int:
        lead_s = one.lead_time_s or 0.0
        return sum(1 for started in self.started[one.name] if self.now_s - started >= lead_s)

    def scale(self, name: str, count: int) -> None:
        """Give nodes to what is asked for; what finds none waits, and is taken away first."""
        pods = self.started[name][: min(count, self.nodes[name])]
        missing = min(count, self.nodes[name]) - len(pods)
        self.started[name] = [*pods, *[self.now_s] * missing]
        if count > len(self.started[name]):
            self.waiting_since.setdefault(name, self.now_s)
        else:
            self.waiting_since.pop(name, None)


article = st.fixed_dictionaries(
    {
        "t4": st.integers(0, 10),
        "a10": st.integers(0, 4),
    }
)


# An example is a whole closed loop: a fifth of the profile's.
@settings(max_examples=(settings.default or settings()).max_examples // 5)
@given(
    requests=st.floats(0, 160),
    before=st.floats(0, 160),
    nodes=article,
    delay_s=st.sampled_from([0.0, 60.0]),
)
def test_constant_demand_settles_from_any_start_and_nothing_turns_over(
    requests, before, nodes, delay_s
):
    policy = {"scale_down_delay_s": delay_s, "panic_horizon_s": 60.0}
    tiers = (t4(lead_time_s=60, policy=policy), a10(lead_time_s=120, policy=policy))
    cluster = Cluster(tiers, nodes)
    for _ in range(25):
        cluster.step(before)
    answers = [cluster.step(requests) for _ in range(90)][-30:]

    assert all(answer == answers[-1] for answer in answers)
    held = sum(cluster.ready(one) * one.capacity for one in cluster.tiers)
    assert held >= min(requests, sum(nodes[one.name] * one.capacity for one in tiers)) - 1e-6
