"""Flags that several commands have, and how their values are read."""

import math
import pathlib
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
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]


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
        got = f"{path} ({error.strerror})"
        allowed = "a folder that can be written to"
        raise ConfigurationError(Problem(field="--output", got=got, allowed=allowed)) from error
