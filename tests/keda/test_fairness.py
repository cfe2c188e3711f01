"""Whoever changes an object all the time keeps nobody else waiting."""

import asyncio
import itertools
import threading
from collections.abc import Callable

import grpc

from tests.builders import sample, window
from tests.fakes.fake_rules import parse
from tests.keda.conftest import ref, serve


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


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


async def test_texts_are_parsed_beside_the_loop_and_one_of_an_object_waits_at_a_time():
    parsed: list[str] = []
    may_go_on = threading.Event()

    def slowly(namespace, name, metadata):
        parsed.append(name)
        assert name == "calm" or may_go_on.wait(30)
        return parse(namespace, name, metadata)

    async with serve(parse=slowly) as bench:
        for name in ("calm", "restless", "new"):
            bench.source.windows[f"prod/{name}"] = window(sample(bench.clock.now_s, running=4))
        assert (await bench.scaler.IsActive(ref("calm"))).result

        changes = [
            asyncio.create_task(bench.count(ref("restless", maxConcurrency=str(number))))
            for number in range(1, 9)
        ]
        await until(lambda: "restless" in parsed)
        assert (await bench.scaler.IsActive(ref("calm"))).result  # while one is being parsed
        new = asyncio.create_task(bench.count(ref("new")))
        await until(lambda: "prod/new" in bench.board._entries)
        may_go_on.set()
        assert await new
        await asyncio.gather(*changes, return_exceptions=True)
    assert parsed.index("new") <= 3
