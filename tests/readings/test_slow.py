"""Who is found to be slow, by how many questions; when it is asked with the others again."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from scaler.readings.round import Late
from scaler.readings.slow import PARTS, Slow, parts_of, slow_among

NAMES = [f"ns-{number}" for number in range(200)]


async def nothing(*_):
    """Ask for nothing."""


LATE = Late(namespaces=("a", "b"), again=nothing)


class Server:
    """Takes long for some namespaces, and counts what it is asked."""

    def __init__(self, *slow):
        self.slow = {*slow}
        self.asked = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, names):
        self.asked.append(names)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return not self.slow & {*names}


@given(
    st.integers(2, 200),
    st.sets(st.integers(0, 199), max_size=6),
    st.integers(0, 40),
)
def test_a_few_that_are_slow_are_found_whoever_they_are(count, slow, turn):
    slow = {number % count for number in slow}
    server = Server(*(NAMES[number] for number in slow))
    found = asyncio.run(slow_among(NAMES[:count], server, turn=turn))
    first = [part for part in parts_of(NAMES[:count]) if not server.slow & {*part}]
    assert found in (set(), server.slow)
    if len(first) >= min(PARTS, count) - 1:  # one of any two is answered
        assert found == server.slow
    assert server.most_at_once <= 4


def test_one_of_two_hundred_costs_some_queries_and_not_two_hundred():
    server = Server("ns-77")
    assert asyncio.run(slow_among(NAMES, server)) == {"ns-77"}
    assert len(server.asked) <= 3 * PARTS
    assert sum("ns-77" in names for names in server.asked) == 3  # those that take all their time


def test_a_server_that_is_slow_for_all_is_asked_twice():
    server = Server(*NAMES)
    assert asyncio.run(slow_among(NAMES, server)) == set()
    assert len(server.asked) == 2


def test_two_that_hide_the_others_are_found_by_another_turn():
    server = Server("ns-0", "ns-1")  # of the first part and of the second
    assert asyncio.run(slow_among(NAMES, server)) == set()
    assert asyncio.run(slow_among(NAMES, server, turn=2)) == {"ns-0", "ns-1"}


def test_however_many_are_slow_a_search_ends():
    server = Server(*NAMES[1::8], *NAMES[2::8], *NAMES[3::8], *NAMES[4::8])
    found = asyncio.run(slow_among(NAMES, server))
    assert found >= server.slow
    assert len(server.asked) <= 128 + PARTS


def visit(slow, at_s, *, took_s=0.1, answered=True):
    late = slow.visited("a", at_s, took_s=took_s, slowest_s=took_s, answered=answered)
    if late is not None:
        slow.tried("a", at_s, quick=True)
    return late is not None


def test_who_is_quick_again_returns_and_later_each_time_that_it_was_not():
    slow = Slow()
    needed = []
    for begin_s in (0.0, 100.0, 200.0, 4000.0):
        slow.found("a", LATE, begin_s)
        assert not slow.is_shared("a")
        needed.append(next(n for n in range(1, 100) if visit(slow, begin_s)))
        assert slow.is_shared("a")
    assert needed == [5, 10, 20, 5]  # the last time an hour later: another trouble


def test_one_slow_visit_and_it_begins_to_count_anew():
    slow = Slow()
    slow.found("a", LATE, 0.0)
    assert not any(visit(slow, 0.0) for _ in range(4))
    assert not visit(slow, 0.0, took_s=1.5)
    assert not any(visit(slow, 0.0) for _ in range(4))
    assert visit(slow, 0.0)


def test_what_takes_long_is_left_alone_twice_as_long():
    slow = Slow()
    slow.found("a", LATE, 0.0)
    slow.found("b", LATE, 0.0)
    slow.visited("b", 0.1, took_s=0.1, slowest_s=0.1, answered=True)
    assert slow.due(0.1) == ["a"]
    slow.visited("a", 6.1, took_s=6.0, slowest_s=3.0, answered=True)
    assert slow.due(18.0) == ["b"]
    assert slow.due(18.1) == ["b", "a"]
    slow.visited("b", 18.2, took_s=0.1, slowest_s=0.1, answered=False)  # refused at once
    assert slow.due(28.0) == ["a"]


def test_who_goes_while_it_is_tried_is_nobodys_trouble():
    slow = Slow()
    slow.found("a", LATE, 0.0)
    slow.keep(())
    slow.tried("a", 1.0, quick=True)
    assert slow.is_shared("a")


def test_who_is_gone_is_forgotten():
    slow = Slow()
    slow.found("a", LATE, 0.0)
    slow.keep({"b"})
    assert len(slow) == 0
    assert slow.is_shared("a")
