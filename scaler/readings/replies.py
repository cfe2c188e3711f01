"""
What a server that speaks Prometheus' query API replied, read strictly: rows, or what is wrong.

A reply is written by others: whatever is in it, the outcome is rows of text labels and finite
numbers, or a SourceError of one line.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scaler.errors import SourceError
from scaler.said import Said

from . import native
from .decoding import TooManyRowsError, decoded
from .series import Point

Row = tuple[Mapping[str, str], Sequence[Point]]
"""Labels, ``__name__`` among them where the query keeps it, and points in time order."""


_REFUSED = (400, 413, 422)
"""What Prometheus and those like it answer to a query that is wrong, too long or too much."""


_TOO_MUCH = (
    "too many samples",  # Prometheus: --query.max-samples
    "-search.maxsamplesper",  # VictoriaMetrics
    "not enough memory for processing",
    "err-mimir-max-",
    "hit the max number of chunks",  # Cortex
    "hit the aggregated",
    "exceeded chunks limit",  # store gateways of Thanos, Cortex and Mimir
    "exceeded samples limit",
)
"""What servers say, in small letters, where a query would touch more than they may load."""

_TOO_MANY_SERIES = (
    "number of matching timeseries exceeds",  # VictoriaMetrics: -search.maxUniqueTimeseries
    "too long query",  # VictoriaMetrics: -search.maxQueryLen
    "err-mimir-max-series-per-query",
    "hit the max number of series",  # Cortex
    "exceeded series limit",
)
"""The same of what is not less in a shorter time."""


class TooManySeriesError(SourceError):
    """A reply of kind ``limit`` that asking about less time would not make smaller."""

    def __init__(self, detail: str, *, of_the_server: bool = False) -> None:
        super().__init__("limit", detail, of_the_query=True)
        self.of_the_server = of_the_server
        """The limit is the server's, and the detail its words."""


class PartialAnswerError(SourceError):
    """An answer, of kind ``partial``, that says it may lack some of what was asked for."""

    def __init__(self, detail: str, rows: list[Row]) -> None:
        super().__init__("partial", detail)
        self.rows = rows
        """What it does have."""


def answer_of(body: bytes, *, most: int) -> tuple[list[Row], str]:
    """
    Return the rows of an answer, and what it says that it lacks (empty: nothing).

    Raises:
        TooManySeriesError: more than ``most``.
        SourceError: of kind ``format``: it is not of Prometheus' shape.
        ValueError, LookupError, TypeError, RecursionError: it is no answer at all.
    """
    try:
        document = decoded(body, most)
    except TooManyRowsError as error:
        raise _too_many(error.count, most) from None
    return rows_of(document["data"]["result"], most=most), lacking(document)


def rows_of(result: object, *, most: int) -> list[Row]:
    """
    Return the rows of ``data.result``: a vector's (one ``value``) or a range vector's (``values``).

    Values that are no numbers (NaN, infinities) are left out: they are missing readings.

    Raises:
        TooManySeriesError: more than ``most``.
        SourceError: of kind ``format``: it is not of Prometheus' shape.
    """
    if not isinstance(result, list):
        raise _odd(Said("its result is {kind}, not a list", kind=_kind(result)))
    if len(result) > most:
        raise _too_many(len(result), most)
    return [row for number, one in enumerate(result, start=1) for row in _rows(number, one)]


def _too_many(count: int, most: int) -> TooManySeriesError:
    return TooManySeriesError(
        Said("{count} series, more than maxSeries ({most})", count=count, most=most)
    )


def refusal_of(status: int, body: bytes, otherwise: str) -> SourceError:
    """Return the error of a status other than 200, with what the server says about it."""
    try:
        said = " ".join(str(json.loads(body)["error"]).split())
    except (ValueError, KeyError, TypeError, RecursionError):
        said = otherwise
    detail = Said("answered {status}: {said}", status=status, said=said)
    lower = said.lower()
    if any(words in lower for words in _TOO_MANY_SERIES):
        return TooManySeriesError(detail, of_the_server=True)
    if any(words in lower for words in _TOO_MUCH):
        return SourceError("limit", detail, of_the_query=True)
    return SourceError("http", detail, of_the_query=status in _REFUSED)


def lacking(document: Mapping[str, Any]) -> str:
    """
    Return what an answer says of what it lacks; empty: nothing.

    Thanos and others warn so when a store is missing; a cluster of VictoriaMetrics has a field.
    """
    warnings = document.get("warnings") or (document.get("isPartial") and "isPartial is true")
    return Said("the answer is incomplete: {warnings}", warnings=str(warnings)) if warnings else ""


def _rows(number: int, one: object) -> Iterator[Row]:
    """Yield what a row tells: itself, or the classic series of a native histogram."""
    if not isinstance(one, dict):
        raise _odd(
            Said("row {number} is {kind}, not labels with values", number=number, kind=_kind(one))
        )
    labels = one.get("metric")
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise _odd(Said("row {number} has no metric whose labels are texts", number=number))
    try:
        told = list(native.classic(labels, one)) if native.is_native(one) else []
        if "values" in one or not told:
            written: Any = one["values"] if "values" in one else [one.get("value")]
            told.append((labels, [(float(at_s), float(value)) for at_s, value in written]))
    except (TypeError, ValueError, KeyError, IndexError, OverflowError, AttributeError):
        raise _odd(
            Said("row {number} has values that are no pairs of time and number", number=number)
        ) from None
    for of, points in told:
        if not all(math.isfinite(at_s) for at_s, _ in points):
            raise _odd(Said("row {number} has a time that is no number", number=number))
        yield of, [point for point in points if math.isfinite(point[1])]


def _odd(what: str) -> SourceError:
    return SourceError("format", not_in_format(what))


def not_in_format(what: str) -> Said:
    """Return the sentence on a reply that no Prometheus would give."""
    return Said("not an answer in Prometheus' format: {what}", what=what)


def _kind(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return "null" if value is None else f"a {type(value).__name__}"
