"""``kvtide demo``: the whole loop on this machine."""

import asyncio
import pathlib
from typing import Annotated

import typer

from .flags import Json, Seed, duration_s
from .output import show


def demo(  # noqa: PLR0913 -- one flag per setting
    *,
    trace: Annotated[
        pathlib.Path | None,
        typer.Option(help="Requests or rates to replay, at their own pace.", metavar="FILE"),
    ] = None,
    duration: Annotated[str, typer.Option(help="How long to watch.")] = "3m",
    speed: Annotated[float, typer.Option(help="How much faster than real time.")] = 10.0,
    scale: Annotated[
        float | None, typer.Option(help="Times as many requests as the trace has.")
    ] = None,
    prometheus: Annotated[
        str,
        typer.Option(help="auto (where its binary is found), embedded, or a server's address."),
    ] = "auto",
    seed: Seed = 1,
    report: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Where the HTML report of the day remains; else in a temporary folder.",
            metavar="FILE",
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the status page.")] = False,
    as_json: Json = False,
) -> None:
    """
    Run the whole loop on this machine: no cluster, no Docker; real HTTP and gRPC over loopback.

    Example: kvtide demo --trace azure2023_code.csv.gz --duration 5m
    """
    from scaler.lab.demo import DemoOptions
    from scaler.wiring.demo import demo as play

    options = DemoOptions(
        trace=trace,
        duration_s=duration_s("--duration", duration),
        speed=speed,
        scale=scale,
        seed=seed,
        prometheus=prometheus,
    )
    result = asyncio.run(play(options, report=report, open_page=open_page, for_json=as_json))
    if as_json:
        show(result)
