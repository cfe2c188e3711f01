"""Two tenants on one server that is slow for one of them, seen from KEDA's side and by metrics."""

import asyncio
import contextlib
import re
import time

import aiohttp
import grpc

from scaler.keda._pb import externalscaler_pb2 as keda
from tests.fakes.fake_prometheus import FakePrometheus, fake_prometheus
from tests.readings.worlds import busy
from tests.wiring.test_faults import CHAT, server


@contextlib.asynccontextmanager
async def scraping(fake: FakePrometheus):
    """Scrape a busy pod of each tenant twice a second, as was done before."""

    def scrape(at_s: float) -> None:
        for name in ("calm", "heavy"):
            fake.scrape(at_s, busy(running=9, waiting=0), namespace=name, pod="llm-0")

    async def go_on() -> None:
        while True:
            scrape(time.time())  # noqa: TID251 -- a server's own clock
            await asyncio.sleep(0.5)

    now_s = time.time()  # noqa: TID251
    for age_s in range(90, 0, -1):
        scrape(now_s - age_s)
    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_tenant_whose_readings_take_long_keeps_no_other_one_from_an_answer():
    about = {
        name: keda.ScaledObjectRef(
            namespace=name, name="chat", scalerMetadata={**CHAT.scalerMetadata, "holdFor": "10s"}
        )
        for name in ("calm", "heavy")
    }
    async with (
        fake_prometheus() as fake,
        scraping(fake),
        server(fake.url) as (made, stub),
        aiohttp.ClientSession() as http,
        asyncio.timeout(90),
    ):
        metrics = [""]

        async def poll(name: str) -> float:
            request = keda.GetMetricsRequest(
                scaledObjectRef=about[name], metricName="desired-replicas"
            )
            (value,) = (await stub.GetMetrics(request)).metricValues
            return float(value.metricValueFloat)

        async def until(seen) -> None:
            while True:
                for name in about:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        assert await poll(name) == 2
                async with http.get(f"http://127.0.0.1:{made.http_port}/metrics") as page:
                    metrics[0] = await page.text()
                if seen({one.namespace: one for one in made.board.observations()}):
                    return
                await asyncio.sleep(0.1)

        def apart() -> float:
            return float(
                re.findall(r"^kvtide_namespaces_asked_apart (\S+)$", metrics[0], re.MULTILINE)[0]
            )

        def decided_since(at_s: float):
            return lambda found: all(one.newest_s and one.newest_s > at_s for one in found)

        await until(lambda seen: all(one.decision for one in seen.values()) and len(seen) == 2)
        fake.slow = {("heavy",): 30.0}
        await until(lambda _: apart() == 1)
        found_s = time.time()  # noqa: TID251
        # The last decision on heavy's readings has stood long enough; calm's are read all the time.
        await until(lambda seen: "is asked apart" in seen["heavy"].detail)
        await until(lambda seen: decided_since(found_s + 3)([seen["calm"]]))
        assert await poll("calm") == 2
        seen = {one.namespace: one for one in made.board.observations()}
        assert (seen["heavy"].newest_s or 0) < found_s

        fake.slow = {}
        back_s = time.time()  # noqa: TID251
        await until(lambda seen: decided_since(back_s)(seen.values()))
        await until(lambda _: apart() == 0)
