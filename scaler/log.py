"""The log: one line per record on stderr, without secrets, and not without end."""

import abc
import json
import logging
import time
from collections.abc import Callable, Mapping

_MOST_KINDS = 1000
_LONGEST_KIND = 200


class _Lines(logging.Formatter, abc.ABC):
    """One line per record, without what ``redacted`` takes out of it."""

    def __init__(self, redacted: Callable[[str], str] = str) -> None:
        super().__init__()
        self._redacted = redacted

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback becomes one field of it."""
        return self._redacted(self.line(_fields(record, self.formatException)))

    @abc.abstractmethod
    def line(self, fields: Mapping[str, object]) -> str:
        """Return the line for a record's fields."""


class JsonLines(_Lines):
    """One JSON object per line: time, level, logger, message and the fields of the record."""

    def line(self, fields: Mapping[str, object]) -> str:
        """Return the object."""
        return json.dumps(fields, default=str, ensure_ascii=False)


class LogFmt(_Lines):
    """One line of ``key=value`` pairs, for people."""

    def line(self, fields: Mapping[str, object]) -> str:
        """Return the pairs, values quoted where they hold more than one word."""
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def _fields(record: logging.LogRecord, traceback: Callable[..., str]) -> dict[str, object]:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    fields: dict[str, object] = {
        "time": f"{at}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        **getattr(record, "fields", {}),
    }
    if record.exc_info:
        fields["traceback"] = traceback(record.exc_info)
    return fields


def _quoted(value: object) -> str:
    text = "null" if value is None else str(value)
    plain = text and not any(character in text for character in ' "=\n')
    return text if plain else json.dumps(text, ensure_ascii=False)


class NotTooOften(logging.Filter):
    """
    Lets each warning or error through a few times in a while, and then with how many it held back.

    What is told of every object, every connection or every round at once would fill a disk.
    """

    def __init__(self, *, most: int = 20, in_s: float = 60.0) -> None:
        super().__init__()
        self._most, self._in_s = most, in_s
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}
        """By logger and text before its arguments: since when, and how often."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        kind = (record.name, str(record.msg)[:_LONGEST_KIND])
        since_s, count = self._seen.get(kind, (record.created, 0))
        if record.created - since_s >= self._in_s:
            if count > self._most:
                fields = {**getattr(record, "fields", {}), "held_back": count - self._most}
                record.fields = fields
            since_s, count = record.created, 0
        if len(self._seen) >= _MOST_KINDS and kind not in self._seen:
            self._seen.clear()
        self._seen[kind] = since_s, count + 1
        return count < self._most


def log_to_stderr(level: str, form: str, redacted: Callable[[str], str] = str) -> None:
    """
    Write this process' log to stderr, one line per record; ``form`` is json or logfmt.

    ``redacted`` takes secrets out of a line.
    """
    handler = logging.StreamHandler()
    handler.addFilter(NotTooOften())
    handler.setFormatter({"json": JsonLines, "logfmt": LogFmt}[form](redacted))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)  # noqa: FBT003 -- the standard library's signature
