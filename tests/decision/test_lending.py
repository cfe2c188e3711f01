"""Who works on the pool: what is free, and what a borrower can take."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.history import MINUTE_S
from scaler.decision.online import averages, online_load
from scaler.decision.policy import LoadBase
from scaler.decision.pool import Member, Node, PoolWindow
from scaler.decision.sample import Sample
from scaler.decision.window import ScaleBounds
from tests.builders import lending, member, pool, window

QUIET = [0.8] * 40
"""Ten per cent of a pool of eight, for 200 s."""


def reasons(decision):
    return [step.reason for step in decision.steps]


def test_what_a_borrower_takes_is_said():
    quiet = pool(member(QUIET, replicas=2))

    bounded = decide(quiet, lending(headroom_units=0, min_workers=2, max_workers=4))
    gang = decide(quiet, lending(headroom_units=0, resizable=False, max_workers=4))

    assert reasons(bounded) == [Reason.LENT, Reason.WHOLE_GANG]
    assert bounded.detail == "the borrower takes 0 or 2 to 4 workers"
    assert gang.detail == "the borrower takes 0 or 4 workers"


def scaled(counts, loads=QUIET):
    """Return a workload whose replicas are asked for one after another, a count per bucket."""
    quiet = member([*loads, *loads][-len(counts) :])
    assert quiet.window is not None
    asked = [
        dataclasses.replace(one, spec_replicas=count)
        for one, count in zip(quiet.window.samples, counts, strict=True)
    ]
    return dataclasses.replace(quiet, window=window(*asked))


def test_what_a_rise_usually_brings_next_is_headroom():
    rising = scaled([*[1] * 10, *[2] * 10, *[3] * 10])

    decision = decide(pool(rising), lending(min_runtime_s=0))

    assert decision.replicas == 4
    assert "inference 3 + headroom 1)" in decision.steps[0].detail


@pytest.mark.parametrize(
    ("reclaim_s", "headroom"),
    [
        pytest.param(0, 0, id="units free at once need none"),
        pytest.param(15, 1, id="one step"),
        pytest.param(60, 2, id="a long checkpoint meets the next one too"),
    ],
)
def test_the_longer_a_reclaim_takes_the_more_is_kept(reclaim_s, headroom):
    fleet = scaled([*[1] * 12, *[2] * 10, *[3] * 10, *[4] * 8])

    decision = decide(pool(fleet), lending(reclaim_time_s=reclaim_s))

    assert f"headroom {headroom})" in decision.steps[0].detail


@pytest.mark.parametrize(
    ("desired", "workers"),
    [
        pytest.param(None, 6, id="ours: what is wanted, one of the two there goes"),
        pytest.param(2, 6, id="another autoscaler keeps both"),
        pytest.param(5, 3, id="another autoscaler is about to raise it"),
        pytest.param(1, 6, id="what is held is held, whatever anybody wants"),
    ],
)
def test_what_another_autoscaler_wants_is_what_inference_needs(desired, workers):
    quiet = member(QUIET, replicas=2)
    assert quiet.window is not None
    bounds = ScaleBounds(others_desired=desired)
    owned = dataclasses.replace(quiet, window=dataclasses.replace(quiet.window, bounds=bounds))

    decision = decide(pool(owned), lending(headroom_units=0, min_runtime_s=0))

    assert decision.replicas == workers
    assert any("Another autoscaler" in str(note) for note in decision.notes) == (
        desired is not None
    )


def test_what_we_want_counts_where_nobody_else_scales():
    surging = member([*[0.8] * 38, 6.0, 6.0], replicas=2)
    assert surging.window is not None
    owned = dataclasses.replace(
        surging, window=dataclasses.replace(surging.window, bounds=ScaleBounds(others_desired=2))
    )

    ours, theirs = (
        decide(pool(one), lending(headroom_units=0, min_runtime_s=0, reclaim_above=0.9))
        for one in (surging, owned)
    )

    assert "inference 2 " in theirs.steps[0].detail
    assert "inference 2 " not in ours.steps[0].detail


@pytest.mark.parametrize(
    ("stated_s", "seen_s", "headroom"),
    [
        pytest.param(None, None, 1, id="as long as Kubernetes waits for a pod"),
        pytest.param(None, 60, 2, id="as long as the borrower's took"),
        pytest.param(0, 60, 0, id="unless it is stated"),
    ],
)
def test_reclaims_are_taken_to_last_as_long_as_they_did(stated_s, seen_s, headroom):
    fleet = scaled([*[1] * 12, *[2] * 10, *[3] * 10, *[4] * 8])

    decision = decide(pool(fleet, reclaim_s=seen_s), lending(reclaim_time_s=stated_s))

    assert f"headroom {headroom})" in decision.steps[0].detail


def free_since(bucket):
    """Return a pool of which inference held three units until so many buckets ago, and now one."""
    counts = [3] * (40 - bucket) + [1] * bucket
    return pool(scaled(counts), workers=2)


@pytest.mark.parametrize(
    ("buckets", "workers", "count"),
    [
        pytest.param(12, 2, 5, id="free for less than a minimal run: no more than beside three"),
        pytest.param(12, 6, 6, id="who runs there runs on"),
        pytest.param(12, None, 5, id="how many run is not known"),
        pytest.param(20, 2, 6, id="free for as long"),
    ],
)
def test_a_further_worker_waits_until_its_unit_was_free_for_a_minimal_run(buckets, workers, count):
    seen = dataclasses.replace(free_since(buckets), workers=workers)

    decision = decide(seen, lending(headroom_units=0, min_runtime_s=100))

    assert decision.replicas == count
    if count == 5:
        assert decision.reason is Reason.MIN_RUNTIME
        assert decision.detail == (
            "inference needed 3 units within the last 100 s: no further worker yet"
        )


def test_a_shrink_waits_for_nothing():
    surging = pool(scaled([*[1] * 39, 4]), workers=7, workers_since_s=9_000)

    assert decide(surging, lending(headroom_units=0)).replicas == 4


def test_what_was_not_known_within_a_minimal_run_lends_no_further_worker():
    quiet = member(QUIET, replicas=2)
    assert quiet.window is not None
    lost = dataclasses.replace(
        quiet.window.samples[20], replicas=(), spec_replicas=None, ready_replicas=None
    )
    samples = quiet.window.samples
    gap = dataclasses.replace(quiet, window=window(*samples[:20], lost, *samples[21:]))

    decision = decide(pool(gap, workers=2), lending(headroom_units=0))

    assert (decision.replicas, decision.reason) == (2, Reason.MIN_RUNTIME)
    assert decision.detail == (
        "what inference needed within the last 300 s is not known: no further worker yet"
    )


@given(
    st.lists(st.integers(1, 8), min_size=40, max_size=40),
    st.none() | st.integers(0, 8),
    st.sampled_from([0.0, 30.0, 100.0, 300.0]),
)
def test_units_lent_and_needed_never_exceed_the_pool_and_growth_was_free(counts, workers, run_s):
    decision = decide(
        pool(scaled(counts), workers=workers), lending(headroom_units=0, min_runtime_s=run_s)
    )
    lately = [c for k, c in enumerate(reversed(counts)) if k * 5 < run_s] or [counts[-1]]

    assert decision.replicas is not None
    assert decision.replicas + counts[-1] <= 8
    if decision.replicas > (workers or 0):
        assert decision.replicas + max(lately) <= 8


def test_load_that_held_replicas_take_up_is_no_headroom():
    # Load goes up and down between a tenth and a quarter of the pool, in replicas that are there.
    waves = member([0.8, 2.0] * 20, replicas=3)

    decision = decide(pool(waves), lending(forecast_quantile=0.9))

    assert decision.replicas == 5
    assert "headroom 0)" in decision.steps[0].detail


def test_a_quiet_pool_lends_what_inference_does_not_need():
    decision = decide(pool(member(QUIET, replicas=2)), lending())

    assert (decision.replicas, reasons(decision)) == (6, [Reason.LENT])
    assert decision.load == pytest.approx(0.1)
    assert "8 units − 2 kept" in decision.steps[0].detail


def test_reserved_units_are_never_lent_and_serve_inference():
    # The article's A100: seven slices, three always for inference, four to lend.
    slices = lending(pool_units=7, reserved_units=3, headroom_units=0)

    assert decide(pool(member([0.5] * 40, replicas=1)), slices).replicas == 4
    assert decide(pool(member([0.5] * 40, replicas=3)), slices).replicas == 4
    assert decide(pool(member([0.5] * 40, replicas=4)), slices).replicas == 3


@pytest.mark.parametrize(
    ("loads", "replicas", "workers", "lent"),
    [
        pytest.param([0.07] * 40, 1, 0, 4, id="idle"),
        pytest.param([1.96] * 40, 3, 0, 4, id="three serve at 28 %"),
        pytest.param([2.1] * 40, 3, 0, 0, id="at 30 % it does not begin"),
        pytest.param([*[1.9] * 20, *[2.1] * 20], 3, 4, 4, id="nor end"),
        pytest.param([2.03] * 40, 4, 4, 3, id="a fourth replica is owed its slice"),
        pytest.param([*[1.9] * 20, *[5.0] * 20], 3, 4, 0, id="past 70 % all goes back"),
    ],
)
def test_the_slices_of_the_article(loads, replicas, workers, lent):
    slices = pool(member(loads, replicas=replicas), workers=workers, workers_since_s=9_000)
    article = lending(pool_units=7, reserved_units=3)

    assert decide(slices, article).replicas == lent


def test_what_a_workload_is_owed_comes_first():
    # Two are ready; the load asks for five of eight: three pending ones are owed their units.
    decision = decide(
        pool(member([*[1.0] * 40, *[3.4] * 2], replicas=2)), lending(headroom_units=0)
    )

    assert decision.replicas == 3


@pytest.mark.parametrize(
    "bounds",
    [ScaleBounds(paused=True), ScaleBounds(scale_out_paused=True)],
    ids=["paused", "scale-out paused"],
)
def test_a_workload_that_nobody_scales_out_is_owed_no_more_than_it_has(bounds):
    surging = member([*[1.0] * 40, *[3.4] * 2], replicas=2)
    assert surging.window is not None
    held = dataclasses.replace(surging, window=dataclasses.replace(surging.window, bounds=bounds))

    assert decide(pool(held), lending(headroom_units=0)).replicas == 6


@pytest.mark.parametrize(
    "extra",
    [{"loading_replicas": 2}, {"terminating_replicas": 2}, {"spec_replicas": 3}],
    ids=["surging", "terminating", "asked for and not there yet"],
)
def test_every_pod_that_exists_holds_its_units(extra):
    quiet = member([0.1] * 40, replicas=1)
    assert quiet.window is not None
    more = tuple(dataclasses.replace(s, **extra) for s in quiet.window.samples)
    holding = dataclasses.replace(quiet, window=window(*more))

    assert decide(pool(holding), lending(headroom_units=0)).replicas == 5


def test_several_workloads_share_a_pool():
    two = pool(
        member([0.5] * 40, name="prod/a", replicas=1, units=2),
        member([0.5] * 40, name="prod/b", replicas=2),
    )

    decision = decide(two, lending(headroom_units=0))

    assert decision.load == pytest.approx(1.5 / 8)
    assert decision.replicas == 4


def test_load_as_a_share_of_what_the_services_have():
    fixed = pool(member([1.0] * 40, replicas=2))
    policy = lending(load_base=LoadBase.SERVICE)

    assert online_load(fixed, policy).load[-1] == pytest.approx(0.5)
    assert decide(fixed, policy).reason is Reason.NOT_LENDING


@pytest.mark.parametrize(
    ("loads", "workers", "expected"),
    [
        pytest.param([*[1.0] * 40, 2.4], 1, [Reason.LENT, Reason.BAND], id="30 % is in the band"),
        pytest.param([*[1.0] * 40, 2.3], 1, [Reason.LENT], id="below it they grow"),
        pytest.param([*[1.0] * 40, 2.4], 5, [Reason.LENT], id="as many as there are: no change"),
        pytest.param([*[1.0] * 40, 2.4], None, [Reason.LENT], id="how many there are is not known"),
    ],
)
def test_where_the_band_begins(loads, workers, expected):
    crowd = pool(member(loads, replicas=1), workers=workers)

    decision = decide(crowd, lending(headroom_units=2))

    assert reasons(decision) == expected


@pytest.mark.parametrize(
    ("since_s", "workers", "reserved", "count"),
    [
        pytest.param(9_700.1, 6, 0, 6, id="young"),
        pytest.param(9_700.0, 6, 0, 4, id="just old enough"),
        pytest.param(None, 6, 0, 4, id="how old is not known"),
        pytest.param(9_900.0, 4, 0, 4, id="no shrink"),
        pytest.param(9_900.0, 2, 0, 4, id="a growth"),
        pytest.param(9_900.0, 6, 3, 4, id="never on reserved units"),
    ],
)
def test_how_long_young_workers_run_on(since_s, workers, reserved, count):
    here = pool(member(QUIET, replicas=2), workers=workers, workers_since_s=since_s)

    decision = decide(here, lending(headroom_units=2, reserved_units=reserved))

    assert decision.replicas == count


def test_in_the_band_workers_never_grow():
    loads = [*[1.0] * 40, *[3.0] * 4]
    crowded = pool(member(loads, replicas=1), workers=2)

    decision = decide(crowded, lending(headroom_units=0))

    assert (decision.replicas, decision.reason) == (2, Reason.BAND)
    assert reasons(decision) == [Reason.LENT, Reason.BAND]
    assert decision.detail == "online load is 38 %: no more than the 2 workers there are"
    assert decide(dataclasses.replace(crowded, workers=6), lending(headroom_units=0)).replicas == 3


def test_as_many_workers_as_there_are_need_no_reason_to_stay():
    young = pool(member([*[1.0] * 40, *[3.0] * 4]), workers=3, workers_since_s=9_990)

    decision = decide(young, lending(headroom_units=0))

    assert (decision.replicas, reasons(decision)) == (3, [Reason.LENT])


def test_a_gang_that_the_band_leaves_too_few_workers_of_is_not_run():
    crowded = pool(member([*[1.0] * 40, *[3.0] * 4], replicas=1), workers=2)

    decision = decide(crowded, lending(headroom_units=0, min_workers=3))

    assert reasons(decision) == [Reason.LENT, Reason.BAND, Reason.WHOLE_GANG]
    assert decision.replicas == 0


def test_young_workers_run_on_while_only_headroom_shrinks():
    young = pool(member(QUIET, replicas=2), workers=6, workers_since_s=9_900)
    careful = lending(headroom_units=2)

    kept = decide(young, careful)
    assert (kept.replicas, reasons(kept)) == (6, [Reason.LENT, Reason.MIN_RUNTIME])
    assert kept.detail == "the 6 workers have run 100 s of at least 300 s"
    assert decide(dataclasses.replace(young, workers_since_s=9_000), careful).replicas == 4
    # Never against what inference needs: three are there now.
    needed = dataclasses.replace(young, members=(member(QUIET, replicas=3),))
    assert decide(needed, careful).replicas == 3


@pytest.mark.parametrize(
    ("policy", "count", "reason"),
    [
        pytest.param({"units_per_worker": 4}, 1, Reason.LENT, id="whole workers only"),
        pytest.param({"max_workers": 2}, 2, Reason.WHOLE_GANG, id="no more than it can take"),
        pytest.param({"min_workers": 7}, 0, Reason.WHOLE_GANG, id="no less than its gang"),
        pytest.param(
            {"resizable": False, "max_workers": 8}, 0, Reason.WHOLE_GANG, id="all or nothing"
        ),
        pytest.param({"resizable": False, "max_workers": 6}, 6, Reason.LENT, id="all"),
        pytest.param({"reserved_units": 8}, 0, Reason.NO_ROOM, id="nothing to lend"),
    ],
)
def test_counts_that_a_borrower_can_take(policy, count, reason):
    decision = decide(pool(member(QUIET, replicas=2)), lending(headroom_units=0, **policy))

    assert (decision.replicas, decision.reason) == (count, reason)


NODES = (
    Node(name="a", units=4, units_in_use=1),
    Node(name="b", units=4, units_in_use=1),
)


@pytest.mark.parametrize(
    ("nodes", "policy", "count"),
    [
        pytest.param(NODES, {}, 6, id="units of single workers add up"),
        pytest.param(NODES, {"units_per_worker": 2}, 2, id="a worker fits on one node"),
        pytest.param(NODES, {"units_per_worker": 4}, 0, id="or on none"),
        pytest.param(
            (NODES[0], dataclasses.replace(NODES[1], schedulable=False)), {}, 2, id="cordoned"
        ),
        pytest.param(NODES, {"reserved_units": 5}, 3, id="what is owed may land on any node"),
        pytest.param(
            NODES, {"reserved_units": 3, "units_per_worker": 3}, 1, id="and cost a place there"
        ),
        pytest.param(
            NODES, {"reserved_units": 6, "units_per_worker": 2}, 0, id="or as many as it needs"
        ),
        pytest.param(NODES, {"pool_units": 5}, 3, id="a pool smaller than its nodes"),
        pytest.param(NODES, {"pool_units": 5, "units_per_worker": 2}, 1, id="in whole workers"),
        pytest.param(NODES[:1], {}, 2, id="or larger than they are"),
        pytest.param(
            (dataclasses.replace(NODES[0], units_in_use=4), NODES[1]),
            {"reserved_units": 1},
            3,
            id="more in use than is kept owes nothing",
        ),
    ],
)
def test_free_units_are_counted_by_node(nodes, policy, count):
    decision = decide(
        pool(member(QUIET, replicas=2), nodes=nodes), lending(headroom_units=0, **policy)
    )

    assert decision.replicas == count


def silent(since_s):
    return Member(
        name="prod/silent", policy=member([0]).policy, window=None, silent_since_s=since_s
    )


def of_few(loads):
    """Return a workload of which one of three ready replicas reports at the newest instant."""
    whole = member(loads)
    assert whole.window is not None
    few = dataclasses.replace(whole.window.latest, ready_replicas=3)
    return dataclasses.replace(whole, window=window(*whole.window.samples[:-1], few))


@pytest.mark.parametrize(
    ("members", "count", "reason"),
    [
        pytest.param([silent(9_900.0)], None, Reason.BLIND_HOLD, id="nothing new is lent"),
        pytest.param([silent(9_700.0)], 0, Reason.BLIND_RECLAIM, id="for too long"),
        pytest.param([silent(9_700.1)], None, Reason.BLIND_HOLD, id="for nearly too long"),
        pytest.param(
            [silent(9_900.0), silent(9_600.0)], 0, Reason.BLIND_RECLAIM, id="the first of two is"
        ),
        pytest.param(
            [silent(None), silent(9_900.0)], None, Reason.BLIND_HOLD, id="since when is not known"
        ),
        pytest.param(
            [member([*QUIET, *[None] * 60])],
            0,
            Reason.BLIND_RECLAIM,
            id="its replicas are ready and have not reported for too long",
        ),
        pytest.param(
            [member([*QUIET, *[None] * 59])],
            None,
            Reason.BLIND_HOLD,
            id="nor for nearly too long",
        ),
        pytest.param([member([None] * 100)], None, Reason.BLIND_HOLD, id="what never was, stays"),
        pytest.param(
            [member(QUIET, end_s=10_000 - 21_601)], None, Reason.BLIND_HOLD, id="all is too old"
        ),
        pytest.param(
            [member([6.0] * 40, replicas=8), Member(name="new", policy=None, window=None)],
            0,
            Reason.RECLAIMED,
            id="one is unheard of, the other past the threshold",
        ),
        pytest.param(
            [member([6.0] * 40), member([*QUIET, None], name="prod/b")],
            0,
            Reason.RECLAIMED,
            id="the newest of one is missing, the other past the threshold",
        ),
        pytest.param(
            [member([5.6] * 40), silent(9_900.0)],
            None,
            Reason.BLIND_HOLD,
            id="the other is at the threshold and not past it",
        ),
        pytest.param(
            [Member(name="prod/new", policy=None, window=None)],
            None,
            Reason.MEMBER_UNKNOWN,
            id="never heard of since the start",
        ),
        pytest.param(
            [member(QUIET), silent(9_900.0)], None, Reason.BLIND_HOLD, id="one of two is silent"
        ),
        pytest.param(
            [member([6.0] * 40, replicas=8), silent(9_900.0)],
            0,
            Reason.RECLAIMED,
            id="the other alone is past the threshold",
        ),
        pytest.param([member([*QUIET, None])], None, Reason.BLIND_HOLD, id="its newest is missing"),
        pytest.param(
            [of_few([*QUIET, 0.8])], None, Reason.BLIND_HOLD, id="one of its three reports now"
        ),
    ],
)
def test_an_unknown_online_load(members, count, reason):
    decision = decide(pool(*members), lending())

    assert (decision.replicas, decision.reason) == (count, reason)


@pytest.mark.parametrize(
    ("members", "asked", "count", "reason"),
    [
        pytest.param([silent(9_900.0)], 3, 3, Reason.BLIND_HOLD, id="what is asked for stays"),
        pytest.param([silent(9_900.0)], 0, None, Reason.BLIND_HOLD, id="and none is none"),
        pytest.param([silent(9_700.0)], 3, 0, Reason.BLIND_RECLAIM, id="not for too long"),
        pytest.param([silent(None)], 3, None, Reason.BLIND_HOLD, id="since when is not known"),
        pytest.param([silent(9_900.0)], 30, 8, Reason.BLIND_HOLD, id="no more than the pool has"),
        pytest.param(
            [Member(name="prod/new", policy=None, window=None)],
            3,
            3,
            Reason.MEMBER_UNKNOWN,
            id="nor is anything lost before one is heard of",
        ),
        pytest.param(
            [member([6.0] * 40, replicas=8), silent(9_900.0)],
            3,
            0,
            Reason.RECLAIMED,
            id="what is known is past the threshold",
        ),
    ],
)
def test_a_blind_pool_keeps_what_is_asked_for_in_a_count(members, asked, count, reason):
    decision = decide(pool(*members, asked=asked, workers=asked), lending())

    assert (decision.replicas, decision.reason) == (count, reason)
    if count:
        assert decision.detail.endswith("that are asked for stay, and no more")


@given(
    st.lists(st.sampled_from([0.8, 3.0, 6.0, None]), min_size=20, max_size=40),
    st.integers(0, 12),
    st.floats(0, 400),
    st.booleans(),
)
def test_silence_alone_neither_lends_nor_ends_in_none(loads, asked, age_s, second):
    """Until blindReclaimAfter, whatever was before: an error, or what is asked for."""
    gone = member([*loads, *[None] * round(age_s / 5)], name="prod/gone")
    members = (gone, member(QUIET)) if second else (gone,)
    before = decide(pool(*members, workers=asked), lending())
    decision = decide(pool(*members, workers=asked, asked=asked), lending())

    if before.replicas is not None:
        assert decision == before
    else:
        assert decision.replicas in {None, min(asked, 8)}
        assert decision.replicas != 0


UNKNOWN_NODES = "The pool's nodes are not known: its units count as one heap."
UNKNOWN_WORKERS = "The borrower's workers are not known: the band and minRuntime rest."


@pytest.mark.parametrize(
    ("loads", "policy", "around", "notes"),
    [
        pytest.param(
            [4.0] * 40,
            {},
            {"nodes": True, "workers": 0},
            [
                "2 of 8 units are idle: online load is 50 %: lending begins after 60 s below 30 %.",
            ],
            id="not lending",
        ),
        pytest.param(
            [0.8] * 40,
            {"max_workers": 3},
            {"nodes": True, "workers": 0},
            ["1 of 8 units are idle: the borrower takes 0 or 1 to 3 workers."],
            id="lent to one that takes no more",
        ),
        pytest.param([0.8] * 40, {}, {"nodes": True, "workers": 0}, [], id="all is lent"),
        pytest.param([0.8] * 40, {}, {"workers": 0}, [UNKNOWN_NODES], id="nodes are not known"),
        pytest.param([0.8] * 40, {}, {"nodes": True}, [UNKNOWN_WORKERS], id="nor are the workers"),
        pytest.param(
            [*[0.8] * 40, None], {}, {"nodes": True, "workers": 0}, [], id="a hold moves nothing"
        ),
    ],
)
def test_notes_say_what_is_idle_and_what_rests(loads, policy, around, notes):
    nodes = (Node(name="a", units=8, units_in_use=4),) if around.pop("nodes", False) else ()
    seen = pool(member(loads, replicas=4), nodes=nodes, **around)

    assert list(decide(seen, lending(headroom_units=0, **policy)).notes) == notes


@pytest.mark.parametrize(
    ("loads", "detail"),
    [
        pytest.param(
            [*[1.0] * 40, 7.0, 7.0], "online load is 88 %, over 70 %", id="the panic window's load"
        ),
        pytest.param(
            [*[7.0] * 40, *[1.0] * 5],
            "25 s of the 60 s after a reclaim have passed",
            id="since the last instant over it",
        ),
        pytest.param([3.0] * 40, "online load is 38 %: lending begins after 60 s below 30 %"),
        pytest.param([4.8] * 40, "online load is 60 %: lending begins after 60 s below 30 %"),
    ],
)
def test_why_nothing_is_lent(loads, detail):
    assert decide(pool(member(loads)), lending()).steps[0].detail == detail


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        pytest.param([silent(9_600.0)], "no reading of prod/silent for 400 s", id="for too long"),
        pytest.param([silent(9_900.0)], "the load of prod/silent is not known", id="held"),
        pytest.param(
            [member([*QUIET, None])], "the load of the pool's workloads is not known", id="a gap"
        ),
        pytest.param(
            [Member(name="prod/new", policy=None, window=None), silent(9_900.0)],
            "prod/new: not heard of so far",
            id="unheard of",
        ),
        pytest.param(
            [member([6.0] * 40), silent(9_900.0)],
            "online load is at least 75 %, over 70 %",
            id="past the threshold without the silent one",
        ),
    ],
)
def test_who_is_not_known_is_named(members, detail):
    assert decide(pool(*members), lending()).detail == detail


def test_a_lent_worker_is_accounted_for():
    decision = decide(
        pool(member(QUIET, replicas=2), workers=3), lending(headroom_units=1, reserved_units=1)
    )

    assert decision.steps[0].detail == (
        "8 units − 3 kept (reserved 1, inference 2 + headroom 1), 1 per worker"
    )
    assert (decision.ready_replicas, decision.spec_replicas) == (3, 3)
    (signal,) = decision.signals
    assert signal.name == "online-load"
    assert signal.load == pytest.approx(0.1)
    assert signal.detail == "share of the pool that the online workloads would fill"


def test_the_share_of_what_services_have_says_so():
    decision = decide(pool(member(QUIET)), lending(load_base=LoadBase.SERVICE))

    assert (
        decision.signals[0].detail == "share of what is ready that the online workloads would fill"
    )


def test_a_pool_without_online_workloads_cannot_be_made():
    with pytest.raises(ValueError, match="at least one online workload"):
        PoolWindow(at_s=0, members=())


def test_a_gap_in_the_history_is_unknown_and_not_quiet():
    early, late = member([0.5] * 5, end_s=9_000), member([0.5] * 5, end_s=10_000)
    assert early.window is not None
    assert late.window is not None
    both = window(*early.window.samples, *late.window.samples)

    points = online_load(
        pool(dataclasses.replace(late, window=both), member([0.5] * 250, name="prod/b")), lending()
    )

    assert any(point.load is None for point in points.points())


def test_the_average_of_a_panic_window_is_of_two_points_at_least():
    points = online_load(pool(member([0.0, 0.0, 8.0])), lending())

    assert list(averages(points, 1.0)) == [0.0, 0.0, pytest.approx(0.5)]


LOADS = st.lists(st.none() | st.floats(0, 9).map(lambda x: round(x, 2)), min_size=1, max_size=60)


@given(
    loads=LOADS,
    replicas=st.integers(0, 8),
    units=st.integers(1, 4),
    per_worker=st.integers(1, 3),
    reserved=st.integers(0, 8),
    workers=st.none() | st.integers(0, 8),
    whole=st.booleans(),
)
def test_inference_is_never_crowded_out(
    loads, replicas, units, per_worker, *, reserved, workers, whole
):
    fleet = member(loads, replicas=max(1, replicas), units=units)
    policy = lending(
        reserved_units=reserved, units_per_worker=per_worker, resizable=whole, max_workers=4
    )

    decision = decide(pool(fleet, workers=workers, workers_since_s=9_990.0), policy)

    held = max(1, replicas) * units
    if decision.replicas:
        assert decision.replicas * per_worker + held <= policy.pool_units
        assert decision.replicas * per_worker + reserved <= policy.pool_units


@given(LOADS, st.integers(0, 8))
def test_past_the_reclaim_threshold_nothing_is_lent_whatever_else(loads, workers):
    crowded = pool(member([*loads, 6.0, 6.0]), workers=workers, workers_since_s=9_999.0)

    assert decide(crowded, lending()).replicas == 0


@given(LOADS, st.floats(0, 8), st.none() | st.integers(0, 8))
def test_under_constant_load_the_answer_settles(start, load, workers):
    policy = lending(latch_lookback_s=300, lend_delay_s=0)
    rest = [round(load, 2)] * 160  # longer than the lookback of either policy

    here = decide(pool(member([*start, *rest]), workers=workers), policy)
    then = decide(pool(member([*start, *rest, *rest]), workers=workers), policy)

    assert here.replicas == then.replicas


@given(LOADS, st.integers(1, 10**4))
def test_a_shift_of_the_clock_by_minutes_changes_nothing(loads, minutes):
    later_s = 10_000.0 + minutes * MINUTE_S

    here = decide(pool(member(loads)), lending())
    there = decide(pool(member(loads, end_s=later_s), at_s=later_s), lending())

    assert here == dataclasses.replace(there, at_s=here.at_s)


def test_a_service_at_zero_needs_nothing():
    zero = tuple(
        Sample(at_s=9_000.0 + 5 * k, spec_replicas=0, ready_replicas=0) for k in range(201)
    )
    asleep = dataclasses.replace(member([1.0]), window=window(*zero))

    assert decide(pool(asleep), lending(headroom_units=0)).replicas == 8


def test_a_pool_that_holds_more_than_it_has_lends_none():
    decision = decide(pool(member(QUIET, replicas=9)), lending(headroom_units=0))

    assert [(step.replicas, step.reason) for step in decision.steps] == [(0, Reason.NO_ROOM)]
