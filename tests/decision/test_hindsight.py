"""No reclaim begins on an old reading that only the newest ones call a surge."""

import dataclasses

import pytest

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.latch import latch
from scaler.decision.online import online_load
from scaler.decision.pool import PoolWindow
from tests.builders import inference, lending, member, pool, replica, sample_of, window

POLICY = lending(pool_units=3, headroom_units=0)
ONE = inference(scale_down_delay_s=0.0, hpa_tolerance=0.0, max_replicas=1, units_per_replica=1)


def seen(buckets: int, *, workers: int = 2) -> PoolWindow:
    """
    Return a pool whose requests turn out to be long: idle, six at once, two, and two long ones.

    Of short ones a replica holds ten, so that six are a fifth of the pool; of long ones one.
    """
    samples = []
    for k in range(buckets):
        running, each = ((0, 0.0), (6, 0.02), (2, 0.02))[min(k // 30, 2)]
        each = 0.45 if k >= 90 else each
        one = replica(running=running, kv_cache_usage=running * each)
        samples.append(sample_of(one, at_s=5.0 * (k + 1), spec_replicas=1, ready_replicas=1))
    chat = dataclasses.replace(member([0.0]), policy=ONE, window=window(*samples))
    return pool(chat, at_s=5.0 * buckets, workers=workers, workers_since_s=100.0)


def test_a_surge_that_was_none_when_it_was_read_takes_nothing_back():
    before, after = seen(89), seen(110)
    assert decide(before, POLICY).replicas == 2

    raw = latch(online_load(after, POLICY), POLICY)
    assert (raw.on, raw.reclaimed_s) == (False, 305.0), "the past is past the threshold by now"
    decision = decide(after, POLICY)

    assert decision.replicas == 2
    assert decision.reason is Reason.LENT


@pytest.mark.parametrize("buckets", range(60, 128, 4))
def test_no_reclaim_begins_on_readings_older_than_a_panic_window(buckets):
    pool_now = seen(buckets)
    newest = online_load(pool_now, POLICY).newest
    assert newest is not None
    assert newest.load is not None
    assert newest.load < POLICY.reclaim_above

    assert decide(pool_now, POLICY).replicas == 2


def test_nothing_is_lent_anew_on_what_only_hindsight_excuses():
    assert decide(seen(110, workers=0), POLICY).replicas == 0


def test_a_surge_that_was_seen_goes_on_taking_back_until_nobody_works():
    loads = [*[0.5] * 60, *[7.0] * 6, *[3.0] * 20]
    policy = lending(headroom_units=0, lend_delay_s=600)
    surged = pool(member(loads, replicas=1), workers=3, workers_since_s=9_000.0)

    assert decide(surged, policy).replicas == 0
