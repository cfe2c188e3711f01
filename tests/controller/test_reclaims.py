"""One reclaim is as good as another: the grace, the seconds and what is told, each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.reconcile import WATCHFUL_S
from scaler.controller.seen import MOST_RECLAIMS
from scaler.controller.status import difference
from tests.controller.world import LEAST_S, RESYNC_S, World, merged

LONGEST_S = 200.0
CYCLES = 3

graces = st.floats(min_value=0.5, max_value=30.0)
lates = st.floats(min_value=0.5, max_value=60.0)
"""A pod takes a while to end, longer than the controller takes to read what it wrote too late."""
staleness = st.lists(st.booleans(), max_size=60)


def lend(world):
    """Lend and scale until the Job runs."""
    world.lent = 3
    deadline_s = world.now_s + LONGEST_S
    while world.suspended:
        assert world.now_s < deadline_s, "never resumed"
        world.scale(3)
        world.pass_by(min(1.0, world.look()))
    world.look()


def take_back(world, stale, *, lends_again_after_s=None):
    """Reclaim, and return when it was over; the look that begins it comes with the word."""
    world.lent, began_s = 0, world.now_s
    refused = False
    while True:
        again_s = world.look(stale=not refused and bool(stale) and stale.pop())
        refused = again_s == LEAST_S
        if world.suspended and not world.pods and "freedTime" in world.last:
            return began_s
        assert world.now_s - began_s < LONGEST_S, "never over"
        world.pass_by(again_s)
        if lends_again_after_s is not None and world.now_s - began_s >= lends_again_after_s:
            world.lent = 3
            world.scale(3)


@given(graces, lates, staleness)
def test_three_reclaims_in_a_row_are_each_enforced_measured_and_told_once(grace_s, late_s, stale):
    world = World(grace_s=grace_s, late_s=late_s)

    for number in range(1, CYCLES + 1):
        lend(world)
        before = world.writes
        began_s = take_back(world, stale)

        took_s = world.now_s - began_s
        assert took_s <= min(grace_s, late_s) + 3 * WATCHFUL_S
        assert world.events.count("Reclaiming") == world.events.count("Reclaimed") == number
        assert len(world.reclaimed_s) == number
        assert 0.0 <= world.reclaimed_s[-1] <= took_s + 1e-6
        assert world.last["seconds"] == pytest.approx(world.reclaimed_s[-1], abs=1e-3)
        assert world.last["workers"] == 3
        assert world.writes - before <= 5


@given(graces, lates, st.floats(min_value=0.0, max_value=10.0))
def test_a_reclaim_that_has_begun_is_finished_whatever_is_lent_meanwhile(grace_s, late_s, after_s):
    world = World(grace_s=grace_s, late_s=late_s)

    for number in range(1, CYCLES + 1):
        lend(world)
        take_back(world, [], lends_again_after_s=after_s)
        assert world.events.count("Reclaimed") == len(world.reclaimed_s) == number
        assert world.reclaimed_s[-1] <= min(grace_s, late_s) + 2 * WATCHFUL_S


def test_the_seconds_of_the_last_five_reclaims_are_kept():
    world = World(grace_s=20.0, late_s=5.0)
    for _ in range(MOST_RECLAIMS + 2):
        lend(world)
        take_back(world, [])
    world.look()

    kept = world.manifest["status"]["reclaimSeconds"]
    assert kept == pytest.approx(world.reclaimed_s[-MOST_RECLAIMS:], abs=1e-3)
    assert len(kept) == MOST_RECLAIMS


def test_a_new_reclaim_has_a_start_of_its_own_and_no_end():
    world = World(grace_s=20.0, late_s=40.0)
    lend(world)
    take_back(world, [])
    first = world.last
    lend(world)

    world.lent = 0
    world.pass_by(100.0)
    world.look()

    assert world.last.keys() == {"startTime", "reason", "workers", "generation"}
    assert world.last["startTime"] > first["freedTime"]


def test_a_rest_writes_nothing():
    world = World(grace_s=20.0, late_s=5.0)
    lend(world)
    take_back(world, [])
    world.look()
    before = world.writes

    for _ in range(20):
        assert world.look() == RESYNC_S
        world.pass_by(RESYNC_S)

    assert world.writes == before


def test_the_end_of_a_reclaim_by_an_older_controller_is_its_end():
    """One that left the end of an earlier reclaim in the status of a later one."""
    world = World(grace_s=20.0, late_s=5.0)
    lend(world)
    take_back(world, [])
    world.manifest["status"]["lastReclaim"]["startTime"] = "2099-01-01T00:00:00.000000Z"

    world.lent = 3
    world.scale(3)
    world.look()

    assert not world.suspended


json = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from("abc"), json, max_size=3)


@given(objects, objects)
def test_the_difference_is_the_patch_that_makes_one_of_the_other(before, after):
    assert merged(before, difference(before, after)) == after
    assert difference(after, after) == {}
