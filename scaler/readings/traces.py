"""
Traces of requests, and of rates, from files: CSV or JSON lines, gzipped or not.

The format is found by the header. Rows are read one at a time, so that a trace of any length takes
constant memory. A trace of rates holds no requests: whoever plays it samples them, and says so.
"""

import csv
import dataclasses
import datetime as dt
import errno
import gzip
import io
import itertools
import json
import math
import pathlib
import statistics
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from scaler.errors import ConfigurationError, Problem

_FORMATS = (
    "arrival_s, prompt_tokens, output_tokens; TIMESTAMP, ContextTokens, GeneratedTokens; "
    "Timestamp, Request tokens, Response tokens; JSON lines with timestamp, input_length, "
    "output_length; or window_start_s with rate_rps or requests_per_min"
)


LONGEST_LINE = 1_000_000
"""Characters of one row."""
LATEST_S = 1e12
"""Unix seconds, or seconds since the first request; later is no time."""
MOST_TOKENS = 1e9
"""Of one prompt or output."""
_LOOKED_AT = 2000
"""Requests that show whether the times of a trace are written in ticks."""
_LEAST_TICK_S = 0.5
"""What is rounded more finely makes no burst that an engine would notice."""


class TraceRequest(NamedTuple):
    """One request: seconds since the first one, and its lengths in tokens."""

    at_s: float
    prompt_tokens: int
    output_tokens: int


class TraceRate(NamedTuple):
    """A mean rate over a span; None: the file does not say."""

    start_s: float
    end_s: float
    per_s: float
    prompt_tokens_mean: float | None
    output_tokens_mean: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A file of requests or of rates; each call reads it anew."""

    path: pathlib.Path
    format: str
    """What it was recognised as."""
    _rows: Callable[[], Iterator[Mapping[str, str]]]
    _reader: "_RequestFormat | None"

    @property
    def is_rates(self) -> bool:
        """Whether requests have to be sampled from it."""
        return self._reader is None

    def requests(self) -> Iterator[TraceRequest]:
        """
        Yield the requests in order of time, the first at zero; those without output are left out.

        Raises:
            ConfigurationError: a row cannot be read, or lies before the one above it.
        """
        if self._reader is None:
            raise TypeError(f"{self.path} is a trace of rates")
        first_s = latest_s = None
        for number, row in enumerate(self._rows(), start=1):
            at_s, prompt_tokens, output_tokens = _read(self.path, number, row, self._reader)
            first_s = at_s if first_s is None else first_s
            if latest_s is not None and at_s < latest_s:
                allowed = f"times in order (the row above is at {latest_s - first_s:g} s)"
                raise _wrong(self.path, number, f"{at_s - first_s:g} s", allowed)
            latest_s = at_s
            if output_tokens > 0:
                yield TraceRequest(at_s - first_s, max(1, prompt_tokens), output_tokens)

    def tick_s(self) -> float:
        """
        Return what the times of its first requests were rounded to, seconds; 0: to nothing coarse.

        Mooncake's are written every three seconds and BurstGPT's every second, so that all that
        came in between stands at one instant: a burst of the file, and of no traffic.
        """
        if self.is_rates:
            return 0.0
        times = [request.at_s for request in itertools.islice(self.requests(), _LOOKED_AT)]
        distinct = sorted(set(times))
        if len(times) < 2 * len(distinct) or len(distinct) < 3:
            return 0.0
        gaps = [after - before for before, after in itertools.pairwise(distinct)]
        tick_s = statistics.median_low(gaps)
        # A clock that ticks may miss a beat, or be some milliseconds late.
        whole = all(abs(gap - round(gap / tick_s) * tick_s) <= 0.01 * tick_s for gap in gaps)
        return round(tick_s, 2) if tick_s >= _LEAST_TICK_S and whole else 0.0

    def rates(self) -> Iterator[TraceRate]:
        """
        Yield the spans in order of time; those without a rate are left out, as missing.

        Raises:
            ConfigurationError: a row cannot be read.
        """
        length_s = None
        rows = enumerate(self._rows(), start=1)
        for (number, row), following in itertools.pairwise(itertools.chain(rows, [(0, None)])):
            if row is None:
                return
            start_s = _number(self.path, number, row, "window_start_s") or 0.0
            if following[1] is not None:
                end_s = _number(self.path, following[0], following[1], "window_start_s")
                length_s = None if end_s is None else end_s - start_s
            per_s = _number(self.path, number, row, "rate_rps")
            if per_s is None:
                per_min = _number(self.path, number, row, "requests_per_min")
                per_s = None if per_min is None else per_min / 60
            if per_s is not None and length_s is not None:
                yield TraceRate(
                    start_s,
                    start_s + length_s,
                    per_s,
                    _number(self.path, number, row, "prompt_tokens_mean"),
                    _number(self.path, number, row, "output_tokens_mean"),
                )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _RequestFormat:
    """Where the three things are that a request is made of."""

    name: str
    time: str
    prompt: str
    output: str
    seconds: Callable[[str], float] = float

    @property
    def columns(self) -> frozenset[str]:
        return frozenset((self.time, self.prompt, self.output))


def _instant(text: str) -> float:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.timestamp()


_REQUEST_FORMATS = (
    _RequestFormat(
        name="requests", time="arrival_s", prompt="prompt_tokens", output="output_tokens"
    ),
    _RequestFormat(
        name="Azure LLM inference",
        time="TIMESTAMP",
        prompt="ContextTokens",
        output="GeneratedTokens",
        seconds=_instant,
    ),
    _RequestFormat(
        name="BurstGPT", time="Timestamp", prompt="Request tokens", output="Response tokens"
    ),
    _RequestFormat(
        name="Mooncake",
        time="timestamp",
        prompt="input_length",
        output="output_length",
        seconds=lambda text: float(text) / 1000,
    ),
)


def open_trace(path: pathlib.Path) -> Trace:
    """
    Recognise a trace.

    Raises:
        ConfigurationError: it cannot be read, or has none of the known formats.
    """

    def rows() -> Iterator[Mapping[str, str]]:
        try:
            with _text(path) as text:
                lines = _lines(path, text)
                yield from _json_rows(path, lines) if _is_json(path) else csv.DictReader(lines)
        except (OSError, UnicodeDecodeError, csv.Error, EOFError, zlib.error) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            if isinstance(error, UnicodeDecodeError):
                reason = "bytes that are not UTF-8"
            raise ConfigurationError(
                Problem(field=str(path), got=reason, allowed="a readable CSV or JSON-lines file")
            ) from error

    first = next(rows(), None)
    # What a row has beyond its header goes by no name.
    columns = frozenset(name for name in first or () if name)
    for known in _REQUEST_FORMATS:
        if known.columns <= columns:
            return Trace(path=path, format=known.name, _rows=rows, _reader=known)
    if "window_start_s" in columns and columns & {"rate_rps", "requests_per_min"}:
        return Trace(path=path, format="rates", _rows=rows, _reader=None)
    got = f"has the columns {', '.join(sorted(columns)[:8])}" if columns else "has no rows"
    raise ConfigurationError(
        Problem(field=str(path), got=f"{got}; a trace has one of these sets: {_FORMATS}")
    )


def _lines(path: pathlib.Path, text: io.TextIOBase) -> Iterator[str]:
    """Yield lines of a length that a request may have: a zipped one may unfold to gigabytes."""
    for number in itertools.count(1):
        line = text.readline(LONGEST_LINE)
        if not line:
            return
        if len(line) == LONGEST_LINE:
            got = "longer than a million characters; a row is one request, or one interval"
            raise _wrong(path, number, got)
        yield line


def _text(path: pathlib.Path) -> io.TextIOBase:
    if not path.is_file() and path.exists():
        raise OSError(errno.EINVAL, "no regular file")
    with path.open("rb") as start:
        zipped = start.read(2) == b"\x1f\x8b"
    if zipped:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _is_json(path: pathlib.Path) -> bool:
    with _text(path) as lines:
        return lines.read(1) == "{"


def _json_rows(path: pathlib.Path, lines: Iterable[str]) -> Iterator[Mapping[str, str]]:
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise _wrong(path, number, line[:40].strip(), "a JSON object")
        yield {key: str(value) for key, value in row.items() if not isinstance(value, list)}


def _read(
    path: pathlib.Path, number: int, row: Mapping[str, str], known: _RequestFormat
) -> tuple[float, int, int]:
    try:
        at_s = known.seconds(row[known.time])
        prompt, output = float(row[known.prompt]), float(row[known.output])
        if abs(at_s) < LATEST_S and max(abs(prompt), abs(output)) < MOST_TOKENS:
            return at_s, int(prompt), int(output)
    except (ValueError, TypeError, KeyError, OverflowError):
        pass
    got = ", ".join(f"{name}={str(row.get(name))[:40]!r}" for name in sorted(known.columns))
    raise _wrong(path, number, got, "a time and two counts of tokens")


def _number(path: pathlib.Path, number: int, row: Mapping[str, str], column: str) -> float | None:
    text = row.get(column)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _wrong(path, number, f"{column}={text[:40]!r}", "a number, or nothing")
    return value


def _wrong(path: pathlib.Path, number: int, got: str, allowed: str = "") -> ConfigurationError:
    return ConfigurationError(Problem(field=f"{path}, row {number}", got=got, allowed=allowed))
