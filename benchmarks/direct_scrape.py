"""
How soon a surge is answered at a scrape interval, with and without the pods' own pages.

    python -m benchmarks.direct_scrape --interval 30 --surges 8

A real Prometheus scrapes a page each of several engines; each has a surge of its own, at another
moment of the interval. Two scalers decide on the same Prometheus, one of which reads the pods too.
Told is the time from the surge until the answer rises.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import json
import pathlib
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator

from aiohttp import web

from scaler.configuration import Configuration, PrometheusServer
from scaler.decision.decide import decide
from scaler.documents.engines import engine_profiles
from scaler.documents.trigger import parse_trigger
from scaler.errors import KvtideError
from scaler.readings.attribution import Owner
from scaler.readings.direct import DirectReader
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.objects import Counts, Pod
from scaler.serving.board import Board
from scaler.telemetry.process import Telemetry
from scaler.wiring.sources import prometheus

_now_s = time.time  # noqa: TID251 -- what is measured is the time of a real Prometheus
_LOOK_S = 0.1
_CALM, _SURGE = 3, 40
"""Requests in a replica that may hold eight."""


class Engines:
    """Pages of engines, each at an address of its own; some have surged."""

    def __init__(self, count: int) -> None:
        self.names = [f"chat{number}" for number in range(count)]
        self.hosts = [f"127.0.0.{number + 2}" for number in range(count)]
        self.surged_s: dict[str, float] = {}
        self.port = _free_port()

    def pod(self, name: str) -> str:
        """Return the name of its pod."""
        return f"{name}-7c9d5f6b8-x2vbn"

    async def page(self, request: web.Request) -> web.Response:
        """Answer with what an engine shows."""
        name = self.names[self.hosts.index(request.host.partition(":")[0])]
        running = _SURGE if name in self.surged_s else _CALM
        labels, tokens = '{model_name="m",engine="0"}', round(100 * running * _now_s())
        rows = (
            f"vllm:num_requests_running{labels} {running}",
            f"vllm:num_requests_waiting{labels} 0",
            f"vllm:generation_tokens_total{labels} {tokens}",
        )
        return web.Response(text="\n".join(rows) + "\n")

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve the pages."""
        app = web.Application()
        app.router.add_get("/metrics", self.page)
        runner = web.AppRunner(app)
        await runner.setup()
        for host in self.hosts:
            await web.TCPSite(runner, host, self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    def cluster(self) -> KnownCluster:
        """Return what an API would tell of them."""
        known, now_s = KnownCluster(), _now_s()
        known.counts["Deployment"].take(
            {("llm", name): Counts(spec=1, exist=1, ready=1) for name in self.names}
        )
        known.pods.take(
            {
                ("llm", self.pod(name)): Pod(
                    created_s=now_s - 600,
                    ready_since_s=now_s - 500,
                    unschedulable=False,
                    leaving=False,
                    ended=False,
                    owner=Owner(kind="ReplicaSet", name=f"{name}-7c9d5f6b8"),
                    node="a",
                    units={},
                    address=host,
                )
                for name, host in zip(self.names, self.hosts, strict=True)
            }
        )
        return known

    def scraped(self, interval_s: float) -> str:
        """Return a Prometheus' configuration that scrapes them."""
        targets = [
            {
                "targets": [f"{host}:{self.port}"],
                "labels": {"namespace": "llm", "pod": self.pod(name)},
            }
            for name, host in zip(self.names, self.hosts, strict=True)
        ]
        jobs = [{"job_name": "engines", "static_configs": targets}]
        every = {"scrape_interval": f"{interval_s:g}s"}
        return json.dumps({"global": every, "scrape_configs": jobs})


@contextlib.asynccontextmanager
async def scraping(engines: Engines, interval_s: float) -> AsyncIterator[str]:
    """Run a Prometheus that scrapes the pages; yield its address."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = pathlib.Path(name), _free_port()
        (folder / "prometheus.yml").write_text(engines.scraped(interval_s))
        process = await asyncio.create_subprocess_exec(
            shutil.which("prometheus") or "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


@contextlib.asynccontextmanager
async def deciding(engines: Engines, url: str, *, direct: bool) -> AsyncIterator[Board]:
    """Run a scaler's board on a Prometheus, and on the pods where ``direct``."""
    configuration = Configuration(prometheus={"default": PrometheusServer(url=url)})
    known = engines.cluster()
    profiles = engine_profiles(configuration)
    reader = DirectReader(known, profiles=profiles, clock=_now_s) if direct else None
    parse = functools.partial(parse_trigger, configuration=configuration)
    async with prometheus(configuration, known, _now_s, direct=reader) as source:
        board = Board(
            source=source, parse=parse, decide=decide, clock=_now_s, telemetry=Telemetry()
        )
        running = asyncio.create_task(board.run())
        try:
            yield board
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def answer(board: Board, name: str, port: int) -> int | None:
    """Return the count that is answered for an engine now; None: none is."""
    metadata = {
        "scalerAddress": "kvtide:6000",
        "metrics": "concurrency",
        "maxConcurrency": "8",
        "minReplicas": "1",
        "maxReplicas": "20",
        "directScrapePort": str(port),
    }
    try:
        said = await board.latest("llm", name, metadata)
    except KvtideError:
        return None
    return said.decision.replicas if said.decision else None


async def rises(board: Board, engines: Engines, name: str) -> float:
    """Return how long after its surge the answer for an engine rises, seconds."""
    for pause_s in itertools.repeat(_LOOK_S):
        if (await answer(board, name, engines.port) or 0) > 1:
            break
        await asyncio.sleep(pause_s)
    return _now_s() - engines.surged_s[name]


async def measured(interval_s: float, surges: int) -> dict[str, list[float]]:
    """Return the seconds of each surge, by how it was read."""
    engines = Engines(surges)
    async with contextlib.AsyncExitStack() as ends:
        await ends.enter_async_context(engines.serving())
        url = await ends.enter_async_context(scraping(engines, interval_s))
        boards = {
            way: await ends.enter_async_context(deciding(engines, url, direct=direct))
            for way, direct in (("by Prometheus alone", False), ("pods between scrapes", True))
        }
        every = [(board, name) for board in boards.values() for name in engines.names]
        counts: list[int | None] = []
        for _ in range(round(4 * interval_s)):  # until a stable window is known
            counts = [await answer(board, name, engines.port) for board, name in every]
            await asyncio.sleep(1.0)
        if set(counts) != {1}:
            raise SystemExit(f"not calm before the surges: {counts}")
        waiting = []
        for name in engines.names:
            engines.surged_s[name] = _now_s()
            waiting += [asyncio.create_task(rises(one, engines, name)) for one in boards.values()]
            await asyncio.sleep(interval_s / surges)
        seconds = await asyncio.gather(*waiting)
    return {way: list(seconds[at :: len(boards)]) for at, way in enumerate(boards)}


def main() -> None:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--interval", type=float, default=30.0, help="of the scrapes, seconds")
    parser.add_argument("--surges", type=int, default=8)
    args = parser.parse_args()
    found = asyncio.run(measured(args.interval, args.surges))
    for way, seconds in found.items():
        told = f"median {statistics.median(seconds):.1f} s, most {max(seconds):.1f} s"
        print(f"{way}: {told} ({', '.join(f'{one:.1f}' for one in sorted(seconds))})")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
