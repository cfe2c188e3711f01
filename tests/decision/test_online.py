"""Online load of a pool: whose readings stand when, and what the load rises by."""

import dataclasses
import math

import pytest

from scaler.decision.load import read
from scaler.decision.online import (
    Online,
    OnlinePoint,
    averages,
    full_loads,
    most_needed,
    online_load,
)
from scaler.decision.policy import LoadBase, SignalName
from scaler.decision.sample import Sample
from tests.builders import inference, lending, member, pool, replica, sample, sample_of, window


def points(*loads, every_s=5.0):
    return Online.of(
        [
            OnlinePoint(at_s=every_s * k, load=load, least=load or 0.0)
            for k, load in enumerate(loads)
        ]
    )


def needs(*units, every_s=5.0):
    return Online.of(
        [
            OnlinePoint(at_s=every_s * k, load=0.1, least=0.1, needed_units=one)
            for k, one in enumerate(units)
        ]
    )


def loads_of(*members, **policy):
    seen = online_load(pool(*members), lending(**policy))
    return {point.at_s: point.load for point in seen.points()}


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
        (point,) = online_load(pool(member([1.0]), quiet), lending(load_base=base)).points()

        assert (point.load, point.least) == (None, least)


@pytest.mark.parametrize("end_s", [9_900.0, 10_005.0], ids=["stale", "not there yet"])
def test_replicas_of_another_time_are_not_ready_now(end_s):
    other = member([2.0], name="prod/b", end_s=end_s)
    seen = online_load(pool(member([1.0]), other), lending(load_base=LoadBase.SERVICE))

    assert {point.at_s: point.least for point in seen.points()}[10_000] == 1.0


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
    (point,) = online_load(pool(quiet), lending(load_base=LoadBase.SERVICE)).points()

    assert (point.load, point.least) == (None, 0)


def test_the_full_load_is_the_most_of_any_signal_that_speaks():
    policy = inference(
        metrics=(SignalName.RPS, SignalName.BATCH, SignalName.CONCURRENCY),
        rps_target=1.0,
        max_num_seqs=40,
    )

    seen = window(sample(running=20), history=(sample(-60, running=5),)).whole

    assert full_loads(seen, read(seen, policy)).tolist() == [0.5, 2.0]


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
    seen = averages(points(*loads), window_s).tolist()

    assert [None if math.isnan(mean) else mean for mean in seen] == means


@pytest.mark.parametrize(
    ("units", "since_s", "most"),
    [
        pytest.param([4, 1, 2, 1], 0.0, 2, id="before it nothing counts"),
        pytest.param([4, 1, 2, 1], -1.0, 4, id="and from then on each"),
        pytest.param([None, 1, 1], 0.0, 1, id="what was not known before does not matter"),
        pytest.param([4, None, 1], 0.0, None, id="not always known"),
        pytest.param([4, 1], 60.0, 0, id="nothing since"),
    ],
)
def test_the_most_that_was_needed_at_once(units, since_s, most):
    assert most_needed(needs(*units), since_s) == most


def need_of(*members):
    return online_load(pool(*members), lending()).points(-1)[0].needed_units


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
