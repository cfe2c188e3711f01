"""
What a server that speaks Prometheus' query API replied, read strictly: rows, or what is wrong.

A reply is written by others: whatever is in it, the outcome is rows of text labels and finite
numbers, or a SourceError of one line.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from scaler.errors import SourceError

from .series import Point

Row = tuple[Mapping[str, str], Sequence[Point]]
"""Labels, ``__name__`` among them where the query keeps it, and points in time order."""


_REFUSED = (400, 413, 422)
"""What Prometheus and those like it answer to a query that is wrong, too long or too much."""


class TooManySeriesError(SourceError):
    """A reply of kind ``limit`` that asking about less time would not make smaller."""

    def __init__(self, detail: str) -> None:
        super().__init__("limit", detail, of_the_query=True)


def rows_of(result: object, *, most: int) -> list[Row]:
    """
    Return the rows of ``data.result``: a vector's (one ``value``) or a range vector's (``values``).

    Values that are no numbers (NaN, infinities) are left out: they are missing readings.

    Raises:
        TooManySeriesError: more than ``most``.
        SourceError: of kind ``format``: it is not of Prometheus' shape.
    """
    if not isinstance(result, list):
        raise _odd(f"its result is {_kind(result)}, not a list")
    if len(result) > most:
        raise TooManySeriesError(f"{len(result)} series, more than maxSeries ({most})")
    return [_row(number, one) for number, one in enumerate(result, start=1)]


def refusal_of(status: int, body: bytes, otherwise: str) -> SourceError:
    """Return the error of a status other than 200, with what the server says about it."""
    try:
        said = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = otherwise
    # Prometheus refuses with 422 what would load more than --query.max-samples.
    kind = "limit" if "too many samples" in said else "http"
    refused = kind == "limit" or status in _REFUSED
    return SourceError(kind, f"answered {status}: {said}", of_the_query=refused)


def refuse_partial(body: bytes) -> None:
    """Raise if an answer has warnings: Thanos and others answer so when a store is missing."""
    if b'"warnings"' not in body:
        return
    try:
        warnings = json.loads(body).get("warnings")
    except (ValueError, AttributeError, RecursionError):
        return  # no Prometheus' format at all, which the client finds out
    if warnings:
        raise SourceError("partial", f"the answer is incomplete: {warnings}")


def _row(number: int, one: object) -> Row:
    if not isinstance(one, dict):
        raise _odd(f"row {number} is {_kind(one)}, not labels with values")
    labels = one.get("metric")
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise _odd(f"row {number} has no metric whose labels are texts")
    written: Any = one["values"] if "values" in one else [one.get("value")]
    try:
        points = [(float(at_s), float(value)) for at_s, value in written]
    except (TypeError, ValueError, OverflowError):
        raise _odd(f"row {number} has values that are no pairs of time and number") from None
    if not all(math.isfinite(at_s) for at_s, _ in points):
        raise _odd(f"row {number} has a time that is no number")
    return labels, [point for point in points if math.isfinite(point[1])]


def _odd(what: str) -> SourceError:
    return SourceError("format", f"not an answer in Prometheus' format: {what}")


def _kind(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return "null" if value is None else f"a {type(value).__name__}"
