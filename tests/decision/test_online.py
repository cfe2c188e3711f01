"""Online load of a pool: whose readings stand when, and what the load rises by."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.online import (
    THINNED_S,
    OnlinePoint,
    averages,
    full_loads,
    online_load,
    upper_rise,
)
from scaler.decision.policy import LoadBase, SignalName
from scaler.decision.sample import Sample
from tests.builders import inference, lending, member, pool, replica, sample, sample_of, window


def points(*loads, every_s=5.0):
    return [
        OnlinePoint(at_s=every_s * k, load=load, least=load or 0.0) for k, load in enumerate(loads)
    ]


def needs(*units, every_s=5.0):
    return [
        OnlinePoint(at_s=every_s * k, load=0.1, least=0.1, needed_units=one)
        for k, one in enumerate(units)
    ]


def loads_of(*members, **policy):
    seen = online_load(pool(*members), lending(**policy))
    return {point.at_s: point.load for point in seen}


def with_history(one, *past):
    return dataclasses.replace(one, window=dataclasses.replace(one.window, history=past))


def filled(at_s, *, running, each):
    """Return a sample of one replica of whose cache each request takes so much."""
    usage = running * each
    return sample_of(replica(running=running, kv_cache_usage=usage), at_s=at_s)


def test_every_instant_of_any_workload_is_a_point():
    other = member([2.0, 2.0], name="prod/b", end_s=9_997)

    assert list(loads_of(member([1.0, 1.0]), other)) == [9_992, 9_995, 9_997, 10_000]


@pytest.mark.parametrize(
    ("last_s", "load"),
    [
        pytest.param(9_987.5, 3 / 8, id="a sample stands for two and a half intervals"),
        pytest.param(9_987.4, None, id="and then no longer"),
        pytest.param(10_000.0, 3 / 8, id="from its own instant on"),
    ],
)
def test_how_long_a_sample_stands(last_s, load):
    late = member([2.0], name="prod/b", end_s=last_s)

    assert loads_of(member([1.0]), late)[10_000] == load


def test_before_its_first_sample_a_workload_is_not_known():
    assert loads_of(member([1.0, 1.0]), member([2.0], name="prod/b")) == {
        9_995: None,
        10_000: 0.375,
    }


@pytest.mark.parametrize(
    ("gap_s", "load"),
    [
        pytest.param(150.0, 3 / 8, id="a thinned sample stands for two and a half minutes"),
        pytest.param(150.1, None, id="and then no longer"),
    ],
)
def test_how_long_a_thinned_sample_stands(gap_s, load):
    old = with_history(member([1.0]), sample(5_000 - gap_s, running=10))
    other = member([2.0], name="prod/b", end_s=5_000)

    assert loads_of(old, other)[5_000] == load


HEARD = member([2.0], name="prod/b")


@pytest.mark.parametrize(
    "quiet",
    [
        pytest.param(dataclasses.replace(HEARD, window=None), id="without readings"),
        pytest.param(dataclasses.replace(HEARD, policy=None), id="without metadata"),
    ],
)
def test_a_workload_that_nobody_heard_of_may_hold_anything(quiet):
    for base, least in ((LoadBase.POOL, 1 / 8), (LoadBase.SERVICE, 1.0)):
        (point,) = online_load(pool(member([1.0]), quiet), lending(load_base=base))

        assert (point.load, point.least) == (None, least)


@pytest.mark.parametrize("end_s", [9_900.0, 10_005.0], ids=["stale", "not there yet"])
def test_replicas_of_another_time_are_not_ready_now(end_s):
    other = member([2.0], name="prod/b", end_s=end_s)
    seen = online_load(pool(member([1.0]), other), lending(load_base=LoadBase.SERVICE))

    assert {point.at_s: point.least for point in seen}[10_000] == 1.0


def test_history_counts_with_the_samples():
    old = with_history(member([1.0]), sample(5_000, running=20))

    assert loads_of(old) == {5_000: 0.25, 10_000: 0.125}


@pytest.mark.parametrize(
    ("lookback_s", "count"), [(60.0, 13), (65.0, 14)], ids=["a minute back", "and one more"]
)
def test_the_latch_looks_back_so_far_and_its_edge_counts(lookback_s, count):
    assert len(loads_of(member([1.0] * 40), latch_lookback_s=lookback_s)) == count


def test_older_history_has_no_say_in_what_a_replica_takes():
    # The old requests filled the cache, the recent ones hardly do.
    learnt = inference(max_concurrency=None, units_per_replica=1)
    recent = [filled(10_000 - 5.0 * k, running=10 + k % 3, each=0.01) for k in range(60)][::-1]
    old = [filled(30.0 * k, running=10 + k % 3, each=0.08) for k in range(60)]
    old.append(filled(9_000, running=10, each=0.01))  # it still stands where the lookback begins
    one = dataclasses.replace(member([1.0]), policy=learnt, window=window(*recent))

    assert loads_of(with_history(one, *old), latch_lookback_s=600) == loads_of(one)
    assert (
        loads_of(with_history(one, *old), latch_lookback_s=20_000)[10_000] > loads_of(one)[10_000]
    )


def test_what_was_read_before_the_latch_looks_back_still_stands_there():
    other = with_history(member([2.0], name="prod/b"), sample(9_800, running=10))
    thinned = with_history(member([1.0]), sample(9_900, running=10))

    assert loads_of(thinned, other, latch_lookback_s=100)[9_900] == 2 / 8


def test_units_weigh_load_and_what_is_ready():
    two = [member([1.0], replicas=2, units=3), member([1.0], name="prod/b")]

    assert loads_of(*two) == {10_000: 4 / 8}
    assert loads_of(*two, load_base=LoadBase.SERVICE) == {10_000: 4 / 7}


@pytest.mark.parametrize(
    ("held", "load"), [(0.0, 0.0), (1.0, 1.0)], ids=["idle", "asked for: past full"]
)
def test_a_service_with_nothing_ready_is_idle_or_past_full(held, load):
    zero = Sample(at_s=10_000, spec_replicas=0, ready_replicas=0, gateway_waiting=held)
    asleep = dataclasses.replace(member([1.0]), window=window(zero))

    assert loads_of(asleep, load_base=LoadBase.SERVICE) == {10_000: load}


def test_ready_replicas_that_are_not_known_are_none():
    quiet = dataclasses.replace(member([1.0]), window=window(Sample(at_s=10_000)))
    (point,) = online_load(pool(quiet), lending(load_base=LoadBase.SERVICE))

    assert (point.load, point.least) == (None, 0)


def test_the_full_load_is_the_most_of_any_signal_that_speaks():
    policy = inference(
        metrics=(SignalName.RPS, SignalName.BATCH, SignalName.CONCURRENCY),
        rps_target=1.0,
        max_num_seqs=40,
    )

    assert full_loads(window(sample(running=20), history=(sample(-60, running=5),)), policy) == (
        0.5,
        2.0,
    )


@pytest.mark.parametrize(
    ("loads", "window_s", "means"),
    [
        pytest.param([1.0, 3.0, 5.0], 10.0, [1, 2, 4], id="two buckets of two"),
        pytest.param([1.0, 3.0, 5.0, 7.0], 15.0, [1, 2, 3, 5], id="three of them"),
        pytest.param([1.0, 3.0, 5.0], 5.0, [1, 2, 4], id="one bucket is too few: two"),
        pytest.param(
            [1.0, None, 5.0, 7.0, 9.0], 10.0, [1, None, None, 6, 8], id="a gap is not known"
        ),
    ],
)
def test_trailing_averages(loads, window_s, means):
    assert list(averages(points(*loads), window_s)) == means


@pytest.mark.parametrize(
    ("units", "within_s", "quantile", "rise"),
    [
        pytest.param([], 5.0, 0.9, 0, id="nothing is known"),
        pytest.param([3], 5.0, 0.9, 0, id="nothing follows"),
        pytest.param([2] * 20, 60.0, 0.99, 0, id="flat"),
        pytest.param([5, 3, 1], 60.0, 0.99, 0, id="falling"),
        pytest.param([0, 1, 4, 9], 5.0, 0.99, 5, id="within one bucket"),
        pytest.param([0, 1, 4, 9], 10.0, 0.99, 8, id="within two"),
        pytest.param([0, 1, 4, 9], 4.9, 0.99, 0, id="within less than one: none"),
        pytest.param([0, 1, 4, 9], 5.0, 0.6, 3, id="enough for two of the three spans"),
        pytest.param([0, 1, 4, 9], 5.0, 2 / 3, 3, id="just enough for two of them"),
        pytest.param([0, 1, 4, 9], 5.0, 0.67, 5, id="and not for all three"),
        pytest.param([2, 7, 1], 60.0, 0.99, 5, id="the most that follows, not the last"),
        pytest.param([2, None, 7], 10.0, 0.99, 5, id="over a gap"),
        pytest.param([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4], 5.0, 0.9, 0, id="a rise in a tenth of it"),
        pytest.param([1, 1, 1, 1, 1, 1, 1, 1, 1, 4], 5.0, 0.89, 3, id="a rise in a ninth"),
    ],
)
def test_what_need_rises_by(units, within_s, quantile, rise):
    assert upper_rise(needs(*units), within_s, quantile) == rise


def test_thinned_instants_weigh_as_long_as_they_stand():
    # An hour ago one instant a minute and a rise in each; since then one a second, and none.
    past = needs(*[1, 3] * 30, every_s=60.0)
    since = [
        dataclasses.replace(one, at_s=one.at_s + 3600) for one in needs(*[3] * 1200, every_s=1)
    ]

    assert upper_rise([*past, *since], 60.0, 0.6) == 0
    assert upper_rise([*past, *since], 60.0, 0.7) == 2


def test_a_long_silence_weighs_no_more_than_a_sample_stands():
    night = [
        *needs(2, 2, every_s=THINNED_S),
        OnlinePoint(at_s=90_000.0, load=0.1, least=0.1, needed_units=2),
        OnlinePoint(at_s=90_000.0 + THINNED_S, load=0.1, least=0.1, needed_units=6),
    ]

    assert upper_rise(night, THINNED_S, 0.7) == 4  # in one of three spans


@given(
    st.lists(st.none() | st.integers(0, 9), max_size=30),
    st.sampled_from([0.0, 5.0, 12.0, 60.0]),
    st.floats(0.01, 0.99),
)
def test_the_rise_is_that_of_its_definition(units, within_s, quantile):
    known = [(one.at_s, one.needed_units) for one in needs(*units) if one.needed_units is not None]
    rises = [
        (
            max(later for then, later in known if at_s <= then <= at_s + within_s) - now,
            until_s - at_s,
        )
        for (at_s, now), (until_s, _) in itertools.pairwise(known)
    ]
    whole_s = sum(seconds for _, seconds in rises)

    answer = upper_rise(needs(*units), within_s, quantile)

    enough_s = sum(seconds for rise, seconds in rises if rise <= answer)
    less_s = sum(seconds for rise, seconds in rises if rise < answer)
    assert enough_s >= quantile * whole_s - 1e-5
    assert not answer or less_s < quantile * whole_s


def need_of(*members):
    return online_load(pool(*members), lending())[-1].needed_units


@pytest.mark.parametrize(
    ("members", "units"),
    [
        pytest.param([member([1.0], replicas=2)], 2, id="what is ready"),
        pytest.param([member([1.0], replicas=2, loading_replicas=3)], 5, id="what starts"),
        pytest.param([member([1.0], replicas=2, terminating_replicas=1)], 3, id="what ends"),
        pytest.param([member([1.0], replicas=2, units=4)], 8, id="in units of a replica"),
        pytest.param([member([1.0]), member([1.0], name="prod/b")], 2, id="of all workloads"),
        pytest.param([member([None], replicas=2)], 2, id="without readings of its load"),
        pytest.param(
            [member([1.0]), dataclasses.replace(HEARD, window=None)], None, id="one says nothing"
        ),
        pytest.param(
            [
                dataclasses.replace(
                    HEARD, window=window(Sample(at_s=10_000, spec_replicas=4, ready_replicas=1))
                )
            ],
            4,
            id="what is asked for and not there yet",
        ),
        pytest.param(
            [dataclasses.replace(HEARD, window=window(Sample(at_s=10_000)))], None, id="no replica"
        ),
    ],
)
def test_what_the_workloads_need(members, units):
    assert need_of(*members) == units
