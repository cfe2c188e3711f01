"""
The gRPC server: TLS, health, reflection, the age of connections, and a drain that loses nothing.

At a drain readiness goes first while answers go on; then streams end with OK, so that KEDA's
redial ladder stays at its bottom; then the port closes.
"""

import asyncio
import dataclasses
import random
import socket
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from scaler.errors import ConfigurationError, Problem
from scaler.listening import why_not
from scaler.serving.board import Board
from scaler.telemetry.process import Telemetry

from ._pb import externalscaler_pb2, kvtide_pb2
from ._pb.externalscaler_pb2_grpc import add_ExternalScalerServicer_to_server
from ._pb.kvtide_pb2_grpc import add_LendingServicer_to_server, add_ScalingServicer_to_server
from .certificates import Certificates, Tls
from .servicer import ExternalScaler, StreamLife
from .streams import OpenStreams
from .watch import HEARTBEAT_S, Lending, Scaling, Streams

SERVICES = tuple(
    service.full_name
    for module in (externalscaler_pb2, kvtide_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)

HANDSHAKE_MS = 20_000
"""A connection that has said nothing by then is closed."""
MOST_PENDING = 4096
"""Calls that wait to be begun on; from twice as many on every further one is refused."""
LARGEST_REQUEST_BYTES = 256 * 1024
"""The metadata of one trigger: etcd holds objects of 1.5 MB at most, triggers are a few KB."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How the server listens, ages and ends."""

    address: str = "[::]:6000"
    """``host:port``; port 0: a free one."""
    tls: Tls | None = None
    connection_age_s: float = 300.0
    """A client is asked to dial anew after this: it resolves the name again, finds replicas that
    are new and leaves those that are gone."""
    connection_grace_s: float = 1200.0
    """How long a connection's RPCs may go on after that: longer than a stream lives."""
    drain_delay_s: float = 5.0
    """From "not ready" until streams end: the time that endpoints take to be withdrawn."""
    drain_grace_s: float = 5.0
    """From then until what still runs is cut."""
    keepalive_s: float = 20.0
    """After so long without a word a client is asked whether it is there."""
    keepalive_grace_s: float = 10.0
    """A client that does not answer by then is cut: it would hold its streams for ever."""
    look_every_s: float = 60.0
    """Between two looks at the certificate's files."""
    most_streams: int = 21_000
    """Open at one time; KEDA opens one for each push trigger, two where it asks for the spec."""
    most_streams_of_one: int = 64
    """Of those, about one object: several triggers, and KEDAs whose nodes died within the last
    half minute."""
    most_connections: int = 4096
    """Open at one time; KEDA has one or two for each address that it knows the scaler by."""
    life: StreamLife = dataclasses.field(default_factory=StreamLife)
    heartbeat_s: float = HEARTBEAT_S


class Server:
    """A grpc.aio server over a board."""

    def __init__(
        self,
        board: Board,
        telemetry: Telemetry,
        *,
        rng: random.Random,
        options: ServerOptions | None = None,
    ) -> None:
        self._board = board
        self._telemetry = telemetry
        self._options = options or ServerOptions()
        self._certificates: Certificates | None = None
        life = self._options.life
        open_streams = OpenStreams(
            telemetry,
            most=self._options.most_streams,
            most_of_one=self._options.most_streams_of_one,
        )
        self._scaler = ExternalScaler(board, telemetry, rng=rng, life=life, streams=open_streams)
        streams = Streams(
            board, open_streams, rng=rng, life=life, heartbeat_s=self._options.heartbeat_s
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined] # not in its stubs
        self._server = grpc.aio.server(options=_channel_arguments(self._options))
        add_ExternalScalerServicer_to_server(self._scaler, self._server)  # type: ignore[no-untyped-call]
        add_LendingServicer_to_server(Lending(streams), self._server)  # type: ignore[no-untyped-call]
        add_ScalingServicer_to_server(Scaling(streams), self._server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    async def start(self) -> int:
        """
        Listen, and return the port.

        Raises:
            ConfigurationError: the address cannot be listened on, or a TLS file is none.
        """
        options = self._options
        _refuse_taken(options.address)
        if options.tls is not None:
            self._certificates = Certificates(options.tls, self._telemetry)
        try:
            if self._certificates is None:
                port = self._server.add_insecure_port(options.address)
            else:
                credentials = self._certificates.credentials()
                port = self._server.add_secure_port(options.address, credentials)
        except RuntimeError as error:
            raise ConfigurationError(
                Problem(
                    field="grpc_address",
                    got=f"{options.address} is in use, or no address of this machine",
                )
            ) from error
        for service in SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.start()
        return port

    async def serving(self) -> None:
        """Tell health checks that the services answer."""
        for service in SERVICES:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def keep_certificate(self) -> None:
        """Look after the certificate, also while nobody shakes hands; for ever."""
        while True:
            await asyncio.sleep(self._options.look_every_s)
            if self._certificates is not None:
                await asyncio.to_thread(self._certificates.look)

    async def drain(self) -> None:
        """End gracefully: not ready, then no streams, then no port."""
        self._board.withdraw()
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._options.drain_delay_s)
        self._scaler.drain()
        await self._server.stop(self._options.drain_grace_s)


def _refuse_taken(address: str) -> None:
    """
    Raise where gRPC would fail to listen, and would write lines of its own on standard error.

    What a plain socket cannot tell (a family that this machine lacks) is left to gRPC.
    """
    host, _, port = address.rpartition(":")
    try:
        [(family, kind, _, _, where), *_] = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(where)
    except (OSError, OverflowError) as error:
        if why := why_not(error, host, port):
            raise ConfigurationError(Problem(field="grpc_address", got=why)) from error


def _channel_arguments(options: ServerOptions) -> Sequence[tuple[str, int]]:
    return (
        ("grpc.so_reuseport", 0),  # a port that is taken must be an error, not a lottery
        ("grpc.max_connection_age_ms", round(1000 * options.connection_age_s)),
        ("grpc.max_connection_age_grace_ms", round(1000 * options.connection_grace_s)),
        ("grpc.max_allowed_incoming_connections", options.most_connections),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        # From a thousand calls that wait to be begun on gRPC refuses some of them at random
        # (CANCELLED): a KEDA that restarts opens the streams of all its objects at once. Each that
        # waits takes 16 KB, which do not come back.
        ("grpc.server.max_pending_requests", MOST_PENDING),
        ("grpc.server.max_pending_requests_hard_limit", 2 * MOST_PENDING),
        ("grpc.max_receive_message_length", LARGEST_REQUEST_BYTES),
        # A client whose node died never says so: ask, lest its streams count as followers.
        ("grpc.keepalive_time_ms", round(1000 * options.keepalive_s)),
        ("grpc.keepalive_timeout_ms", round(1000 * options.keepalive_grace_s)),
        ("grpc.http2.ping_timeout_ms", round(1000 * options.keepalive_grace_s)),
    )
