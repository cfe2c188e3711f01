"""``kvtide tune``: a recorded load against a grid of settings."""

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


def tune(  # noqa: PLR0913 -- one option per thing a person may change
    *,
    trace: Annotated[pathlib.Path, typer.Option(help="Requests or rates.", metavar="FILE")],
    scaled_object: Annotated[
        pathlib.Path, typer.Option(help="The ScaledObject with today's settings.", metavar="FILE")
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="A key and its values, such as targetUtilization=0.7,0.8.", metavar="KEY=A,B"
        ),
    ] = None,
    slo: Annotated[float, typer.Option(help="Share to serve in time.", min=0.5, max=1)] = 0.99,
    output: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder for report.html and result.json.", metavar="DIR"),
    ] = None,
    processes: Annotated[int, typer.Option(help="At a time; 0: one a core.", min=0, max=256)] = 0,
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
    config: Config = None,
    as_json: Json = False,
) -> None:
    """
    Play a load against a grid of settings: what each serves in time, what it costs, which to paste.

    Exits 1 where no setting of the grid reaches --slo.

    Example: kvtide tune --trace week.csv.gz --scaled-object chat.yaml --gpus 16
    """
    from rich.console import Console

    from .staging import Asked
    from .tuning import tuned

    asked = Asked(
        trace=trace,
        policies=(str(scaled_object),),
        training=None,
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
        clairvoyant=False,
    )
    result, table = tuned(asked, vary=vary or (), slo=slo, processes=processes, output=output)
    if as_json:
        show(result)
    else:
        Console().print(table)
    raise typer.Exit(0 if result["paste"] is not None else 1)
