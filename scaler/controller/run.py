"""A controller process: the cluster it stands in, its Lease, its probes, and the loops."""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import grpc

from scaler.errors import ConfigurationError, Problem
from scaler.files import read_text
from scaler.readings.kubernetes.api import connect, reached

from . import pages
from .elect import Elector
from .fast.loop import FastPath, FastRules
from .kube import Kube
from .loop import Controller, Rules

LARGEST_BYTES = 1024 * 1024
"""Of a file in PEM."""
RECONNECT = (
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 3_000),
)
"""gRPC's own pause between two connections grows to two minutes; what is said waits for it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a controller process is told."""

    scaler_address: str
    """gRPC address of ``kvtide serve``, host:port."""
    http_address: str
    namespace: str | None
    """Only this namespace's ReclaimableJobs; None: all of them."""
    lease_namespace: str | None
    """Where the Lease is kept; None: no election, this is the only controller."""
    ca_file: str | None = None
    """CA of the scaler's certificate; None: the connection is not encrypted."""
    certificate_file: str | None = None
    key_file: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the process lends the controller."""

    clock: Callable[[], float]
    exposition: Callable[[], bytes]
    content_type: str
    rules: Rules
    fast: FastRules


async def run(options: Options, outside: Outside) -> None:
    """
    Follow and act until cancelled.

    Raises:
        ConfigurationError: there is no cluster to be found, or a TLS file cannot be read.
    """
    async with contextlib.AsyncExitStack() as ends:
        client = await ends.enter_async_context(await connect())
        channel = await ends.enter_async_context(_channel(options))
        listening = await pages.start(
            options.http_address,
            exposition=outside.exposition,
            content_type=outside.content_type,
        )
        ends.push_async_callback(listening.close)
        kube = Kube(await reached(client, lambda _: None), options.namespace)

        async def work() -> None:
            controller = Controller(kube, channel, clock=outside.clock, rules=outside.rules)
            fast = FastPath(kube, channel, clock=outside.clock, rules=outside.fast)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(controller.run())
                tasks.create_task(fast.run())

        if options.lease_namespace is None:
            await work()
        else:
            identity = f"{socket.gethostname()}-{os.getpid()}"
            elector = Elector(kube, options.lease_namespace, identity, clock=outside.clock)
            await elector.lead(work)


@contextlib.asynccontextmanager
async def _channel(options: Options) -> AsyncIterator[grpc.aio.Channel]:
    if options.ca_file is None:
        channel = grpc.aio.insecure_channel(options.scaler_address, options=RECONNECT)
    else:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_certificate("--ca-file", options.ca_file),
            private_key=_read("--key-file", options.key_file),
            certificate_chain=_certificate("--certificate-file", options.certificate_file),
        )
        channel = grpc.aio.secure_channel(options.scaler_address, credentials, options=RECONNECT)
    async with channel:
        yield channel


def _certificate(flag: str, path: str | None) -> bytes | None:
    """Return a file that must hold one: gRPC takes none for its own list of authorities."""
    text = _read(flag, path)
    if text is not None:
        try:
            # Between certificates a bundle may say anything, in any language.
            pem = text.decode("ascii", "ignore")
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError):
            got = f"{path} holds no certificate in PEM"
            raise ConfigurationError(Problem(field=flag, got=got)) from None
    return text


def _read(flag: str, path: str | None) -> bytes | None:
    if path is None:
        return None
    return read_text(pathlib.Path(path), field=flag, most=LARGEST_BYTES).encode()
