"""Every engine and gateway through every database that is installed, and the table of it."""

import asyncio
import contextlib
import itertools
import json
import os
import pathlib
import re
import time

import aiohttp
import pytest

from scaler.configuration import Configuration, PrometheusServer, ScrapeIntervals
from scaler.documents.engines import engine_profiles
from scaler.documents.gateways import gateway_profiles
from scaler.readings.prometheus_source import PrometheusSource
from tests.fakes.exposition import exporter
from tests.fakes.real_prometheus import real_prometheus
from tests.fakes.real_victoria_metrics import real_victoria_metrics
from tests.readings.peers import ENGINES, GATEWAYS

INTERVAL_S = 1.0
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "readings.md"
DATABASES = {
    "Prometheus 2.42": (real_prometheus, False),
    "Prometheus 2.42, exact names": (real_prometheus, True),
    "VictoriaMetrics 1.79": (real_victoria_metrics, False),
}
MOVES = re.compile(r"^(\S*?_(?:total|count|sum)(?:\{.*\})?) (\S+)$", re.MULTILINE)


class MovingPages(dict[str, str | None]):
    """Pages by path; what engines count moves with each scrape, as it does while they work."""

    scrapes = 0

    def get(self, path, default=None):
        page = super().get(path, default)
        if page is None or not path.startswith("/engines/"):
            return page
        self.scrapes += 1
        return MOVES.sub(lambda row: f"{row[1]} {float(row[2]) + self.scrapes}", page)


def targets(peers, job, address):
    return json.dumps(
        [
            {
                "targets": [address],
                "labels": {
                    "__metrics_path__": f"/{job}/{peer.name}",
                    "namespace": "serve",
                    "pod": f"{peer.name}-0",
                    "instance": f"{peer.name}:9090",
                },
            }
            for peer in peers
        ]
    )


async def scraped(url, count, rows):
    """
    Wait until each target was scraped often enough to tell the interval, and its rows are shown.

    VictoriaMetrics shows a new series late to a filter that it has seen, so each ask has another.
    """
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        for ask in itertools.count():
            all_of_it = f'{{job=~"engines|gateway",asked!="{ask}"}}'
            often = await _number(session, url, "count(count_over_time(up[1m]) >= 4)")
            if often >= count and await _number(session, url, f"count({all_of_it})") >= rows:
                return
            await asyncio.sleep(0.5)


async def _number(session, url, query):
    async with session.get(f"{url}/api/v1/query", params={"query": query}) as response:
        rows = (await response.json())["data"]["result"]
    return float(rows[0]["value"][1]) if rows else 0.0


def rows_of(peers):
    lines = (line for peer in peers for line in peer.page.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


@contextlib.asynccontextmanager
async def refusing(url):
    """Stand before a server as Google's does: only exact names are taken."""
    async with aiohttp.ClientSession() as session:

        async def answer(request):
            form = await request.post()
            if "__name__=~" in str(form.get("query")):
                return aiohttp.web.json_response({"error": "only exact names"}, status=400)
            async with session.post(url + request.path, data=dict(form)) as answered:
                return aiohttp.web.Response(
                    body=await answered.read(),
                    status=answered.status,
                    content_type="application/json",
                )

        app = aiohttp.web.Application(client_max_size=1 << 24)
        app.router.add_post("/api/v1/query", answer)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def read_all(url):
    """Return what is read of every peer, by what it is and its version."""
    server = PrometheusServer(
        url=url, scrape_interval=ScrapeIntervals(engine_s=INTERVAL_S), timeout_s=60
    )
    known = Configuration()
    source = PrometheusSource(
        server, profiles=engine_profiles(known), gateways=gateway_profiles(known)
    )
    peers = [*ENGINES, *GATEWAYS]
    now_s = time.time()  # noqa: TID251
    try:
        await source.refresh([peer.workload for peer in peers], 30, now_s)
        return {
            (peer.what, peer.version): of(source.window(peer.workload, 30, now_s).latest, peer)
            for peer in peers
        }
    finally:
        await source.close()


def of(latest, peer):
    if peer.gateway is not None:
        return (latest.gateway_in_flight, latest.gateway_waiting, latest.arrivals_total)
    (one,) = latest.replicas
    usage = None if one.kv_cache_usage is None else round(one.kv_cache_usage, 4)
    return (one.requests_running, one.requests_waiting, usage)


@pytest.mark.prometheus
@pytest.mark.parametrize("database", DATABASES)
async def test_every_peer_is_read_right(database):
    running, exact = DATABASES[database]
    pages = MovingPages()
    async with contextlib.AsyncExitStack() as stack:
        exporters = await stack.enter_async_context(exporter(pages))
        address = exporters.url.removeprefix("http://")
        for job, some in (("engines", ENGINES), ("gateway", GATEWAYS)):
            pages[f"/sd/{job}"] = targets(some, job, address)
            pages.update({f"/{job}/{peer.name}": peer.page for peer in some})
        pages |= {"/sd/dcgm": "[]", "/sd/kube-state-metrics": "[]"}
        url = await stack.enter_async_context(running(exporters.url, interval_s=INTERVAL_S))
        peers = (*ENGINES, *GATEWAYS)
        await scraped(url, len(peers), rows_of(peers))
        if exact:
            url = await stack.enter_async_context(refusing(url))
        read = await read_all(url)
    right = {(peer.what, peer.version): peer.right for peer in peers}
    assert read == right


def table():
    """Return the table that stands where every reading is right, which the tests above say."""
    lines = [
        "| what | version | readings | " + " | ".join(DATABASES) + " |",
        "|---|---|---|" + "---|" * len(DATABASES),
    ]
    for peers, names in (
        (ENGINES, ("running", "waiting", "KV")),
        (GATEWAYS, ("in flight", "waiting", "arrivals")),
    ):
        for peer in peers:
            pairs = zip(names, peer.right, strict=True)
            told = ", ".join(f"{name} {value:g}" for name, value in pairs if value is not None)
            cells = " | ".join(["right"] * len(DATABASES))
            lines.append(f"| {peer.what} | {peer.version} | {told} | {cells} |")
    return "\n".join(lines)


def test_the_page_has_the_table_that_these_tests_make():
    """Written by ``KVTIDE_WRITE_TABLE=1 pytest tests/readings/test_databases_table.py``."""
    begin, end = "<!-- made by tests/readings/test_databases_table.py -->", "<!-- end -->"
    page = PAGE.read_text(encoding="utf-8")
    made = f"{begin}\n{table()}\n{end}"
    if os.environ.get("KVTIDE_WRITE_TABLE"):
        head, _, rest = page.partition(begin)
        PAGE.write_text(head + made + rest.partition(end)[2], encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
    assert made in page
