"""``kvtide serve``: the external scaler."""

import asyncio
import pathlib
from typing import Annotated

import typer

from .flags import Config


def serve(  # noqa: PLR0913 -- one flag per setting
    *,
    config: Config = None,
    grpc_address: Annotated[
        str | None,
        typer.Option(
            help="Where KEDA finds the scaler; no host: every interface.", metavar="HOST:PORT"
        ),
    ] = None,
    http_address: Annotated[
        str | None, typer.Option(help="Pages, probes, metrics, JSON.", metavar="HOST:PORT")
    ] = None,
    tls_cert_file: Annotated[
        pathlib.Path | None,
        typer.Option(help="Certificate (PEM) of the gRPC server.", metavar="FILE"),
    ] = None,
    tls_key_file: Annotated[
        pathlib.Path | None, typer.Option(help="Its key (PEM).", metavar="FILE")
    ] = None,
    tls_client_ca_file: Annotated[
        pathlib.Path | None,
        typer.Option(help="Clients must show a certificate of this CA.", metavar="FILE"),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error.", metavar="LEVEL")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="json or logfmt.", metavar="FORMAT")
    ] = None,
    tick: Annotated[
        str | None,
        typer.Option(help="Between two rounds of reading and deciding.", metavar="DURATION"),
    ] = None,
    idle: Annotated[
        str | None,
        typer.Option(
            help="An object nobody asked about for so long is dropped.", metavar="DURATION"
        ),
    ] = None,
    most_objects: Annotated[
        str | None, typer.Option(help="Most ScaledObjects that are served.", metavar="NUMBER")
    ] = None,
    pages: Annotated[
        str | None,
        typer.Option(help="Whether there are pages for people: true or false.", metavar="BOOL"),
    ] = None,
    runbook_url: Annotated[
        str | None, typer.Option(help="Where the runbooks are read.", metavar="URL")
    ] = None,
    dashboard_url: Annotated[
        str | None,
        typer.Option(help="The dashboard, with {namespace} and {scaledobject}.", metavar="URL"),
    ] = None,
    kubernetes: Annotated[
        str | None,
        typer.Option(help="Whether the Kubernetes API is watched: auto, on, off.", metavar="MODE"),
    ] = None,
    kubernetes_namespace: Annotated[
        str | None, typer.Option(help="Watch this namespace alone.", metavar="NAMESPACE")
    ] = None,
    kubernetes_events: Annotated[
        str | None,
        typer.Option(help="Whether Events are written: true or false.", metavar="BOOL"),
    ] = None,
    direct_scrape: Annotated[
        str | None,
        typer.Option(
            help="Whether pods may be read between scrapes: true or false.", metavar="BOOL"
        ),
    ] = None,
    drain_delay: Annotated[
        str | None, typer.Option(help="From SIGTERM until streams end.", metavar="DURATION")
    ] = None,
    drain_grace: Annotated[
        str | None, typer.Option(help="From then until what still runs is cut.", metavar="DURATION")
    ] = None,
) -> None:
    """
    Serve KEDA (gRPC) and people (HTTP) until SIGTERM.

    Each flag may also be said by the environment (KVTIDE_GRPC_ADDRESS) or in the section "server"
    of the configuration (grpcAddress); docs/configuration.md lists what each means.

    Example: kvtide serve --config kvtide.yaml --grpc-address :6000
    """
    flags = {name: value for name, value in locals().items() if name != "config"}
    from scaler.documents.configuration import load_configuration
    from scaler.log import log_to_stderr
    from scaler.readings.credentials import redactor
    from scaler.settings import settings
    from scaler.wiring.serving import serve as serve_until_told

    configuration = load_configuration(config)
    made = settings(flags=flags, file=configuration.server)
    redacted = redactor(configuration.prometheus.values())
    log_to_stderr(made.log_level, made.log_format, redacted)
    asyncio.run(serve_until_told(made, configuration))
