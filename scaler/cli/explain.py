"""``kvtide explain``: why this many replicas."""

import pathlib
from typing import Annotated

import typer

from .flags import Config, Json
from .output import show


def explain(
    key: Annotated[
        str | None,
        typer.Argument(
            help="The ScaledObject; may be left out where there is one alone.",
            metavar="NAMESPACE/NAME",
        ),
    ] = None,
    *,
    server: Annotated[
        str,
        typer.Option(help="HTTP address of kvtide serve.", metavar="URL", envvar="KVTIDE_SERVER"),
    ] = "http://localhost:8080",
    scaled_object: Annotated[
        list[pathlib.Path] | None,
        typer.Option(help="Decide here, on the ScaledObjects of FILE.", metavar="FILE"),
    ] = None,
    prometheus: Annotated[
        str | None, typer.Option(help="Its Prometheus, where no --config names one.", metavar="URL")
    ] = None,
    config: Config = None,
    at: Annotated[
        str | None, typer.Option(help="As of 2026-09-30T12:00:00Z; default: now.", metavar="TIME")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Say why this many replicas: 0 decided, 1 without a decision (no data, wrong metadata).

    Asks a server for its last answer, or decides on the ScaledObjects of files as it would.

    Example: kvtide explain llm/chat --server http://localhost:8080

    Example: kvtide explain --scaled-object chat.yaml --prometheus http://localhost:9090
    """
    from scaler.report.decision_text import answer_text

    from .explanation import decided_here, told_by

    if scaled_object:
        answer = decided_here(scaled_object, key, prometheus=prometheus, config=config, at=at)
    else:
        answer = told_by(server, key, prometheus=prometheus, config=config, at=at)
    show(answer if as_json else answer_text(answer))
    raise typer.Exit(1 if answer["decision"] is None else 0)
