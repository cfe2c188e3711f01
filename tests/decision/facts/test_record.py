"""What a source keeps is what making it anew would give, whatever came when."""

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.facts.columns import Columns
from scaler.decision.facts.record import Record
from tests.golden.histories import samples

HISTORY = samples(3, 60)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["add", "late", "leave", "look"]),
        st.integers(1, 20),
    ),
    max_size=12,
)


def same(one: Columns, other: Columns) -> bool:
    pairs = (
        (one.by_instant, other.by_instant),
        (one.by_reading, other.by_reading),
        (one.by_queue, other.by_queue),
    )
    return all(a.tobytes() == b.tobytes() and a.shape == b.shape for a, b in pairs)


@given(EVENTS)
def test_columns_brought_up_to_date_are_those_made_anew(events):
    record, added = Record(), 0
    for what, count in events:
        if what == "add":
            for sample in HISTORY[added : added + count]:
                record.add(sample)
            added = min(len(HISTORY), added + count)
        elif what == "late" and added:
            added = max(0, added - count)
            record.drop_from(HISTORY[added].at_s)
        elif what == "leave" and record.samples:
            at = min(count, len(record.samples)) - 1
            record.take_before(record.samples[at].at_s)
        else:
            assert same(record.columns, Columns.of(record.samples))
    assert same(record.columns, Columns.of(record.samples))


@given(st.integers(1, 58), st.booleans())
def test_what_is_known_before_an_instant(end, looked_at):
    record = Record(HISTORY)
    if looked_at:
        assert len(record.columns) == len(HISTORY)
    known = record.until(HISTORY[end].at_s)

    assert known.samples == tuple(HISTORY[:end])
    assert same(known.columns, Columns.of(HISTORY[:end]))


@given(st.integers(1, 58))
def test_an_older_past_is_put_before(first):
    record = Record(HISTORY[first:])
    assert len(record.columns) == len(HISTORY) - first
    record.merge(HISTORY[:first])
    anew = Columns.of(HISTORY)

    assert record.samples == HISTORY
    assert record.columns.by_instant[:18].tobytes() == anew.by_instant[:18].tobytes()


def test_what_is_known_of_an_instant_stays():
    record = Record(HISTORY[10:20])
    record.merge(HISTORY[5:15])

    assert record.samples == HISTORY[5:20]
    assert same(record.columns, Columns.of(HISTORY[5:20]))


@given(st.integers(0, 59), st.integers(0, 59))
def test_a_part_of_a_past_knows_nothing_of_the_rest(one, other):
    first, end = sorted((one, other))

    assert same(Columns.of(HISTORY).between(first, end), Columns.of(HISTORY[first:end]))
