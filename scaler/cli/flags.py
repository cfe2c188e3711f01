"""Flags that several commands have, and how their values are read."""

import math
import pathlib
import re
import tempfile
from typing import Annotated

import typer

from scaler.errors import ConfigurationError, Problem

Config = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Configuration: Prometheus servers, pools, engines, gateways.", metavar="FILE"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Prometheus = Annotated[
    str | None, typer.Option(help="Its Prometheus, where no --config names one.", metavar="URL")
]
Since = Annotated[str, typer.Option(help="How far back, or from when on.", metavar="7d|12h|TIME")]
Until = Annotated[
    str | None, typer.Option(help="Such as 2026-09-30T12:00:00Z; default: now.", metavar="TIME")
]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]

# What a trace is played on: the same flags to `simulate` and `tune`.
SpeedUp = Annotated[float, typer.Option(help="Times as fast.", min=0.01, max=1000)]
Scale = Annotated[float, typer.Option(help="Times as many.", min=0.001, max=10_000)]
Part = Annotated[str | None, typer.Option("--slice", help="Seconds of the trace.", metavar="A:B")]
WarmUp = Annotated[
    float,
    typer.Option(help="Seconds of the trace's end that precede it, not scored.", min=0),
]
Gpus = Annotated[int, typer.Option(help="Most replicas.", min=1, max=1000)]
ColdStart = Annotated[float, typer.Option(help="Seconds.", min=0, max=7200)]
Engine = Annotated[
    str, typer.Option(help="Model and GPU of a replica, such as 8b-l40s.", metavar="NAME")
]
Latency = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Measured steps of a replica: CSV of batch, prompt_tokens, latency_s.",
        metavar="FILE",
    ),
]
KvTokens = Annotated[int | None, typer.Option(help="KV cache of a replica, in tokens.", min=16)]
MaxNumSeqs = Annotated[
    int | None, typer.Option(help="Most requests that a replica runs at once.", min=1)
]


_DAYS = re.compile(r"(\d+(?:\.\d+)?)([dw])")
_DAY_S = {"d": 86_400.0, "w": 7 * 86_400.0}


def span_s(since: str, until: str | None, now_s: float) -> tuple[float, float]:
    """
    Read --since and --until: from one Unix time to another.

    Raises:
        ConfigurationError: one of them is none.
    """
    until_s = now_s if until is None else instant_s("--until", until)
    since_s = _since_s(since, until_s)
    if not 0 <= since_s < until_s:
        allowed = "a time after 1970, and before the end"
        raise ConfigurationError(Problem(field="--since", got=repr(since), allowed=allowed))
    return since_s, until_s


def _since_s(text: str, until_s: float) -> float:
    from scaler.documents.forms import read_instant

    if days := _DAYS.fullmatch(text):
        return until_s - float(days[1]) * _DAY_S[days[2]]
    try:
        return read_instant(text)
    except ValueError:
        return until_s - duration_s("--since", text)


def instant_s(flag: str, text: str) -> float:
    """
    Read a Unix time, or one such as 2026-09-30T12:00:00Z.

    Raises:
        ConfigurationError: it is none; ``flag`` is what the message calls it.
    """
    from scaler.documents.forms import read_instant

    try:
        return read_instant(text)
    except ValueError as error:
        allowed = "a time such as 2026-09-30T12:00:00Z, or Unix seconds"
        raise ConfigurationError(Problem(field=flag, got=repr(text), allowed=allowed)) from error


def duration_s(flag: str, text: str, *, least_s: float = 0.0, most_s: float = math.inf) -> float:
    """
    Read a duration such as 90s, within its bounds.

    Raises:
        ConfigurationError: it is none; ``flag`` is what the message calls it.
    """
    from scaler.documents.forms import DURATIONS

    allowed = DURATIONS.allowed
    if most_s < math.inf:
        allowed += f", {DURATIONS.write(least_s)} to {DURATIONS.write(most_s)}"
    try:
        value = float(DURATIONS.read(text))
    except ValueError:
        value = math.nan
    if not least_s <= value <= most_s:
        raise ConfigurationError(Problem(field=flag, got=repr(text), allowed=allowed))
    return value


def as_flag(problem: Problem) -> Problem:
    """Return a problem with its fields, names of parameters, as the flags that were typed."""
    return problem.renamed(_flag)


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-") if field.isidentifier() else field


def output_folder(path: pathlib.Path | None) -> None:
    """
    Make the folder that results go to, before the work begins rather than after it.

    Raises:
        ConfigurationError: nothing can be written there.
    """
    if path is None:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        got = f"{path} cannot be written to: {error.strerror}"
        raise ConfigurationError(Problem(field="--output", got=got)) from error
