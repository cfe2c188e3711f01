"""A Prometheus that takes seconds for a query: later, but right; and past that held, with why."""

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.stage import HOST, Intervals, free_port, scaler

pytestmark = pytest.mark.cluster

TEN = {"maxConcurrency": "10", "targetUtilization": "1", "stableWindow": "15s"}
SLOW_S, TOO_SLOW_S = 3.0, 10.0


class Slow:
    """Passes queries on to a Prometheus, each after ``delay_s``."""

    def __init__(self, port):
        self._to, self.delay_s = f"http://127.0.0.1:{port}", 0.0

    @contextlib.asynccontextmanager
    async def serving(self, port):
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            yield
            await runner.cleanup()

    async def _pass_on(self, request):
        await asyncio.sleep(self.delay_s)
        kind = {"Content-Type": request.content_type} if request.can_read_body else {}
        body = await request.read()
        async with self._session.request(
            request.method, self._to + str(request.rel_url), data=body, headers=kind
        ) as answer:
            told = {"Content-Type": answer.content_type}
            if "Content-Encoding" in answer.headers:
                told["Content-Encoding"] = answer.headers["Content-Encoding"]
            return web.Response(status=answer.status, body=await answer.read(), headers=told)


@pytest.mark.parametrize("cluster", [Intervals(engine="5s", cluster="5s")], indirect=True)
async def test_three_seconds_a_query_scale_later_and_ten_hold(cluster, tmp_path, record_property):
    grpc_port, http_port, slow_port = (free_port() for _ in range(3))
    slow = Slow(cluster.prometheus_port)
    slow.delay_s = SLOW_S
    load = await cluster.serve("chat", replicas=1)
    load.running = 28
    async with slow.serving(slow_port):
        reader = scaler(
            tmp_path,
            grpc_port=grpc_port,
            http_port=http_port,
            prometheus_port=slow_port,
            intervals=Intervals(engine="5s", cluster="5s"),
            timeout="10s",
        )
        cluster.http_port = http_port
        await reader.start(f"http://127.0.0.1:{http_port}/healthz")
        try:
            metadata = {**TEN, "scalerAddress": f"{HOST}:{grpc_port}"}
            await cluster.scale("chat", metadata=metadata, minReplicaCount=1)
            record_property("three_s", await cluster.until_replicas("chat", 3))
            load.running = 58
            record_property("six_s", await cluster.until_replicas("chat", 6))

            slow.delay_s = TOO_SLOW_S
            record_property("held_s", await cluster.until(lambda: says(cluster, "is slow")))
            assert (await cluster.decision("chat"))["decision"]["reason"] == "Held"
            load.running = 0
            await asyncio.sleep(20)
            assert await cluster.replicas("chat") == 6
        finally:
            await reader.stop()


async def says(cluster, words):
    """Return whether the scaler's reason has words in it."""
    steps = ((await cluster.decision("chat")).get("decision") or {}).get("steps") or ()
    return any(words in step["detail"] for step in steps)
