"""``kvtide tune``: a recorded load against a grid of settings."""

import pathlib
from typing import Annotated

import typer

from scaler.errors import ConfigurationError, Problem

from .flags import (
    Config,
    Engine,
    Gpus,
    Json,
    KvTokens,
    Latency,
    MaxNumSeqs,
    Part,
    Prometheus,
    Scale,
    Seed,
    Since,
    SpeedUp,
    Until,
    WarmUp,
)
from .output import show

_SINCE, _COLD_START_S = "7d", 60.0


def tune(  # noqa: PLR0913 -- one option per thing a person may change
    *,
    scaled_object: Annotated[
        pathlib.Path, typer.Option(help="The ScaledObject with today's settings.", metavar="FILE")
    ],
    trace: Annotated[
        pathlib.Path | None,
        typer.Option(help="Requests or rates, instead of what was recorded.", metavar="FILE"),
    ] = None,
    prometheus: Prometheus = None,
    since: Since = _SINCE,
    until: Until = None,
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
    ray: Annotated[
        str | None,
        typer.Option(help="Play on a Ray cluster, or local.", metavar="ADDRESS"),
    ] = None,
    seed: Seed = 1,
    speed_up: SpeedUp = 1.0,
    scale: Scale = 1.0,
    part: Part = None,
    warm_up: WarmUp = 0.0,
    gpus: Gpus = 40,
    cold_start: Annotated[
        float | None,
        typer.Option(help="Seconds; default: as was recorded, else 60.", min=0, max=7200),
    ] = None,
    engine: Engine = "8b-h100",
    latency: Latency = None,
    kv_tokens: KvTokens = None,
    max_num_seqs: MaxNumSeqs = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """
    Play a load against a grid of settings: what each serves in time, what it costs, which to paste.

    The load is what Prometheus recorded, or a trace. Exits 1 where no setting reaches --slo.

    Example: kvtide tune --scaled-object chat.yaml --prometheus http://localhost:9090 --since 3d
    """
    from rich.console import Console

    from scaler.wiring.grid import in_processes, on_ray

    from .recorded import Recorded
    from .staging import Asked
    from .tuning import tuned

    if trace is not None and (prometheus, since, until) != (None, _SINCE, None):
        got = "play either a trace or what Prometheus recorded, not both"
        raise ConfigurationError(Problem(field="--trace", got=got))
    recorded = Recorded(
        prometheus=prometheus,
        since=since,
        until=until,
        cold_start_stated=cold_start is not None,
    )
    asked = Asked(
        policies=(str(scaled_object),),
        training=None,
        seed=seed,
        speed_up=speed_up,
        scale=scale,
        slice=part,
        warm_up_s=warm_up,
        gpus=gpus,
        cold_start_s=_COLD_START_S if cold_start is None else cold_start,
        engine=engine,
        latency=latency,
        kv_tokens=kv_tokens,
        max_num_seqs=max_num_seqs,
        config=config,
        clairvoyant=False,
    )
    result, table = tuned(
        asked,
        load=trace or recorded,
        vary=vary or (),
        slo=slo,
        player=in_processes(processes) if ray is None else on_ray(ray),
        output=output,
    )
    if as_json:
        show(result)
    else:
        Console().print(table)
    raise typer.Exit(0 if result["paste"] is not None else 1)
