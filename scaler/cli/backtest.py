"""``kvtide backtest``: what recorded load would have asked for, against what ran."""

import pathlib
from typing import Annotated

import typer

from .flags import Config, Json, Prometheus, Since, Until
from .output import show


def backtest(
    *,
    scaled_object: Annotated[
        list[pathlib.Path], typer.Option(help="ScaledObjects, of a pool all.", metavar="FILE")
    ],
    prometheus: Prometheus = None,
    since: Since = "7d",
    until: Until = None,
    every: Annotated[str, typer.Option(help="Between polls.", metavar="DURATION")] = "15s",
    output: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder for report.html, result.json, moments.csv.", metavar="DIR"),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """
    Decide again on recorded load, poll by poll, beside what ran: 0 done, 1 without one decision.

    Decisions only: what is read is what was, whatever would have been answered.

    Example: kvtide backtest --prometheus http://localhost:9090 --scaled-object chat.yaml --since 7d
    """
    from rich.console import Console

    from .backtesting import Asked, backtested

    asked = Asked(
        files=tuple(scaled_object),
        prometheus=prometheus,
        config=config,
        since=since,
        until=until,
        every=every,
    )
    result, table = backtested(asked, output=output)
    if as_json:
        show(result)
    else:
        Console().print(table)
    decided = any(one["hours_decided"] for one in result["objects"].values())
    raise typer.Exit(0 if decided else 1)
