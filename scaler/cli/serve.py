"""``kvtide serve``: the external scaler."""

import asyncio
import pathlib
from typing import Annotated

import typer

from .flags import Config

Flag = Annotated[str | None, typer.Option(metavar="VALUE")]
FileFlag = Annotated[pathlib.Path | None, typer.Option(metavar="FILE")]


def serve(  # noqa: PLR0913 -- one flag per setting
    *,
    config: Config = None,
    grpc_address: Flag = None,
    http_address: Flag = None,
    tls_cert_file: FileFlag = None,
    tls_key_file: FileFlag = None,
    tls_client_ca_file: FileFlag = None,
    log_level: Flag = None,
    log_format: Flag = None,
    tick: Flag = None,
    idle: Flag = None,
    most_objects: Flag = None,
    pages: Flag = None,
    runbook_url: Flag = None,
    dashboard_url: Flag = None,
    kubernetes: Flag = None,
    kubernetes_namespace: Flag = None,
    drain_delay: Flag = None,
    drain_grace: Flag = None,
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
