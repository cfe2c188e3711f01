"""Requests kept in a file come out as they went in, however often and by however many."""

import itertools
import pickle
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from scaler.simulation.spooled import Spooled
from scaler.simulation.traffic import Arrival

TOKENS = st.integers(1, 2**31)
ROWS = st.lists(st.builds(Arrival, st.floats(0, 1e7), TOKENS, TOKENS), max_size=40).map(sorted)


@given(ROWS)
def test_they_come_out_as_they_went_in_as_often_as_they_are_asked_for(rows):
    kept = Spooled(iter(rows))

    assert list(kept) == list(kept) == rows
    assert (len(kept), kept.last_s) == (len(rows), rows[-1].at_s if rows else 0.0)
    assert kept[2:5] == rows[2:5]
    assert [kept[number] for number in range(-len(rows), 0)] == rows


def test_two_who_read_at_once_do_not_mix_up_their_places():
    rows = [Arrival(float(number), number + 1, 1) for number in range(10_000)]
    kept = Spooled(rows)

    assert list(zip(kept, itertools.islice(kept, 5000, None), strict=False)) == list(
        zip(rows, rows[5000:], strict=False)
    )


@given(ROWS)
def test_another_process_is_sent_the_same(rows):
    sent = pickle.loads(pickle.dumps(Spooled(rows)))  # noqa: S301 -- our own

    assert list(sent) == rows
    assert sent.last_s == (rows[-1].at_s if rows else 0.0)


def test_three_times_as_many_take_no_more_memory():
    def peak(count):
        tracemalloc.start()
        try:
            kept = Spooled(Arrival(float(number), 7, 9) for number in range(count))
            assert sum(one.prompt_tokens for one in kept) == 7 * count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(300_000) < 1.1 * peak(100_000)
