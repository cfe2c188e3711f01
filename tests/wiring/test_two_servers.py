"""
Two ``kvtide serve`` on one Prometheus, of which one is cut off, drained, killed and begun anew.

KEDA reaches either. Whatever befalls one of them, no answer of any says less than the truth.
"""

import asyncio
import contextlib
import os
import signal

import aiohttp
import grpc
import pytest
from aiohttp.test_utils import TestServer

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.fakes.fake_kubernetes import FakeKubernetes
from tests.fakes.ill_server import IllServer
from tests.readings.kubernetes.recorded import scaled_object
from tests.soak import Running, serve
from tests.wiring.test_faults import CHAT, world

pytestmark = pytest.mark.prometheus
PATIENCE_S = 120.0
SCRAPES_S = 2.0
"""A reading stands for 2.5 of these: a machine that is busy for two seconds makes nobody silent."""
TRUTH = 3.0
"""Replicas that two pods of nine requests each ask for, at seven requests a replica."""
DECIDED = ("Demand", "Panic", "ScaleDownStabilized")
UNAVAILABLE, DEADLINE_EXCEEDED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
REQUEST = keda.GetMetricsRequest(scaledObjectRef=CHAT, metricName="desired-replicas")


class Polling:
    """KEDA's polls of one server: what was said, and with which code nothing was."""

    def __init__(self, port: int) -> None:
        self.said: list[float] = []
        self.refused: list[grpc.StatusCode] = []
        self._port = port

    async def run(self) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._port}") as channel:
            stub = ExternalScalerStub(channel)
            while True:
                try:
                    (value,) = (await stub.GetMetrics(REQUEST, timeout=20)).metricValues
                    self.said.append(value.metricValueFloat)
                    assert (await stub.IsActive(CHAT, timeout=20)).result
                except grpc.aio.AioRpcError as error:
                    self.refused.append(error.code())
                await asyncio.sleep(0.1)

    async def until(self, number: float) -> None:
        """Wait until a number is said."""
        async with asyncio.timeout(PATIENCE_S):
            while self.said[-1:] != [number]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def more(self, count: int = 3) -> None:
        """Wait for some more numbers."""
        wanted = len(self.said) + count
        async with asyncio.timeout(PATIENCE_S):
            while len(self.said) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def polled(running: Running):
    polling = Polling(running.grpc_port)
    task = asyncio.create_task(polling.run())
    try:
        yield polling
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_reason(running: Running, *reasons: str) -> None:
    """Wait until a server gives one of some reasons."""
    url = f"http://127.0.0.1:{running.http_port}/api/decisions/serve/chat"
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
        while True:
            async with http.get(url) as response:
                found = await response.json() if response.status == 200 else {}
            if (found.get("decision") or {}).get("reason") in reasons:
                return
            await asyncio.sleep(0.1)


async def gone(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
    async with asyncio.timeout(30):
        while os.path.exists(f"/proc/{pid}/fd"):  # noqa: PTH110, ASYNC110, ASYNC240
            await asyncio.sleep(0.05)


async def test_whatever_befalls_one_of_two_no_answer_says_less_than_the_truth():
    kubernetes = FakeKubernetes()
    chat = scaled_object(CHAT.namespace, CHAT.name, CHAT.scalerMetadata)
    kubernetes.put("scaledobjects", chat)
    async with (
        world(SCRAPES_S) as one_way,
        IllServer(one_way.url).running() as other_way,
        TestServer(kubernetes.application()) as api,
    ):
        cluster = str(api.make_url("")).rstrip("/")
        said: list[float] = []
        async with serve(one_way.url, cluster) as stays, polled(stays) as steady:
            # A pod is scraped before the other one, and for as long again the mean over what was
            # seen is that of one alone: the truth is told from when it is first said.
            await steady.until(TRUTH)
            steady.said.clear()
            async with serve(other_way.url, cluster) as other, polled(other) as second:
                await steady.more()
                await second.more()
                other_way.is_gone = True  # cut off from what both read
                await until_reason(other, "Held")
                await second.more()
                other_way.recover()
                await until_reason(other, *DECIDED)
                await gone(other.pid, signal.SIGTERM)
                said += second.said
            async with serve(one_way.url, cluster) as anew, polled(anew) as third:
                await third.more()
                await gone(anew.pid, signal.SIGKILL)
                said += third.said
            await steady.more()
            # No number is no lower number: KEDA keeps what is, as before the first read.
            assert {*steady.refused} <= {UNAVAILABLE, DEADLINE_EXCEEDED}, steady.refused
            assert {*said, *steady.said} == {TRUTH}, (second.said, third.said, steady.said)
