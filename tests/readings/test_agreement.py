"""
Two replicas of the scaler that read the same server at different times agree on every instant.

Each asks when it asks: what one read scrape by scrape the other got in a heap, late, twice, or
after a restart. Once all of it is there both make the same decision of it.
"""

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.errors import NoDataError
from tests.builders import inference
from tests.readings.worlds import NOW_S, STEP_S, Observer, busy

SCRAPES = 20
LOOKBACK_S = 90.0
loads = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 5)), min_size=SCRAPES, max_size=SCRAPES
)


def at(number: int) -> float:
    return NOW_S + (number - SCRAPES + 1) * STEP_S


def pages(number: int, load: tuple[int, int]) -> dict[str, str]:
    running, waiting = load
    counted = 1e6 + 100.0 * number
    first = busy(running=running, waiting=waiting, generation_tokens_total=counted)
    second = busy(running=30 - running, waiting=0, generation_tokens_total=counted)
    return {"llm-0": first, "llm-1": second}


def read(observer: Observer, some: list[int], found: list[tuple[int, int]]) -> None:
    """Take in some scrapes in one round, in any order."""
    observer.assembly.store.next_round()
    for number in some:
        for pod, page in pages(number, found[number]).items():
            observer.scrape(at(number), page, namespace="serve", pod=pod)
    observer.assembly.settle(observer.workloads)


def decided(observer: Observer, now_s: float):
    return decide(observer.window(now_s, LOOKBACK_S), inference())


@settings(max_examples=settings().max_examples // 8)
@given(loads, st.lists(st.integers(1, 12), min_size=1), st.randoms(use_true_random=False))
def test_whenever_each_has_read_both_decide_alike(found, chunks, rng: random.Random):
    steady, other = Observer(), Observer()
    for number in range(SCRAPES):
        read(steady, [number], found)
        with contextlib.suppress(NoDataError):
            decided(steady, at(number))
    begun = rng.randrange(SCRAPES // 2)
    left = list(range(SCRAPES))
    chunks = [begun + 1, *chunks]  # a restart: what there was, at once
    while left:
        size = chunks.pop(0) if chunks else SCRAPES
        some = [*left[:size], *left[: rng.randrange(2)]]
        left = left[size:]
        rng.shuffle(some)
        read(other, some, found)
        with contextlib.suppress(NoDataError):
            decided(other, at(SCRAPES - len(left) - 1))
    assert decided(steady, at(SCRAPES - 1)) == decided(other, at(SCRAPES - 1))


@settings(max_examples=settings().max_examples // 8)
@given(loads, st.integers(1, SCRAPES - 1))
def test_what_was_decided_is_decided_again_once_more_is_known(found, later):
    """An instant of the past, asked about after what came next was read, gives what it gave."""
    then, since = Observer(), Observer()
    read(then, list(range(SCRAPES - later)), found)
    read(since, list(range(SCRAPES)), found)
    now_s = at(SCRAPES - later - 1)
    assert decided(then, now_s) == decided(since, now_s)
