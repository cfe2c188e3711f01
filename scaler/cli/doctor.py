"""``kvtide doctor``: what of each ScaledObject is there in a live Prometheus, and what is not."""

import pathlib
from typing import Annotated

import typer

from .flags import Config, Json
from .output import show


def doctor(
    files: Annotated[
        list[pathlib.Path] | None,
        typer.Argument(
            help="YAML with ScaledObjects: files, folders, or - for standard input; without any, "
            "those of the cluster.",
            metavar="[FILE…]",
            show_default=False,
        ),
    ] = None,
    *,
    prometheus: Annotated[
        str | None, typer.Option(help="The server, where no --config names one.", metavar="URL")
    ] = None,
    config: Config = None,
    watch: Annotated[
        str, typer.Option(help="How long to watch how late samples come.", metavar="DURATION")
    ] = "15s",
    as_json: Json = False,
) -> None:
    """
    Say what is there for each ScaledObject: 0 all can be decided, 1 one cannot.

    Server, series and ages of every reading, labels, what a missing reading switches off, gateway,
    GPUs, cluster, copies, late samples, clocks. Without files the cluster's ScaledObjects are
    looked at (kubeconfig, or a pod's service account); where there is none, the server alone.

    Example: kvtide doctor chat.yaml --prometheus http://localhost:9090
    """
    from scaler.report.doctor import doctor_text

    from .examination import examine
    from .manifests import texts_of

    document = examine(
        texts_of(files) if files else None, prometheus=prometheus, config=config, watch=watch
    )
    show(document if as_json else doctor_text(document))
    raise typer.Exit(0 if document["ok"] else 1)
