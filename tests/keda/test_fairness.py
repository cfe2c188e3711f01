"""Whoever changes an object all the time keeps nobody else waiting."""

import asyncio
import itertools

import grpc

from tests.builders import sample, window
from tests.keda.conftest import ref


async def test_clients_that_change_one_object_all_the_time_hold_up_no_other(bench):
    for name in ("restless", "calm"):
        bench.source.windows[f"prod/{name}"] = window(sample(bench.clock.now_s, running=4))
    changes = itertools.count(1)

    async def change() -> None:
        while True:
            asked = ref("restless", maxConcurrency=str(next(changes)))
            try:
                await bench.scaler.IsActive(asked, timeout=30)
            except grpc.aio.AioRpcError:
                continue

    restless = [asyncio.create_task(change()) for _ in range(8)]
    try:
        async with asyncio.timeout(60):
            for name in ("calm", *(f"calm-{number}" for number in range(10))):
                bench.source.windows[f"prod/{name}"] = bench.source.windows["prod/calm"]
                assert (await bench.scaler.IsActive(ref(name))).result
    finally:
        for task in restless:
            task.cancel()
        await asyncio.gather(*restless, return_exceptions=True)
    assert next(changes) > 20
