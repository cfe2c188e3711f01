"""A real grpc.aio server on a free port, over a board that a test feeds by hand."""

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import AsyncIterator, Callable, Iterator

import grpc
import pytest

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.keda._pb.kvtide_pb2_grpc import LendingStub, ScalingStub
from scaler.keda.server import Server, ServerOptions
from scaler.serving.board import Board, Limits, Parse
from scaler.serving.compose import Decide
from scaler.serving.listed import Listed
from scaler.telemetry.process import Telemetry
from tests.builders import sample, window
from tests.fakes.fake_rules import decide, parse
from tests.fakes.fake_source import FakeSource

METRIC = "desired-replicas"


@dataclasses.dataclass
class Clock:
    """Unix seconds that pass when a test says so."""

    now_s: float = 10_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclasses.dataclass(kw_only=True)
class Bench:
    """The server, its seams, and a client."""

    source: FakeSource
    clock: Clock
    telemetry: Telemetry
    board: Board
    server: Server
    port: int
    channel: grpc.aio.Channel

    @property
    def scaler(self) -> ExternalScalerStub:
        return ExternalScalerStub(self.channel)

    @property
    def lending(self) -> LendingStub:
        return LendingStub(self.channel)

    @property
    def scaling(self) -> ScalingStub:
        return ScalingStub(self.channel)

    def runs(self, key: str, running: float) -> None:
        """Let a workload run that many requests from now on, one more bucket later."""
        self.clock.now_s += 5
        self.source.windows[key] = window(sample(self.clock.now_s, running=running))

    async def tick(self) -> None:
        await self.board.tick()

    async def metrics(self, ref: keda.ScaledObjectRef, metric: str = METRIC):
        request = keda.GetMetricsRequest(scaledObjectRef=ref, metricName=metric)
        return await self.scaler.GetMetrics(request)

    async def count(self, ref: keda.ScaledObjectRef) -> float:
        (value,) = (await self.metrics(ref)).metricValues
        return float(value.metricValueFloat)


def ref(name: str = "llm", namespace: str = "prod", **metadata: str) -> keda.ScaledObjectRef:
    return keda.ScaledObjectRef(name=name, namespace=namespace, scalerMetadata=metadata)


LIMITS = Limits(tick_s=60.0, first_answer_s=1.0)
"""Ticks come from the test; the first answer of an object does not wait for one."""

OPTIONS = ServerOptions(address="127.0.0.1:0", drain_delay_s=0.0, drain_grace_s=1.0)


@contextlib.asynccontextmanager
async def serve(
    *,
    limits: Limits = LIMITS,
    options: ServerOptions = OPTIONS,
    clock: Clock | None = None,
    parse: Parse = parse,
    decide: Decide = decide,
    listed: Listed | None = None,
    has_room: Callable[[], bool] = lambda: True,
) -> AsyncIterator[Bench]:
    source, clock, telemetry = FakeSource(), clock or Clock(), Telemetry()
    board = Board(
        source=source,
        parse=parse,
        decide=decide,
        clock=clock,
        telemetry=telemetry,
        limits=limits,
        listed=listed,
        has_room=has_room,
    )
    telemetry.show_objects(board.observations, clock)
    server = Server(board, telemetry, rng=random.Random(1), options=options)
    port = await server.start()
    background = asyncio.create_task(board.run())
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield Bench(
            source=source,
            clock=clock,
            telemetry=telemetry,
            board=board,
            server=server,
            port=port,
            channel=channel,
        )
    finally:
        await channel.close(grace=None)
        await server.drain()
        background.cancel()
        await asyncio.gather(background, return_exceptions=True)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with serve() as made:
        yield made


@contextlib.contextmanager
def refused(code: grpc.StatusCode, *words: str) -> Iterator[None]:
    """Expect a status with a message that has all ``words``."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert caught.value.code() is code
    for word in words:
        assert word in (caught.value.details() or "")
