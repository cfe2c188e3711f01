"""
Windows on file: what was known of a workload, so that a decision can be made again.

JSON lines: the first says what the window is of, each further one is a sample, oldest first. What
is not reported is left out, so a line is as long as what is known. Reading back gives an equal
window.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from scaler.capacity.histogram import Histogram
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Lengths, ScaleBounds, Window
from scaler.errors import ConfigurationError, Problem

from .plausible import is_reading, within_unit

FORMAT = "kvtide-recording"
VERSION = 1

_NESTED = (Replica, Sample, Histogram, Lengths, ScaleBounds)


def written(window: Window, *, workload: str) -> Iterator[str]:
    """Yield the lines of a window; ``workload`` is its ``namespace/scaledobject``."""
    about = {
        "format": FORMAT,
        "version": VERSION,
        "workload": workload,
        "interval_s": window.interval_s,
        "history": len(window.history),
        "startup_s": list(window.startup_s),
        "lengths": _plain(window.lengths),
        "bounds": _plain(window.bounds),
        "allocates_up_front": window.allocates_up_front,
    }
    yield json.dumps(about)
    for sample in (*window.history, *window.samples):
        yield json.dumps(_plain(sample))


def recorded(lines: Iterable[str], *, origin: str = "recording") -> tuple[str, Window]:
    """
    Return the workload and the window that lines were written of.

    Raises:
        ConfigurationError: a line that is none of a recording's, by its number.
    """
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    number, head = next(numbered, (1, ""))
    about = _parsed(head, origin, number)
    if about.get("format") != FORMAT or about.get("version") != VERSION:
        raise _wrong(origin, number, head, f"a line with format {FORMAT}, version {VERSION}")
    samples = [_sample(_parsed(line, origin, at), origin, at) for at, line in numbered]
    try:
        past = int(about["history"])
        window = Window(
            samples=tuple(samples[past:]),
            history=tuple(samples[:past]),
            interval_s=float(about["interval_s"]),
            startup_s=tuple(map(float, about["startup_s"])),
            lengths=Lengths(**{w: _histogram(found) for w, found in about["lengths"].items()}),
            bounds=ScaleBounds(**about["bounds"]),
            allocates_up_front=bool(about["allocates_up_front"]),
        )
        return str(about["workload"]), window
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise _wrong(origin, number, str(error), "what kvtide wrote, whole") from error


def _sample(plain: dict[str, Any], origin: str, number: int) -> Sample:
    try:
        replicas = tuple(Replica(**_checked(one)) for one in plain.pop("replicas", ()))
        return Sample(replicas=replicas, **_checked(plain))
    except (AttributeError, TypeError, ValueError) as error:
        raise _wrong(origin, number, str(error), "a sample that kvtide wrote") from error


def _checked(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a replica or a sample; all but a name are readings of their units."""
    numbers = {field: value for field, value in plain.items() if field != "name"}
    for field, value in numbers.items():
        if not isinstance(value, int | float) or not is_reading(value):
            raise ValueError(f"{field} is {value!r}")
    if beyond := numbers.keys() - within_unit(numbers).keys():
        raise ValueError(f"{min(beyond)} is more than it can be")
    if not isinstance(plain.get("name", ""), str):
        raise ValueError("its name is no text")  # noqa: TRY004 -- as for every other field
    return plain


def _histogram(plain: dict[str, Any]) -> Histogram:
    return Histogram(
        upper=tuple(map(float, plain["upper"])), counts=tuple(map(float, plain["counts"]))
    )


def _parsed(line: str, origin: str, number: int) -> dict[str, Any]:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise _wrong(origin, number, line, "one JSON object a line")
    return plain


def _wrong(origin: str, number: int, got: str, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        Problem(field=f"{origin}, line {number}", got=got[:80] or "nothing", allowed=allowed)
    )


def _plain(value: object) -> object:
    """Return a value as JSON has it; fields that say nothing are left out."""
    if isinstance(value, _NESTED):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {
            field.name: _plain(found)
            for field, found in fields
            if found != field.default and not (isinstance(found, tuple) and not found)
        }
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return "+Inf" if value == math.inf else value
