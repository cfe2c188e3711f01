"""``kvtide mock``: the exporters of a simulated cluster, for the compose stack."""

import asyncio
from typing import Annotated

import typer

from .flags import Seed


def mock(
    *,
    replicas: Annotated[int, typer.Option(help="Replicas that serve at the start.")] = 2,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where to listen; 0: a free port.")] = 9100,
    speed: Annotated[float, typer.Option(help="How much faster than real time.")] = 1.0,
    scaler: Annotated[
        str | None,
        typer.Option(help="An external scaler that KEDA is played for.", metavar="HOST:PORT"),
    ] = None,
    seed: Seed = 1,
) -> None:
    """
    Serve the /metrics pages of a simulated cluster: vLLM, DCGM exporter, kube-state-metrics.

    Prometheus finds them by HTTP service discovery at /sd/engines, /sd/dcgm and
    /sd/kube-state-metrics. With --scaler, KEDA and the HPA are played for the scaler there.

    Example: kvtide mock --host 0.0.0.0 --scaler scaler:6000
    """
    from scaler.lab.mock import MockOptions
    from scaler.log import log_to_stderr
    from scaler.wiring.demo import mock as serve_pages

    log_to_stderr("info", "logfmt")
    asyncio.run(
        serve_pages(
            MockOptions(
                replicas=replicas, host=host, port=port, speed=speed, scaler=scaler, seed=seed
            )
        )
    )
