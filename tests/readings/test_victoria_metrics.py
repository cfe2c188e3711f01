"""VictoriaMetrics itself: answers as of now, limits that halve, and many namespaces at once."""

import asyncio
import json
import time

import aiohttp
import pytest

from scaler.configuration import PrometheusServer, ScrapeIntervals
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.prometheus_source import PrometheusSource
from scaler.source import Workload
from tests.fakes.exposition import exporter
from tests.fakes.real_victoria_metrics import real_victoria_metrics
from tests.readings.worlds import busy, row

pytestmark = pytest.mark.prometheus

SPACES = [f"a-namespace-with-a-long-name-{number:03d}" for number in range(300)]
FLAGS = ("-search.maxUniqueTimeseries=30",)


def workload(namespace):
    return Workload(
        namespace=namespace,
        scaled_object="llm",
        kind="StatefulSet",
        name="llm",
        arrival_query="came",
    )


def targets(url, names):
    address = url.removeprefix("http://")
    return json.dumps(
        [
            {
                "targets": [address],
                "labels": {"__metrics_path__": "/page", "namespace": name, "pod": "llm-0"},
            }
            for name in names
        ]
    )


async def seen(url, names):
    query = {"query": f'count(up{{namespace=~"{"|".join(names)}"}})', "nocache": "1"}
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/api/v1/query", params=query) as response:
                rows = (await response.json())["data"]["result"]
            if rows and float(rows[0]["value"][1]) >= len(names):
                return
            await asyncio.sleep(0.5)


async def test_three_hundred_namespaces_of_which_forty_serve_are_read_as_of_now():
    page = busy(running=0, waiting=3, generation_tokens_total=7) + row("came_total", 5)
    pages: dict[str, str | None] = {f"/sd/{job}": "[]" for job in ("dcgm", "gateway")}
    pages |= {"/sd/kube-state-metrics": "[]", "/page": page}
    query = (
        'label_replace(sum by (namespace) (came_total{namespace=~"$namespace"}),'
        '"workload","llm","","")'
    )
    async with exporter(pages) as exporters:
        exporters.pages["/sd/engines"] = targets(exporters.url, SPACES[:40])
        server = real_victoria_metrics(exporters.url, interval_s=1.0, flags=FLAGS)
        async with server as url:
            await seen(url, SPACES[:20])
            await seen(url, SPACES[20:40])
            source = PrometheusSource(
                PrometheusServer(url=url, scrape_interval=ScrapeIntervals(engine_s=1.0)),
                profiles=shipped_profiles(),
                queries={"came": query},
            )
            workloads = [workload(name) for name in SPACES]
            for _ in range(8):
                now_s = time.time()  # noqa: TID251 -- the server's own clock
                await source.refresh(workloads, 30, now_s)
                await asyncio.sleep(1)
            now_s = time.time()  # noqa: TID251
            await source.refresh(workloads, 30, now_s)
            for one in workloads[:40]:
                window = source.window(one, 30, now_s)
                assert now_s - window.now_s < 10
                assert window.latest.replicas[0].requests_waiting == 3
                assert window.latest.arrivals_total == 5
            await source.close()
