"""``kvtide controller``: training Jobs that follow the workers lent to them."""

import asyncio
from typing import Annotated

import typer

from .flags import duration_s


def controller(  # noqa: PLR0913 -- one flag per setting
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
        str,
        typer.Option(
            help="The scaler's silence after which everything is taken back.",
            metavar="DURATION",
            envvar="KVTIDE_BLIND_RECLAIM_AFTER",
        ),
    ] = "5m",
    fast_path: Annotated[
        bool,
        typer.Option(
            "--fast-path",
            help='Scale out ahead of the HPA where a trigger says fastPath: "true".',
            envvar="KVTIDE_FAST_PATH",
        ),
    ] = False,
    pod_deletion_cost: Annotated[
        bool,
        typer.Option(
            "--pod-deletion-cost",
            help="Let the idlest replica go first, of the same objects.",
            envvar="KVTIDE_POD_DELETION_COST",
        ),
    ] = False,
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
    blind_s = duration_s("--blind-reclaim-after", blind_reclaim_after, least_s=15, most_s=86_400)

    from scaler.controller.run import Options
    from scaler.wiring.control import control

    options = Options(
        scaler_address=scaler,
        http_address=http_address,
        namespace=namespace,
        lease_namespace=lease_namespace,
        ca_file=ca_file,
        certificate_file=certificate_file,
        key_file=key_file,
    )
    working = control(
        options,
        blind_reclaim_after_s=blind_s,
        fast_path=fast_path,
        pod_deletion_cost=pod_deletion_cost,
    )
    asyncio.run(working)
