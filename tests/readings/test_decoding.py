"""A long reply reads as the standard library reads it, whatever is in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.readings import decoding
from scaler.readings.decoding import decoded

FILLING = " " * decoding.AT_ONCE_BYTES
ROW = {"metric": {"a": 'x"result":[y', "b": "{[,"}, "values": [[1.5, "1"], [2.5, "NaN"]]}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def written(document: object, separators: tuple[str, str] = (",", ":")) -> bytes:
    return json.dumps(document, separators=separators).encode() + FILLING.encode()


@pytest.mark.parametrize(
    "document",
    [
        {"status": "success", "data": {"resultType": "matrix", "result": [ROW] * 3}},
        {"data": {"result": []}, "warnings": ["w"]},
        {"data": {"result": [ROW, 5, ROW]}},
        {"data": {"result": [[ROW]]}},
        {"result": [ROW], "data": {"result": [ROW, ROW]}},
        {"data": [{"result": [ROW]}]},
        [{"result": [ROW]}],
        {"error": "none"},
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_reply_is_what_the_standard_library_says(document, separators):
    assert decoded(written(document, separators=separators)) == document


@given(st.lists(values), values)
def test_whatever_the_rows_are(rows, beside):
    document = {"before": beside, "data": {"result": rows}, "after": beside}
    assert decoded(written(document)) == document


@given(st.data())
def test_what_is_cut_off_or_changed_is_no_more_json_than_before(data):
    body = written({"data": {"result": [ROW] * 3}})
    at = data.draw(st.integers(0, 200))
    cut = body[:at] + data.draw(st.binary(max_size=3)) + body[at + 1 :]
    try:
        expected = json.loads(cut)
    except ValueError:
        with pytest.raises(ValueError):
            decoded(cut)
    else:
        assert decoded(cut) == expected


def test_rows_beyond_the_most_are_counted_and_not_made():
    body = written({"data": {"result": [ROW] * 5}})
    assert len(decoded(body, 5)["data"]["result"]) == 5
    with pytest.raises(decoding.TooManyRowsError, match="^5 rows$"):
        decoded(body, 2)
