"""An external scaler that answers what a test says, over real gRPC, and notes what it is asked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from scaler.keda._pb import externalscaler_pb2 as pb
from scaler.keda._pb import kvtide_pb2
from scaler.keda._pb.externalscaler_pb2_grpc import (
    ExternalScalerServicer,
    add_ExternalScalerServicer_to_server,
)
from scaler.keda._pb.kvtide_pb2_grpc import LendingServicer, add_LendingServicer_to_server

Context = grpc.aio.ServicerContext[Any, Any]


class FakeScaler(ExternalScalerServicer, LendingServicer):
    """
    Attributes:
        value: what GetMetrics says; None: an error.
        pushes, lent: what the two streams send, in order; a None in them ends the stream cleanly.
        calls: methods in the order they were called.
    """

    def __init__(self) -> None:
        self.value: float | None = 1.0
        self.active = True
        self.spec_fails = False
        self.calls: list[str] = []
        self.metadata: dict[str, str] = {}
        self.pushes: asyncio.Queue[bool | None] = asyncio.Queue()
        self.lent: asyncio.Queue[int | None] = asyncio.Queue()
        self._called = asyncio.Event()
        self._server = grpc.aio.server()
        add_ExternalScalerServicer_to_server(self, self._server)
        add_LendingServicer_to_server(self, self._server)

    async def start(self) -> str:
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def stop(self) -> None:
        await self._server.stop(0)

    def _note(self, method: str) -> None:
        self.calls.append(method)
        self._called.set()

    async def asked(self, method: str, times: int) -> None:
        """Wait until a method was called so many times more, five seconds at most."""
        wanted = self.calls.count(method) + times
        async with asyncio.timeout(5):
            while self.calls.count(method) < wanted:
                self._called.clear()
                await self._called.wait()

    async def GetMetricSpec(self, request: pb.ScaledObjectRef, context: Context) -> Any:  # noqa: N802 - the name is the contract\'s
        self._note("GetMetricSpec")
        self.metadata = dict(request.scalerMetadata)
        if self.spec_fails:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no spec")
        spec = pb.MetricSpec(metricName="desired-replicas", targetSize=1, targetSizeFloat=1.0)
        return pb.GetMetricSpecResponse(metricSpecs=[spec])

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Context) -> Any:  # noqa: N802 - the name is the contract\'s
        self._note("GetMetrics")
        if self.value is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no fresh data")
        value = pb.MetricValue(metricName=request.metricName, metricValueFloat=self.value or 0.0)
        return pb.GetMetricsResponse(metricValues=[value])

    async def IsActive(self, request: pb.ScaledObjectRef, context: Context) -> Any:  # noqa: N802 - the name is the contract\'s
        self._note("IsActive")
        return pb.IsActiveResponse(result=self.active)

    async def StreamIsActive(  # noqa: N802
        self, request: pb.ScaledObjectRef, context: Context
    ) -> AsyncIterator[pb.IsActiveResponse]:
        self._note("StreamIsActive")
        while (active := await self.pushes.get()) is not None:
            yield pb.IsActiveResponse(result=active)

    async def Watch(  # noqa: N802
        self, request: kvtide_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[kvtide_pb2.Lent]:
        self._note("Watch")
        while (workers := await self.lent.get()) is not None:
            yield kvtide_pb2.Lent(workers=None if workers < 0 else workers, reason="Lent")
