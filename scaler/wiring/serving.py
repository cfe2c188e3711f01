"""
The scaler's process: a board over a source, behind gRPC and HTTP.

It drains what it has begun before it ends, whatever ends it.
"""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import os
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any

from scaler.configuration import Configuration
from scaler.decision.decide import decide
from scaler.decision.decision import Decision
from scaler.documents.engines import engine_profiles
from scaler.documents.trigger import parse_trigger
from scaler.keda.certificates import Tls
from scaler.keda.server import Server, ServerOptions
from scaler.listening import listen
from scaler.readings.direct import DirectReader
from scaler.readings.kubernetes.known import KnownCluster
from scaler.serving.board import Board, Limits, Parse
from scaler.serving.listed import Listed
from scaler.settings import Settings
from scaler.source import Source, Trigger
from scaler.status.app import View, application
from scaler.status.banner import Links
from scaler.telemetry.process import Telemetry, version
from scaler.tracing import NO_TRACER, Tracer, tracer

from . import lag, memory
from .cluster import Hearing, hearing
from .garbage import keep_large_apart, keep_out
from .gathering import Gathering
from .past import explain
from .sources import prometheus
from .stopping import on_stop

SWITCH_INTERVAL_S = 0.0005
"""A decision in its thread lets waiting RPCs through after this, rather than after 5 ms."""

logger = logging.getLogger("kvtide")


MOST_FILES = 65_536
STREAMS_BESIDE = 1000
"""Streams beside the two of each ScaledObject: controllers, and KEDA's old ones."""
LEAVING_S = 1.5
"""From the end of the drain until what still runs is cut, and the process with it."""

Past = Callable[[Mapping[str, Trigger], str, float], Awaitable[Decision]]
"""Decides on one of the triggers (by ``namespace/scaledobject``) as of a Unix time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A scaler that answers."""

    board: Board
    grpc_port: int
    http_port: int
    background: asyncio.Task[None]
    """The rounds of reading and deciding; it ends only with a fault."""


@contextlib.asynccontextmanager
async def serving(  # noqa: PLR0913 -- the seams of a server, each by its name
    settings: Settings,
    *,
    source: Source,
    parse: Parse,
    clock: Callable[[], float] = time.time,
    past: Past | None = None,
    cluster: Hearing | None = None,
    configuration: Configuration | None = None,
    tracer: Tracer = NO_TRACER,
    direct: DirectReader | None = None,
) -> AsyncIterator[Serving]:
    """
    Serve gRPC and HTTP over ``source`` until left, then drain; ``past`` answers for other times.

    ``cluster`` is what the Kubernetes API says, where it is asked; ``configuration`` names the
    Prometheus servers that may hold kvtide's own metrics; ``tracer`` measures rounds and RPCs;
    ``direct`` is what reads pods' own pages, where it is allowed.

    Raises:
        ConfigurationError: an address is taken, or a TLS file cannot be read.
    """
    telemetry = Telemetry(tracer)
    board = Board(
        source=source,
        parse=parse,
        decide=decide,
        clock=clock,
        telemetry=telemetry,
        limits=_limits(settings),
        listed=None if cluster is None else _listed(cluster.known),
        has_room=functools.partial(memory.has_room, memory.limit_bytes()),
    )
    board.tell = None if cluster is None else cluster.tell
    telemetry.show_objects(board.observations, clock)
    if direct is not None:
        telemetry.show_pages(lambda: direct.outcomes, direct.reads, clock)
    loop = asyncio.get_running_loop()
    telemetry.show_tasks(lambda: len(asyncio.all_tasks(loop)))
    server = Server(board, telemetry, rng=random.Random(), options=_options(settings))
    view = View(
        observations=board.observations,
        standing=lambda: dataclasses.replace(
            board.standing, cluster=None if cluster is None else cluster.standing()
        ),
        exposition=telemetry.exposition,
        clock=clock,
        past=None if past is None else lambda key, at_s: past(board.triggers(), key, at_s),
        gather=Gathering(board=board, source=source, configuration=configuration, clock=clock),
        links=Links(runbooks=settings.runbook_url, dashboard=settings.dashboard_url),
        pages=settings.pages,
    )
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    keep_large_apart()
    async with contextlib.AsyncExitStack() as ends:  # the last to begin is the first to end
        pages = await listen(application(view), settings.http_address)
        ends.push_async_callback(pages.close)
        background = await ends.enter_async_context(_running(board.run()))
        await ends.enter_async_context(_running(keep_out()))
        await ends.enter_async_context(_running(lag.watch(telemetry.observe_lag)))
        grpc_port = await server.start()
        await ends.enter_async_context(_running(server.keep_certificate()))
        ends.push_async_callback(server.drain)
        await ends.enter_async_context(_running(_serving_when_ready(board, server)))
        yield Serving(board=board, grpc_port=grpc_port, http_port=pages.port, background=background)


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run ``work`` beside the body, and cancel it after."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def serve(settings: Settings, configuration: Configuration) -> None:
    """
    Serve from the configured Prometheus servers until SIGTERM or SIGINT.

    A fault of the background ends the process with its cause.

    Raises:
        ConfigurationError: no server is named, an engine is described wrongly, an address is
            taken, a TLS file cannot be read, or traces are asked for that cannot be made.
    """
    _allow_more_files()
    parse = functools.partial(parse_trigger, configuration=configuration)
    past = functools.partial(explain, configuration=configuration)
    traces = tracer(os.environ, version())
    async with (
        _ended(traces),
        hearing(settings) as cluster,
        prometheus(
            configuration,
            cluster.known,
            time.time,
            traces,
            direct=(direct := _direct(settings, configuration, cluster)),
        ) as source,
    ):
        server = serving(
            settings,
            direct=direct,
            source=source,
            parse=parse,
            past=past,
            cluster=cluster,
            configuration=configuration,
            tracer=traces,
        )
        await _until_told(server, settings)


def _direct(
    settings: Settings, configuration: Configuration, cluster: Hearing
) -> DirectReader | None:
    """Return what reads pods' own pages; None: nobody may."""
    if not settings.direct_scrape:
        return None
    profiles = engine_profiles(configuration)
    return DirectReader(cluster.known, profiles=profiles, clock=time.time)


@contextlib.asynccontextmanager
async def _ended(traces: Tracer) -> AsyncIterator[None]:
    """Send what spans are left after the body."""
    try:
        yield
    finally:
        await asyncio.to_thread(traces.end)


async def _until_told(
    server: contextlib.AbstractAsyncContextManager[Serving], settings: Settings
) -> None:
    stop = asyncio.Event()
    on_stop(stop.set, within_s=settings.drain_delay + settings.drain_grace + LEAVING_S)
    async with server as made:
        fields = {"version": version(), "grpc": made.grpc_port, "http": made.http_port}
        logger.info("serving", extra={"fields": fields})
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, made.background}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if made.background.done():
            made.background.result()
        logger.info("draining")


def _allow_more_files() -> None:
    """Raise the soft limit of open files, which counts connections and may be as low as 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serving_when_ready(board: Board, server: Server) -> None:
    await board.until_ready()
    await server.serving()


def _listed(known: KnownCluster) -> Listed:
    return Listed(
        named=known.triggers_of,
        others=known.triggers_elsewhere,
        there=known.there,
        stated=known.metadata_of,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(tick_s=settings.tick, idle_s=settings.idle, most_objects=settings.most_objects)


def _options(settings: Settings) -> ServerOptions:
    host, _, port = settings.grpc_address.rpartition(":")
    return ServerOptions(
        address=f"{host or '[::]'}:{port}",
        tls=_tls(settings),
        drain_delay_s=settings.drain_delay,
        drain_grace_s=settings.drain_grace,
        most_streams=2 * settings.most_objects + STREAMS_BESIDE,
    )


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return Tls(
        certificate=settings.tls_cert_file,
        key=settings.tls_key_file,
        client_ca=settings.tls_client_ca_file,
    )
