"""What a source keeps is what making it anew would give, whatever came when."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from scaler.decision.facts.columns import Columns, matrices_of
from scaler.decision.facts.matrices import Matrices
from scaler.decision.facts.packed import MOST_LOOSE, Packed, Resting, Rows
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


def same(one: Columns | Matrices, other: Columns) -> bool:
    pairs = (
        (one.by_instant, other.by_instant),
        (one.by_reading, other.by_reading),
        (one.by_queue, other.by_queue),
    )
    return all(a.tobytes() == b.tobytes() and a.shape == b.shape for a, b in pairs)


@given(EVENTS, st.booleans())
def test_columns_brought_up_to_date_are_those_made_anew(events, packs):
    record, added = Record(packs=packs), 0
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
            known = record.until(math.inf)
            assert same(known.columns, Columns.of(record.samples))
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


NUMBERS = (
    st.floats(allow_nan=False, width=64)
    | st.integers(-70_000, 70_000).map(lambda doubled: doubled / 2)
    | st.sampled_from([math.nan, 0.0, -0.0, math.inf, -16_384.0, 1e-8, 2.0**24 + 1])
)


@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=0), elements=NUMBERS))
def test_packed_numbers_are_the_same_to_the_bit(matrix):
    none = matrix[:, :0]

    assert Rows.of(matrix).before(none).tobytes() == matrix.tobytes()


def test_columns_at_rest_need_less_than_half_of_the_room():
    columns = Columns.of(HISTORY)
    whole = columns.by_instant.nbytes + columns.by_reading.nbytes + columns.by_queue.nbytes

    packed = Packed.of(columns.matrices)

    assert same(packed.before(Columns.of(()).matrices, 0), columns)
    assert packed.nbytes < 0.5 * whole


def test_all_but_the_newest_few_are_packed():
    kept = Resting.of(Columns.of(HISTORY[:20]), packs=True)
    for at in range(20, 50):
        kept = kept.followed_by(matrices_of(HISTORY[at : at + 1], HISTORY[:at]))
        kept = kept.between(1, len(kept))

        assert kept.newest.by_instant.shape[1] <= MOST_LOOSE

    assert same(kept.columns, Columns.of(HISTORY[30:50]))
