"""
Decisions are what they were recorded to be, poll by poll; a change shows as a diff to argue for.

``python -m tests.golden.record`` writes them anew.
"""

import pytest

from .histories import TRACES, random_polls, trace_polls
from .record import decisions, kept


def test_decisions_on_random_histories_are_those_recorded():
    assert list(decisions(random_polls())) == kept("random")


@pytest.mark.parametrize("name", TRACES)
def test_decisions_on_a_slice_of_a_trace_are_those_recorded(name):
    assert list(decisions(trace_polls(name))) == kept(name)
