"""
A real database that falls ill, seen from KEDA's side: what is answered meanwhile, and after.

Nothing is restarted. What stands never asks for less than the truth, and what comes back counts.
"""

import asyncio
import contextlib
import functools
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from scaler.configuration import Configuration, PrometheusServer, ScrapeIntervals
from scaler.documents.trigger import parse_trigger
from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.settings import settings
from scaler.telemetry.observed import Observation
from scaler.wiring.cluster import Hearing
from scaler.wiring.serving import Serving, serving
from scaler.wiring.sources import prometheus
from tests.fakes.exposition import exporter
from tests.fakes.ill_server import IllServer, Result
from tests.fakes.real_prometheus import real_prometheus
from tests.fakes.real_victoria_metrics import real_victoria_metrics
from tests.readings.worlds import busy

pytestmark = pytest.mark.prometheus

SETTINGS = settings(
    flags={"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"},
    file={"tick": "0.2s", "drainDelay": "0s"},
)
CHAT = keda.ScaledObjectRef(
    namespace="serve",
    name="chat",
    scalerMetadata={
        "workload": "StatefulSet/llm",
        "metrics": "concurrency",
        "maxConcurrency": "10",
        "scaleDownDelay": "0s",
    },
)


DATABASES: dict[str, Callable[..., contextlib.AbstractAsyncContextManager[str]]] = {
    "Prometheus": real_prometheus,
    "VictoriaMetrics": real_victoria_metrics,
}
on_each_database = pytest.mark.parametrize("database", DATABASES)


@contextlib.asynccontextmanager
async def world(interval_s: float = 1.0, database: str = "Prometheus") -> AsyncIterator[IllServer]:
    """Run a database that scrapes two pods every so often, behind a server that can be ill."""
    async with world_of(interval_s, database) as (ill, _):
        yield ill


@contextlib.asynccontextmanager
async def world_of(
    interval_s: float, database: str
) -> AsyncIterator[tuple[IllServer, dict[str, str | None]]]:
    """Do the same, and yield the pages that are scraped beside the server."""
    pages: dict[str, str | None] = {f"/sd/{job}": "[]" for job in ("dcgm", "gateway")}
    async with exporter(pages) as pods:
        address = pods.url.removeprefix("http://")
        for name in ("llm-0", "llm-1"):
            pages[f"/{name}"] = busy(running=9, waiting=0)
        pages["/sd/engines"] = found(address, "llm-0", "llm-1")
        pages["/sd/others"] = found(address, "llm-0", "llm-2")
        pages["/llm-2"] = pages["/llm-1"]
        pages["/ksm"] = "".join(
            f'{name}{{namespace="serve",statefulset="llm"}} 2\n'
            for name in (
                "kube_statefulset_replicas",
                "kube_statefulset_status_replicas",
                "kube_statefulset_status_replicas_ready",
            )
        )
        ksm = {"targets": [address], "labels": {"__metrics_path__": "/ksm"}}
        pages["/sd/kube-state-metrics"] = json.dumps([ksm])
        async with (
            DATABASES[database](pods.url, interval_s=interval_s) as url,
            IllServer(url).running() as ill,
        ):
            yield ill, pages


def found(address: str, *names: str) -> str:
    """Return what tells a database to scrape pods of these names."""
    return json.dumps(
        [
            {
                "targets": [address],
                "labels": {"__metrics_path__": f"/{name}", "namespace": "serve", "pod": name},
            }
            for name in names
        ]
    )


@contextlib.asynccontextmanager
async def server(
    url: str,
    cluster: Hearing | None = None,
    clock: Callable[[], float] = time.time,  # noqa: TID251 -- the real server's time
) -> AsyncIterator[tuple[Serving, ExternalScalerStub]]:
    """Run a scaler on the server, and a client."""
    scrape = ScrapeIntervals(engine_s=1.0, cluster_s=1.0)
    answers = PrometheusServer(
        url=url, timeout_s=2.0, ingestion_delay_s=0.0, scrape_interval=scrape
    )
    configuration = Configuration(prometheus={"default": answers})
    parse = functools.partial(parse_trigger, configuration=configuration)
    known = None if cluster is None else cluster.known
    async with (
        prometheus(configuration, known, clock) as source,
        serving(SETTINGS, source=source, parse=parse, cluster=cluster, clock=clock) as made,
        grpc.aio.insecure_channel(f"127.0.0.1:{made.grpc_port}") as channel,
    ):
        yield made, ExternalScalerStub(channel)


async def told(made: Serving, stub: ExternalScalerStub, *reasons: str) -> Observation:
    """Poll as KEDA does until a reason is one of these; no poll says less than the truth."""
    request = keda.GetMetricsRequest(scaledObjectRef=CHAT, metricName="desired-replicas")
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                (value,) = (await stub.GetMetrics(request)).metricValues
                assert value.metricValueFloat == 3
                assert (await stub.IsActive(CHAT)).result
            for one in made.board.observations():
                if one.reason in reasons:
                    return one
            await asyncio.sleep(0.1)


def half(rows: Result) -> Result:
    return [row for row in rows if row["metric"].get("pod") != "llm-1"]


def empty(_: Result) -> Result:
    return []


def not_numbers(rows: Result) -> Result:
    for row in rows:
        if row["metric"].get("__name__", "").startswith("vllm:"):
            row.update({k: [[at, "NaN"] for at, _ in v] for k, v in row.items() if k == "values"})
    return rows


def stray(rows: Result) -> Result:
    """Return every row twice, out of order, and points from five minutes ahead."""
    ahead_s = time.time() + 300  # noqa: TID251 -- the real server's time
    for row in rows:
        if row.get("values"):
            row["values"].append([ahead_s, row["values"][-1][1]])
    return [*reversed(rows), *rows]


ILL: dict[str, dict[str, Any]] = {
    "gone": {"is_gone": True},
    "slow": {"delay_s": 3.0},
    "HTML": {"says": (200, "text/html", "<html>please log in</html>")},
    "partial": {"warnings": ["a store is missing"], "spoil": half},
    "500": {"says": (500, "text/plain", "boom")},
    "huge": {"streams_mb": 100},
    "empty": {"spoil": empty},
    "NaN": {"spoil": not_numbers},
}


@on_each_database
async def test_whatever_befalls_the_server_the_last_decision_stands_and_then_it_goes_on(database):
    async with world(database=database) as well, server(well.url) as (made, stub):
        await told(made, stub, "Demand", "Panic")
        threads = threading.active_count()
        for what, ill in ILL.items():
            vars(well).update(ill)
            held = await told(made, stub, "Held")
            assert "readings" in held.detail, what
            well.recover()
            back = await told(made, stub, "Demand", "Panic", "ScaleDownStabilized")
            assert back.decision is not None, what
            assert made.board.standing.ready, what
        assert 0 < well.sent_mb < 50, "what is too long is not read to its end"
        assert threading.active_count() <= threads + 32, "a thread per query at most"


@on_each_database
@pytest.mark.parametrize("spoil", [half, stray])
async def test_rows_that_are_missing_or_astray_never_lower_the_count(spoil, database):
    async with world(database=database) as well, server(well.url) as (made, stub):
        await told(made, stub, "Demand", "Panic")
        well.spoil = spoil
        before = well.asked
        while well.asked < before + 60:
            found = await told(made, stub, "Demand", "Panic", "Held", "PartialData", "NoData")
            assert found.decision is None or found.decision.replicas in (None, 3)
            await asyncio.sleep(0.05)
        well.recover()
        await told(made, stub, "Demand", "Panic")


@on_each_database
async def test_whatever_befalls_an_engine_no_answer_says_less_than_the_truth(database):
    async with world_of(1.0, database) as (well, pages), server(well.url) as (made, stub):
        await told(made, stub, "Demand", "Panic")
        whole = dict(pages)
        befalls = {
            "it is frozen": {"/llm-1": busy(running=9, waiting=0, generation_tokens_total=7000)},
            "it dies": {"/llm-1": None},
            "it begins anew": {"/llm-1": busy(running=9, waiting=0, generation_tokens_total=1)},
            "it has another name": {"/sd/engines": whole["/sd/others"]},
        }
        for change in befalls.values():
            pages.update(change)
            before = well.asked
            while well.asked < before + 60:
                await told(made, stub, "Demand", "Panic", "Held", "PartialData", "NoData")
                await asyncio.sleep(0.05)
            pages.update(whole)
            await told(made, stub, "Demand", "Panic")


async def test_two_servers_and_one_that_begins_anew_answer_alike():
    async with world() as well, server(well.url) as (one, first):
        await told(one, first, "Demand", "Panic")
        async with server(well.url) as (other, second):
            await told(other, second, "Demand", "Panic")
            well.is_gone = True  # one cut off from what both read, the other as well
            held = await told(one, first, "Held"), await told(other, second, "Held")
            assert {seen.decision.replicas for seen in held if seen.decision} == {3}
            well.recover()
        async with server(well.url) as (anew, third):
            await told(anew, third, "Demand", "Panic")
            await told(one, first, "Demand", "Panic")


@on_each_database
@pytest.mark.parametrize(("by_s", "which"), [(300.0, "behind"), (-300.0, "ahead of")])
async def test_a_clock_that_is_minutes_off_is_told_and_nothing_is_decided_by_it(
    by_s, which, database
):
    off: dict[str, float] = {"by_s": by_s}

    def clock() -> float:
        return time.time() + off["by_s"]  # noqa: TID251 -- the real server's time, and astray

    async with world(database=database) as well, server(well.url, clock=clock) as (made, stub):
        request = keda.GetMetricsRequest(scaledObjectRef=CHAT, metricName="desired-replicas")
        async with asyncio.timeout(60):
            while made.board.standing.failure_kind != "clock":
                with pytest.raises(grpc.aio.AioRpcError):
                    await stub.GetMetrics(request)
        with pytest.raises(
            grpc.aio.AioRpcError, match=f"is (299|30[01]) s {which} this server's"
        ) as caught:
            await stub.GetMetrics(request)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        off["by_s"] = 0.0  # somebody sets it
        await told(made, stub, "Demand", "Panic")
