"""``kvtide simulate``: policies side by side on a trace, in simulated time."""

import pathlib
from typing import Annotated

import typer

from .flags import (
    ColdStart,
    Config,
    Engine,
    Gpus,
    Json,
    KvTokens,
    Latency,
    MaxNumSeqs,
    Part,
    Scale,
    Seed,
    SpeedUp,
    WarmUp,
)
from .output import show


def simulate(  # noqa: PLR0913 -- one option per thing a person may change
    *,
    trace: Annotated[pathlib.Path, typer.Option(help="Requests or rates.", metavar="FILE")],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="ScaledObjects, or a name such as keda-queue or keda-queue=5.",
            metavar="FILE|NAME",
        ),
    ] = None,
    training: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="ScaledObject with role: training; it borrows what the fleet leaves idle.",
            metavar="FILE",
        ),
    ] = None,
    output: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder for report.html, result.json, moments.csv.", metavar="DIR"),
    ] = None,
    seed: Seed = 1,
    speed_up: SpeedUp = 1.0,
    scale: Scale = 1.0,
    part: Part = None,
    warm_up: WarmUp = 0.0,
    gpus: Gpus = 40,
    cold_start: ColdStart = 60.0,
    engine: Engine = "8b-h100",
    latency: Latency = None,
    kv_tokens: KvTokens = None,
    max_num_seqs: MaxNumSeqs = None,
    clairvoyant: Annotated[
        bool, typer.Option("--oracle/--no-oracle", help="Find oracle_gpu_hours.")
    ] = True,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """
    Play a trace against policies, side by side, in simulated time.

    Replicas are an 8B model on an H100 each, or as --engine, --latency and --kv-tokens say.

    Example: kvtide simulate --trace azure2023_conv.csv.gz --scale 5 --policy kvtide
    """
    from rich.console import Console

    from .simulation import played
    from .staging import Asked

    asked = Asked(
        policies=tuple(policy or ()),
        training=training,
        seed=seed,
        speed_up=speed_up,
        scale=scale,
        slice=part,
        warm_up_s=warm_up,
        gpus=gpus,
        cold_start_s=cold_start,
        engine=engine,
        latency=latency,
        kv_tokens=kv_tokens,
        max_num_seqs=max_num_seqs,
        config=config,
        clairvoyant=clairvoyant,
    )
    result, tables = played(asked, trace, output=output)
    if as_json:
        show(result)
    else:
        Console().print(tables)
