"""
Which source, clock, server and page make a process: picked here and nowhere else.

Everything below takes what it needs as arguments, so that tests, the demo and ``kvtide serve`` put
the same parts together in different ways.
"""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import random
import signal
import sys
import time
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any

from scaler.controller import run as controller
from scaler.controller.loop import Rules
from scaler.decision.decide import decide
from scaler.decision.decision import Decision
from scaler.errors import ConfigurationError, Problem
from scaler.keda.board import Board, Limits, Parse
from scaler.keda.once import decide_once
from scaler.keda.server import Server, ServerOptions, Tls
from scaler.lab import scene
from scaler.lab.demo import DemoOptions, curtain, perform, programme, screen
from scaler.lab.mock import MockOptions
from scaler.lab.prometheus import Prometheus, binary
from scaler.lab.stage import Stage
from scaler.lab.summary import summary_json
from scaler.settings import Settings, settings
from scaler.sources.configuration import Configuration, PrometheusServer, ScrapeIntervals
from scaler.sources.documents.engines import engine_profiles
from scaler.sources.documents.gateways import gateway_profiles
from scaler.sources.documents.trigger import parse_trigger
from scaler.sources.engines.profile import shipped_profiles
from scaler.sources.gateways.profile import shipped_gateways
from scaler.sources.prometheus_source import PrometheusSource
from scaler.sources.scrape import ScrapeSource, Target
from scaler.sources.several import SeveralSources
from scaler.sources.source import Source, Trigger
from scaler.sources.timing import Timing
from scaler.sources.wanted import Exporter
from scaler.status.app import View, start
from scaler.telemetry import CONTENT_TYPE, Telemetry, log_to_stderr, version

SWITCH_INTERVAL_S = 0.0005
"""A decision in its thread lets waiting RPCs through after this, rather than after 5 ms."""

logger = logging.getLogger("kvtide")


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
async def serving(
    settings: Settings,
    *,
    source: Source,
    parse: Parse,
    clock: Callable[[], float] = time.time,
    past: Past | None = None,
) -> AsyncIterator[Serving]:
    """
    Serve gRPC and HTTP over ``source`` until left, then drain; ``past`` answers for other times.

    Raises:
        ConfigurationError: an address is taken, or a TLS file cannot be read.
    """
    telemetry = Telemetry()
    board = Board(
        source=source,
        parse=parse,
        decide=decide,
        clock=clock,
        telemetry=telemetry,
        limits=_limits(settings),
    )
    telemetry.show_objects(board.observations, clock)
    server = Server(board, telemetry, rng=random.Random(), options=_options(settings))
    view = View(
        observations=board.observations,
        standing=lambda: board.standing,
        exposition=telemetry.exposition,
        clock=clock,
        past=None if past is None else lambda key, at_s: past(board.triggers(), key, at_s),
    )
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with contextlib.AsyncExitStack() as ends:  # the last to begin is the first to end
        pages, http_port = await start(view, settings.http_address)
        ends.push_async_callback(pages.cleanup)
        background = await ends.enter_async_context(_running(board.run()))
        grpc_port = await server.start()
        ends.push_async_callback(server.drain)
        await ends.enter_async_context(_running(_serving_when_ready(board, server)))
        yield Serving(board=board, grpc_port=grpc_port, http_port=http_port, background=background)


@contextlib.asynccontextmanager
async def prometheus(configuration: Configuration) -> AsyncIterator[Source]:
    """
    Yield the servers of a configuration as one source; their connections close after.

    Raises:
        ConfigurationError: no server is named, or an engine is described wrongly.
    """
    if not configuration.prometheus:
        example = "a server in the file of --config: prometheus: {default: {url: http://…:9090}}"
        raise ConfigurationError(Problem(field="prometheus", got="nothing", allowed=example))
    profiles, gateways = engine_profiles(configuration), gateway_profiles(configuration)
    servers = {
        name: PrometheusSource(
            server, profiles=profiles, gateways=gateways, queries=configuration.queries
        )
        for name, server in configuration.prometheus.items()
    }
    async with contextlib.AsyncExitStack() as ends:
        for server in servers.values():
            ends.push_async_callback(server.close)
        yield SeveralSources(servers)


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
            taken, or a TLS file cannot be read.
    """
    parse = functools.partial(parse_trigger, configuration=configuration)
    past = functools.partial(explain, configuration=configuration)
    async with prometheus(configuration) as source:
        await _until_told(settings, source=source, parse=parse, past=past)


async def explain(
    triggers: Mapping[str, Trigger], key: str, at_s: float | None, *, configuration: Configuration
) -> Decision:
    """
    Return the decision on one of ``triggers`` at a Unix time, None: now, from its Prometheus.

    Raises:
        ConfigurationError, NotServedError, NoDataError: as ``decide_once``.
    """
    at_s = time.time() if at_s is None else at_s
    async with prometheus(configuration) as source:
        return await decide_once(key, triggers, source=source, decide=decide, at_s=at_s)


async def _until_told(settings: Settings, *, source: Source, parse: Parse, past: Past) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings, source=source, parse=parse, past=past) as made:
        fields = {"version": version(), "grpc": made.grpc_port, "http": made.http_port}
        logger.info("serving", extra={"fields": fields})
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, made.background}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if made.background.done():
            made.background.result()
        logger.info("draining")


async def control(options: controller.Options, *, blind_reclaim_after_s: float) -> None:
    """Run the controller until SIGTERM or SIGINT; a fault of its loop ends the process."""
    telemetry = Telemetry()
    log_to_stderr("info", "json")
    outside = controller.Outside(
        clock=time.time,
        exposition=telemetry.exposition,
        content_type=CONTENT_TYPE,
        rules=Rules(
            blind_reclaim_after_s=blind_reclaim_after_s,
            on_reclaimed=lambda namespace, name, seconds: telemetry.observe_reclaim(
                namespace=namespace, scaled_object=name, seconds=seconds
            ),
        ),
    )
    working = asyncio.create_task(controller.run(options, outside))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await working


async def _serving_when_ready(board: Board, server: Server) -> None:
    await board.until_ready()
    await server.serving()


def _limits(settings: Settings) -> Limits:
    return Limits(tick_s=settings.tick, idle_s=settings.idle, most_objects=settings.most_objects)


def _options(settings: Settings) -> ServerOptions:
    host, _, port = settings.grpc_address.rpartition(":")
    return ServerOptions(
        address=f"{host or '[::]'}:{port}",
        tls=_tls(settings),
        drain_delay_s=settings.drain_delay,
        drain_grace_s=settings.drain_grace,
    )


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return Tls(
        certificate=settings.tls_cert_file,
        key=settings.tls_key_file,
        client_ca=settings.tls_client_ca_file,
    )


async def demo(
    options: DemoOptions, *, open_page: bool = False, for_json: bool = False
) -> dict[str, Any]:
    """
    Play the whole loop on this machine and return its summary: CTRL-C ends it early.

    Raises:
        ConfigurationError: the trace cannot be played, or no port of loopback is free.
    """
    made = programme(options)
    stage = Stage(made.play, clock=time.time)
    console = screen(for_json=for_json)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stage.stop)
    async with contextlib.AsyncExitStack() as ends:
        exporters_url = await stage.open()
        ends.push_async_callback(stage.close)
        source, read_from = await _demo_source(options.prometheus, stage, exporters_url, ends)
        parse = functools.partial(parse_trigger, configuration=stage.objects.configuration)
        running = await ends.enter_async_context(
            serving(_demo_settings(), source=source, parse=parse)
        )
        page = f"http://127.0.0.1:{running.http_port}/"
        links = (
            f"status page    {page}",
            f"exporters      {exporters_url}/sd/engines",
            f"readings       {read_from}",
            f"gRPC           127.0.0.1:{running.grpc_port} (KEDA and the HPA are played over it)",
        )
        if open_page:
            webbrowser.open(page)
        await perform(
            stage,
            f"127.0.0.1:{running.grpc_port}",
            running.board.observations,
            links=links,
            console=console,
        )
    return summary_json(await curtain(stage, console, made.notes), made.play)


async def _demo_source(
    choice: str, stage: Stage, exporters_url: str, ends: contextlib.AsyncExitStack
) -> tuple[Source, str]:
    """
    Return where readings come from, and what to say of it.

    ``choice``: ``embedded`` scrapes the pages itself, a URL is a Prometheus that does, ``auto``
    starts one where its binary is found.
    """
    program = binary() if choice == "auto" else None
    if choice == "embedded" or (choice == "auto" and program is None):
        scraped = ScrapeSource(
            lambda: _targets(stage, exporters_url),
            profiles=shipped_profiles(),
            gateways=shipped_gateways(),
            timing=Timing(interval_s=dict.fromkeys(Exporter, scene.SCRAPE_S)),
        )
        ends.push_async_callback(scraped.close)
        return scraped, "the exporters, scraped directly"
    url = choice
    if program is not None:
        prometheus = Prometheus(program)
        ends.push_async_callback(prometheus.stop)
        url = await prometheus.start(exporters_url, interval_s=scene.SCRAPE_S)
        await prometheus.scraped()
    interval = ScrapeIntervals(
        **dict.fromkeys(("engine_s", "gpu_s", "cluster_s", "gateway_s"), scene.SCRAPE_S)
    )
    server = PrometheusServer(url=url, ingestion_delay_s=1.0, scrape_interval=interval)
    read = PrometheusSource(server, profiles=shipped_profiles(), gateways=shipped_gateways())
    ends.push_async_callback(read.close)
    return read, f"Prometheus at {url}"


def _demo_settings() -> Settings:
    return settings(
        flags={
            "grpc_address": "127.0.0.1:0",
            "http_address": "127.0.0.1:0",
            "tick": "0.5s",
            "drain_delay": "0s",
            "drain_grace": "0.5s",
        },
        file={},
    )


def _targets(stage: Stage, exporters_url: str) -> list[Target]:
    return [
        Target(
            url=exporters_url + endpoint.path,
            namespace=endpoint.namespace if endpoint.pod else None,
            pod=endpoint.pod,
        )
        for endpoint in stage.exporters.endpoints()
    ]


async def mock(options: MockOptions) -> None:
    """Serve the simulated cluster's pages until SIGTERM or SIGINT."""
    stage = Stage(options.play, clock=time.time)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stage.stop)
    url = await stage.open(options.host, options.port)
    logger.info("exporters", extra={"fields": {"url": url, "scaler": options.scaler or "none"}})
    try:
        await stage.run(options.scaler)
    finally:
        await stage.close()
