"""The command line: arguments in, text or JSON out; what a command does is in its own module."""

import asyncio
import json
import pathlib
import sys
from typing import Annotated, Any

import typer

from scaler import wiring
from scaler.capacity_cli import capacity
from scaler.controller.run import Options as ControllerOptions
from scaler.errors import ConfigurationError, KvtideError, Problem
from scaler.explain_cli import explain
from scaler.lab.demo import DemoOptions
from scaler.lab.mock import MockOptions
from scaler.settings import settings
from scaler.sources.check.files import check as check_files
from scaler.sources.check.findings import findings_json, findings_text
from scaler.sources.configuration import Configuration
from scaler.sources.documents.configuration import load_configuration, read_text
from scaler.sources.documents.forms import DURATIONS
from scaler.telemetry import log_to_stderr

app = typer.Typer(
    no_args_is_help=True,
    help="Scale LLM inference; lend what is idle.",
    pretty_exceptions_show_locals=False,
)
app.command()(capacity)
app.command()(explain)
Config = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Configuration: Prometheus servers, pools, engines, gateways.", metavar="FILE"
    ),
]
Flag = Annotated[str | None, typer.Option(metavar="VALUE")]
FileFlag = Annotated[pathlib.Path | None, typer.Option(metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def main() -> None:
    """Run the command line; a user's mistake is told in words and never as a traceback."""
    try:
        app()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KvtideError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


@app.command()
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
    configuration = Configuration() if config is None else load_configuration(config)
    made = settings(flags=flags, file=configuration.server)
    log_to_stderr(made.log_level, made.log_format)
    asyncio.run(wiring.serve(made, configuration))


@app.command()
def check(
    files: Annotated[
        list[pathlib.Path], typer.Argument(help="YAML files with ScaledObjects.", metavar="FILE…")
    ],
    *,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """
    Say what is wrong or unwise in ScaledObjects: 0 fine or warnings only, 1 with errors.

    Example: kvtide check chat.yaml training.yaml --config kvtide.yaml
    """
    configuration = Configuration() if config is None else load_configuration(config)
    settings(flags={}, file=configuration.server)
    checked = check_files({str(path): read_text(path) for path in files}, configuration)
    _print(findings_json(checked) if as_json else findings_text(checked))
    raise typer.Exit(1 if checked.errors else 0)


@app.command()
def demo(
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
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 1,
    open_page: Annotated[bool, typer.Option("--open", help="Open the status page.")] = False,
    as_json: Json = False,
) -> None:
    """
    Run the whole loop on this machine: no cluster, no Docker; real HTTP and gRPC over loopback.

    Example: kvtide demo --trace azure2023_code.csv.gz --duration 5m
    """
    options = DemoOptions(
        trace=trace,
        duration_s=_duration(duration),
        speed=speed,
        scale=scale,
        seed=seed,
        prometheus=prometheus,
    )
    result = asyncio.run(wiring.demo(options, open_page=open_page, for_json=as_json))
    if as_json:
        _print(result)


@app.command()
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
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 1,
) -> None:
    """
    Serve the /metrics pages of a simulated cluster: vLLM, DCGM exporter, kube-state-metrics.

    Prometheus finds them by HTTP service discovery at /sd/engines, /sd/dcgm and
    /sd/kube-state-metrics. With --scaler, KEDA and the HPA are played for the scaler there.

    Example: kvtide mock --host 0.0.0.0 --scaler scaler:6000
    """
    log_to_stderr("info", "logfmt")
    asyncio.run(
        wiring.mock(
            MockOptions(
                replicas=replicas, host=host, port=port, speed=speed, scaler=scaler, seed=seed
            )
        )
    )


def _duration(text: str) -> float:
    try:
        return float(DURATIONS.read(text))
    except ValueError:
        problem = Problem(field="--duration", got=repr(text), allowed=DURATIONS.allowed)
        raise ConfigurationError(problem) from None


@app.command()
def controller(
    *,
    scaler: Annotated[
        str,
        typer.Option(
            help="gRPC address of kvtide serve.", metavar="HOST:PORT", envvar="KVTIDE_SCALER"
        ),
    ] = "localhost:6000",
    namespace: Annotated[
        str | None, typer.Option(help="Only this namespace; else all.", envvar="KVTIDE_NAMESPACE")
    ] = None,
    lease_namespace: Annotated[
        str | None,
        typer.Option(
            help="Where replicas elect a leader; without it this is the only one.",
            envvar="KVTIDE_LEASE_NAMESPACE",
        ),
    ] = None,
    http_address: Annotated[
        str, typer.Option(help="Probes and metrics.", envvar="KVTIDE_HTTP_ADDRESS")
    ] = ":8081",
    blind_reclaim_after: Annotated[
        float,
        typer.Option(
            help="Seconds of the scaler's silence that take everything back.",
            min=15,
            max=86_400,
            envvar="KVTIDE_BLIND_RECLAIM_AFTER",
        ),
    ] = 300,
    ca_file: Annotated[
        str | None, typer.Option(help="CA of the scaler's certificate.", envvar="KVTIDE_CA_FILE")
    ] = None,
    certificate_file: Annotated[
        str | None, typer.Option(help="For mutual TLS.", envvar="KVTIDE_CERTIFICATE_FILE")
    ] = None,
    key_file: Annotated[
        str | None, typer.Option(help="For mutual TLS.", envvar="KVTIDE_KEY_FILE")
    ] = None,
) -> None:
    """
    Make every ReclaimableJob follow the workers that are lent to it.

    Example: kvtide controller --scaler kvtide.kvtide:6000 --lease-namespace kvtide
    """
    options = ControllerOptions(
        scaler_address=scaler,
        http_address=http_address,
        namespace=namespace,
        lease_namespace=lease_namespace,
        ca_file=ca_file,
        certificate_file=certificate_file,
        key_file=key_file,
    )
    asyncio.run(wiring.control(options, blind_reclaim_after_s=blind_reclaim_after))


def _print(result: str | dict[str, Any]) -> None:
    print(result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False))
