"""``kvtide serve`` as a process of its own: a Prometheus in, gRPC and HTTP out, SIGTERM to end."""

import asyncio
import contextlib
import json
import pathlib
import signal
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
import grpc
import pytest
from aiohttp import web

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.fakes.fake_prometheus import FakePrometheus, fake_prometheus
from tests.readings.worlds import busy

METADATA = {
    "scalerAddress": "kvtide:6000",
    "workload": "StatefulSet/llm",
    "metrics": "concurrency",
    "maxConcurrency": "10",
}
CHAT = keda.ScaledObjectRef(namespace="serve", name="chat", scalerMetadata=METADATA)


class Process:
    """A server that was started, and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, object]] = []

    async def line(self, message: str) -> dict[str, object]:
        """Return the next line of the log with a message."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while text := await self.process.stderr.readline():
                self.lines.append(json.loads(text))
                if self.lines[-1]["message"] == message:
                    return self.lines[-1]
        raise AssertionError(f"{message!r} was not logged: {self.lines}")


@contextlib.asynccontextmanager
async def started(folder: pathlib.Path, url: str, **more: str) -> AsyncIterator[Process]:
    configuration = {
        "prometheus": {
            "default": {"url": url, "ingestionDelay": "0s", "scrapeInterval": {"engine": "5s"}}
        },
        "server": {"drainDelay": "0s", "tick": "0.2s", **more},
    }
    path = folder / "kvtide.yaml"
    path.write_text(json.dumps(configuration))  # JSON is YAML
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "serve", "--config", str(path)),
        *("--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def minutes_of(fake: FakePrometheus, running: float) -> None:
    """Scrape one replica for two minutes until now."""
    for age_s in range(120, -1, -5):
        at_s = time.time() - age_s  # noqa: TID251 -- the server under test has a real clock
        page = busy(running=running, waiting=0.0, generation_tokens_total=1e6 - age_s)
        fake.scrape(at_s, page, namespace="serve", pod="llm-0")


async def count(stub: ExternalScalerStub) -> float:
    request = keda.GetMetricsRequest(scaledObjectRef=CHAT, metricName="desired-replicas")
    (value,) = (await stub.GetMetrics(request)).metricValues
    return float(value.metricValueFloat)


async def test_it_answers_from_prometheus_says_what_ails_it_and_ends_cleanly(tmp_path):
    async with fake_prometheus() as fake, started(tmp_path, fake.url) as server:
        fields = await server.line("serving")
        page = f"http://127.0.0.1:{fields['http']}"
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{fields['grpc']}") as channel,
            aiohttp.ClientSession() as http,
        ):
            stub = ExternalScalerStub(channel)
            fake.answer = web.Response(text="<html>")
            with pytest.raises(grpc.aio.AioRpcError, match="format: ") as caught:
                await count(stub)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

            fake.answer = None
            minutes_of(fake, running=14)
            decided = await server.line("decision")
            while decided["replicas"] is None:
                decided = await server.line("decision")
            assert await count(stub) == decided["replicas"] == 2

            async with http.get(f"{page}/api/decisions/serve/chat") as response:
                assert (await response.json())["decision"]["replicas"] == 2
            async with http.get(f"{page}/readyz") as response:
                assert response.status == 200

            stream = stub.StreamIsActive(CHAT)
            assert (await anext(aiter(stream))).result is True
            server.process.send_signal(signal.SIGTERM)
            assert [one async for one in stream] == []
            assert await stream.code() is grpc.StatusCode.OK
        assert await asyncio.wait_for(server.process.wait(), 20) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "prometheus: missing; state a server"),
        (["--grpc-address", "nowhere"], "--grpc-address: got 'nowhere'; allowed: host:port"),
        (["--config", "absent.yaml"], "absent.yaml: cannot be read: No such file"),
    ],
    ids=["no Prometheus", "a wrong flag", "no file"],
)
async def test_a_mistake_is_named_and_ends_it_with_two(tmp_path, arguments, words):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "serve", *arguments),
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert words in stderr.decode()
    assert "Traceback" not in stderr.decode()
