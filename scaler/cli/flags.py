"""Flags that several commands have, and how their values are read."""

import pathlib
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


def duration_s(flag: str, text: str) -> float:
    """
    Read a duration such as 90s.

    Raises:
        ConfigurationError: it is none; ``flag`` is what the message calls it.
    """
    from scaler.sources.documents.forms import DURATIONS

    try:
        return float(DURATIONS.read(text))
    except ValueError:
        problem = Problem(field=flag, got=repr(text), allowed=DURATIONS.allowed)
        raise ConfigurationError(problem) from None
