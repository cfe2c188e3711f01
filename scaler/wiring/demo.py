"""The demo's process and the mock exporters': a simulated cluster, and a scaler over it."""

import asyncio
import contextlib
import functools
import logging
import pathlib
import signal
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from typing import Any

from scaler.configuration import Configuration, PrometheusServer, ScrapeIntervals
from scaler.documents.trigger import parse_trigger
from scaler.errors import ConfigurationError, Problem
from scaler.lab import scene
from scaler.lab.demo import DemoOptions, curtain, day, perform, programme, screen
from scaler.lab.mock import MockOptions
from scaler.lab.prometheus import Prometheus, binary
from scaler.lab.stage import Stage
from scaler.lab.summary import summary_json
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.gateways.profile import shipped_gateways
from scaler.readings.prometheus import PrometheusApi
from scaler.readings.prometheus_source import PrometheusSource
from scaler.readings.scrape import ScrapeSource, Target
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.settings import Settings, settings
from scaler.source import Source

from .serving import serving
from .stopping import on_stop

logger = logging.getLogger("kvtide")


async def demo(
    options: DemoOptions,
    *,
    report: pathlib.Path | None = None,
    open_page: bool = False,
    for_json: bool = False,
) -> dict[str, Any]:
    """
    Play the whole loop on this machine and return its summary.

    CTRL-C, SIGTERM, or a terminal or pipe that is closed end it early.

    ``report`` is where an HTML page of it remains; None: in a temporary folder, which is told.

    Raises:
        ConfigurationError: the trace cannot be played, no port of loopback is free, or the report
            cannot be written.
    """
    report = _writable(report or pathlib.Path(tempfile.mkdtemp(prefix="kvtide-demo-"), "demo.html"))
    made = programme(options)
    stage = Stage(made.play, clock=time.time)
    console = screen(stage.stop, for_json=for_json)
    for told in _endings():  # else its Prometheus would outlive it, and there would be no report
        asyncio.get_running_loop().add_signal_handler(told, stage.stop)
    async with contextlib.AsyncExitStack() as ends:
        exporters_url = await stage.open()
        ends.push_async_callback(stage.close)
        source, server = await _demo_source(options.prometheus, stage, exporters_url, ends)
        parse = functools.partial(parse_trigger, configuration=stage.objects.configuration)
        running = await ends.enter_async_context(
            serving(
                _demo_settings(),
                source=source,
                parse=parse,
                configuration=Configuration(prometheus={"default": server} if server else {}),
            )
        )
        stage.exporters.scaler = f"127.0.0.1:{running.http_port}"
        page = f"http://127.0.0.1:{running.http_port}/"
        links = (
            f"status page    {page}",
            f"exporters      {exporters_url}/sd/engines",
            f"readings       {_read_from(server)}",
            f"gRPC           127.0.0.1:{running.grpc_port} (KEDA and the HPA are played over it)",
        )
        if open_page:
            webbrowser.open(page)
        seen = await perform(
            stage,
            f"127.0.0.1:{running.grpc_port}",
            running.board.observations,
            links=links,
            console=console,
        )
    rows = await curtain(stage, console, made.notes)
    page = day(stage, rows, seen, made.notes)
    await asyncio.to_thread(report.write_text, page, encoding="utf-8")
    console.print(f"report         {report}", soft_wrap=True)
    return summary_json(rows, made.play) | {"report": str(report)}


def _endings() -> Iterator[signal.Signals]:
    """Yield the signals that end it; not that of a closed terminal where ``nohup`` ignores it."""
    yield from (signal.SIGINT, signal.SIGTERM)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP


def _writable(path: pathlib.Path) -> pathlib.Path:
    """Return a path that can be written to, before a play whose report it is to hold."""
    try:
        with path.open("a", encoding="utf-8"):
            return path
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        why = getattr(error, "strerror", None) or str(error)
        got = f"{path} cannot be written: {why}"
        raise ConfigurationError(Problem(field="--report", got=got)) from error


async def _demo_source(
    choice: str, stage: Stage, exporters_url: str, ends: contextlib.AsyncExitStack
) -> tuple[Source, PrometheusServer | None]:
    """
    Return where readings come from, and the Prometheus behind it, if there is one.

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
        return scraped, None
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
    if program is None:
        await _refuse_dead(server)
    read = PrometheusSource(server, profiles=shipped_profiles(), gateways=shipped_gateways())
    ends.push_async_callback(read.close)
    return read, server


async def _refuse_dead(server: PrometheusServer) -> None:
    """
    Ask a Prometheus that somebody named for anything, before a play that reads from it.

    Raises:
        SourceError: it does not answer.
    """
    api = PrometheusApi(server)
    try:
        await api.query("vector(1)", time.time())
    finally:
        api.close()


def _read_from(server: PrometheusServer | None) -> str:
    return "the exporters, scraped directly" if server is None else f"Prometheus at {server.url}"


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
    on_stop(stage.stop)
    url = await stage.open(options.host, options.port)
    logger.info("exporters", extra={"fields": {"url": url, "scaler": options.scaler or "none"}})
    try:
        await stage.run(options.scaler)
    finally:
        await stage.close()
