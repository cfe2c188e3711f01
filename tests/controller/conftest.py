"""A controller over a fake API server, and over a real Lending stream that a test speaks on."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from scaler.controller.kube import Kube
from scaler.controller.loop import Controller, Rules
from scaler.keda._pb.kvtide_pb2 import Lent, WatchRequest
from scaler.keda._pb.kvtide_pb2_grpc import LendingServicer, add_LendingServicer_to_server
from scaler.readings.kubernetes.api import discovered
from tests.fakes.fake_kubernetes import FakeKubernetes

PATIENCE_S = 10.0


class Speaker(LendingServicer):
    """The scaler's side of Watch: says what the test says, at once."""

    def __init__(self) -> None:
        self.latest: Lent | None = None
        self.changed = asyncio.Event()
        self.watched: list[str] = []

    def say(self, workers: int | None, reason: str = "Lent") -> None:
        self.latest = Lent(workers=workers, reason=reason, at=1.0, seq=1)
        self.changed.set()
        self.changed = asyncio.Event()

    async def Watch(  # noqa: N802 -- the contract's name
        self, request: WatchRequest, context: grpc.aio.ServicerContext[WatchRequest, Lent]
    ) -> AsyncIterator[Lent]:
        self.watched.append(f"{request.namespace}/{request.name}")
        while True:
            changed = self.changed
            if self.latest is not None:
                yield self.latest
            await changed.wait()


@dataclasses.dataclass
class Bench:
    """Everything a controller touches."""

    api: FakeKubernetes
    speaker: Speaker
    reclaimed: list[tuple[str, str, float]]

    async def until(self, holds):
        """Wait until something holds of the API's objects, which only change by a write."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await self.api.changed.wait()

    async def until_read(self, plural):
        """Wait until a kind is watched."""
        await self.until(
            lambda: any(f"/{plural}?" in path and "watch" in path for path in self.api.asked)
        )


@contextlib.asynccontextmanager
async def reached(
    api: FakeKubernetes, serve: Callable[[grpc.aio.Server], None]
) -> AsyncIterator[tuple[Kube, grpc.aio.Channel]]:
    """Reach the API, and a scaler that ``serve`` adds its services to."""
    server = grpc.aio.server()
    serve(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with TestServer(api.application()) as http, contextlib.AsyncExitStack() as ends:
        configuration = Configuration(host=str(http.make_url("")).rstrip("/"))
        client = await ends.enter_async_context(ApiClient(configuration))
        channel = await ends.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        try:
            yield Kube(await discovered(client), None), channel
        finally:
            await server.stop(None)


@contextlib.asynccontextmanager
async def running(api: FakeKubernetes, *, blind_reclaim_after_s: float = 300.0):
    speaker, reclaimed = Speaker(), []

    def serve(server: grpc.aio.Server) -> None:
        add_LendingServicer_to_server(speaker, server)

    async with reached(api, serve) as (kube, channel):
        clock = asyncio.get_running_loop().time
        rules = Rules(
            blind_reclaim_after_s=blind_reclaim_after_s,
            on_reclaimed=lambda *freed: reclaimed.append(freed),
        )
        controller = Controller(kube, channel, clock=clock, rules=rules)
        task = asyncio.create_task(controller.run())
        try:
            yield Bench(api=api, speaker=speaker, reclaimed=reclaimed)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def api():
    return FakeKubernetes()


@pytest.fixture
async def bench(api):
    async with running(api) as bench:
        yield bench
