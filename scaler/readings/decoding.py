"""
A long reply, decoded a row at a time.

Python's JSON decoder lets no other thread run before it has done all that it was given: a tenth of
a second for ten megabytes, in which the loop that answers KEDA stands still. Between two rows
others have their turn; and rows beyond those that anybody may read are counted, and not made.
"""

import json
import sys
from typing import Any

AT_ONCE_BYTES = 65_536
"""A shorter reply takes half a millisecond."""
_NEXT_ROW = ',{"metric"'
_ROWS = '"result":['
"""How Prometheus, and those like it, begin the rows; what is not so written is read at once."""
_DATA = '"data":{'
_DECODER = json.JSONDecoder()


class TooManyRowsError(ValueError):
    """More rows than may be read; ``count`` is how many there are."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} rows")
        self.count = count


def decoded(body: bytes, most: int = sys.maxsize) -> Any:  # noqa: ANN401 -- JSON
    """
    Return what ``json.loads`` would.

    Raises:
        TooManyRowsError: a long reply has more than ``most`` rows.
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    if len(body) <= AT_ONCE_BYTES:
        return json.loads(body)
    text = body.decode()
    begin = text.find(_ROWS) + len(_ROWS)
    if begin < len(_ROWS) or _DATA not in text[:begin]:
        return json.loads(text)
    rows, end = _rows(text, begin, most)
    if text[end : end + 1] != "]":
        return json.loads(text)
    document = json.loads(f"{text[:begin]}{text[end:]}")
    found = document.get("data") if isinstance(document, dict) else None
    if not isinstance(found, dict) or found.get("result") != []:
        return json.loads(text)  # these were no rows of an answer
    found["result"] = rows
    return document


def _rows(text: str, begin: int, most: int) -> tuple[list[Any], int]:
    """Return the objects of a list, and where what is no more of them begins."""
    told = text.count(_NEXT_ROW, begin) + 1  # in a text of JSON the quotes would be escaped
    if told > most:
        raise TooManyRowsError(told)
    rows: list[Any] = []
    at = begin
    while text[at : at + 1] == "{":
        row, at = _DECODER.raw_decode(text, at)
        rows.append(row)
        if len(rows) > most:
            raise TooManyRowsError(len(rows) + text.count(_NEXT_ROW, at))
        if text[at : at + 2] != ",{":
            break
        at += 1
    return rows, at
