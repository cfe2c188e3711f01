"""What is written ahead of the HPA."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.fast.plan import FRESH_S, raised
from scaler.controller.fast.target import Target
from scaler.controller.fast.word import Word

CHAT = Target(
    api_version="apps/v1", kind="Deployment", name="chat", min_replicas=0, max_replicas=10
)


def word(replicas: int | None, **more) -> Word:
    return Word(**{"replicas": replicas, "reason": "Panic", "heard_s": 100.0, **more})


def target(**more) -> Target:
    return dataclasses.replace(CHAT, **more)


@pytest.mark.parametrize(
    ("its", "said", "current", "count"),
    [
        (CHAT, word(4, woken=True), 0, 4),
        (CHAT, word(4, woken=True), 1, 4),
        (CHAT, word(6, panic=True), 1, 6),
        (CHAT, word(6, panic=True), 6, None),
        (CHAT, word(6, panic=True), 8, None),
        (CHAT, word(40, panic=True), 3, 10),
        (CHAT, word(40, panic=True), 12, None),
        (target(min_replicas=2), word(1, woken=True), 0, 2),
        (CHAT, word(6), 1, None),
        (CHAT, word(6), 0, None),
        (CHAT, word(None, panic=True), 1, None),
        (CHAT, word(0, panic=True), 0, None),
        (target(min_replicas=2), word(0, panic=True), 0, None),
        (target(hindrance="paused"), word(6, panic=True), 1, None),
        (CHAT, word(6, panic=True, heard_s=100.0 - FRESH_S), 1, None),
    ],
    ids=[
        "from zero",
        "from the one that KEDA woke",
        "in panic",
        "the HPA was faster",
        "never less than there is",
        "never more than allowed",
        "a person is past the maximum",
        "at least the minimum",
        "without hurry it is the HPA's",
        "and so is a count that nobody wakes",
        "no answer",
        "nothing wanted",
        "nothing wanted, whatever the minimum",
        "paused",
        "of a scaler that is silent",
    ],
)
def test_the_count_that_the_hpa_would_set(its, said, current, count):
    assert raised(its, said, current, 100.0) == count


@given(
    replicas=st.none() | st.integers(0, 50),
    current=st.integers(0, 50),
    bounds=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    panic=st.booleans(),
    woken=st.booleans(),
    hindrance=st.none() | st.just("paused"),
)
def test_it_only_ever_adds_and_never_past_the_maximum(
    *, replicas, current, bounds, panic, woken, hindrance
):
    least, most = sorted(bounds)
    its = target(min_replicas=least, max_replicas=most, hindrance=hindrance)
    count = raised(its, word(replicas, panic=panic, woken=woken), current, 100.0)
    if count is not None:
        assert current < count <= most
        assert hindrance is None
        assert panic or woken
