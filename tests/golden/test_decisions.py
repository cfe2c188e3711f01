"""
Decisions are what they were recorded to be, poll by poll; a change shows as a diff to argue for.

``python -m tests.golden.record`` writes them anew.
"""

import itertools
import pickle

import pytest

from scaler.decision.decide import decide
from scaler.decision.window import Window

from .histories import TRACES, Subject, random_polls, trace_polls
from .record import decisions, kept


def test_decisions_on_random_histories_are_those_recorded():
    assert list(decisions(random_polls())) == kept("random")


@pytest.mark.parametrize("name", TRACES)
def test_decisions_on_a_slice_of_a_trace_are_those_recorded(name):
    assert list(decisions(trace_polls(name))) == kept(name)


def test_a_decision_writes_nothing_to_what_it_is_given():
    for _, known, policy in itertools.islice(random_polls(), 0, None, 5):
        before = pickle.dumps((known, policy))
        for window in windows_in(known):
            for columns in (window.columns, window.past):
                for array in (columns.by_instant, columns.by_reading, columns.by_queue):
                    array.flags.writeable = False
        first = decide(known, policy)

        assert decide(known, policy) == first
        assert pickle.dumps((known, policy)) == before


def windows_in(known: Subject) -> list[Window]:
    """Return a window, or those of a pool's or a group's members."""
    if isinstance(known, Window):
        return [known]
    return [member.window for member in known.members if member.window is not None]
