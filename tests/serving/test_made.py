"""How many objects are decided on before others have their turn."""

import itertools
import time

import pytest

from scaler.decision.decide import decide
from scaler.errors import NoDataError
from scaler.serving.compose import Readings, fingerprint
from scaler.serving.entry import Entry
from scaler.serving.made import AT_ONCE_S, SLICE_S, Asked, Made, answer_some
from scaler.source import Trigger
from tests.builders import sample, window
from tests.fakes.fake_rules import parse
from tests.fakes.fake_source import FakeSource

NAMES = ("chat", "code", "draw")
KNOWN: dict[str, Trigger] = {f"prod/{name}": parse("prod", name, {}) for name in NAMES}
ASKED = [
    Asked(Entry(namespace="prod", name=name), KNOWN[f"prod/{name}"], rests_on=None)
    for name in NAMES
]


@pytest.fixture
def source() -> FakeSource:
    made = FakeSource()
    made.windows |= {key: window(sample(990, running=3)) for key in KNOWN}
    return made


def slow_steps():
    while True:
        time.sleep(SLICE_S)
        yield


def made_of(source: FakeSource, *, asked=ASKED, is_stirred=lambda: False, clock=lambda: 0.0):
    return answer_some(asked, Readings(source, KNOWN, 1000.0), decide, is_stirred, clock)


def test_those_of_which_nothing_is_new_are_looked_at_in_one_go(source):
    known = [
        one._replace(rests_on=fingerprint(source.windows[f"prod/{one.entry.name}"]))
        for one in ASKED
    ]
    assert made_of(source, asked=known * 3) == [None] * 9


def test_others_have_their_turn_after_one_that_takes_long_to_decide_on(source):
    (made,) = made_of(source, clock=itertools.count(step=AT_ONCE_S).__next__)
    assert isinstance(made, Made)


def test_whoever_must_not_wait_has_its_turn_after_each(source):
    assert len(made_of(source, is_stirred=lambda: True)) == 1


@pytest.mark.parametrize(("asked", "count"), [(ASKED, 1), (ASKED[1:], 0)])
def test_one_whose_windows_take_long_is_left_for_the_next_time(source, asked, count):
    source.slices["prod/code"] = slow_steps()
    assert len(made_of(source, asked=asked)) == count


def test_a_fault_is_of_one_object_and_holds_no_other(source):
    source.windows["prod/chat"] = NoDataError("too old")
    source.windows["prod/code"] = RuntimeError("a fault")
    old, fault, made = made_of(source)
    assert isinstance(old, NoDataError)
    assert old.__traceback__ is None
    assert isinstance(fault, RuntimeError)
    assert isinstance(made, Made)


def test_of_one_that_is_not_served_any_more_nothing_is_made(source):
    assert made_of(source, asked=[ASKED[0]._replace(trigger=None)]) == [None]
