"""A log that cannot be written: whoever asks is answered all the same."""

import asyncio
import contextlib
import json
import pathlib
import signal
import socket
import sys

import aiohttp
import grpc
import pytest

from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.fakes.fake_prometheus import fake_prometheus
from tests.test_serve_command import count, minutes_of

FULL = pathlib.Path("/dev/full")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full, a disk without room")
async def test_a_full_disk_under_the_log_keeps_nobody_from_an_answer(tmp_path):
    ports = free_port(), free_port()
    async with fake_prometheus() as fake:
        minutes_of(fake, running=14)
        scrape = {"engine": "5s"}
        server = {"url": fake.url, "ingestionDelay": "0s", "scrapeInterval": scrape}
        stated = {"prometheus": {"default": server}, "server": {"drainDelay": "0s"}}
        (tmp_path / "kvtide.yaml").write_text(json.dumps(stated))
        with FULL.open("w") as full:  # noqa: ASYNC230 -- a device that takes nothing
            process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-m",
                    "scaler",
                    "serve",
                    "--config",
                    str(tmp_path / "kvtide.yaml"),
                ),
                *("--grpc-address", f"127.0.0.1:{ports[0]}"),
                *("--http-address", f"127.0.0.1:{ports[1]}"),
                stderr=full,
            )
        try:
            async with (
                asyncio.timeout(120),
                grpc.aio.insecure_channel(f"127.0.0.1:{ports[0]}") as channel,
                aiohttp.ClientSession() as http,
            ):
                answer = 0.0
                while answer != 2:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        answer = await count(ExternalScalerStub(channel))
                    await asyncio.sleep(0.2)
                async with http.get(f"http://127.0.0.1:{ports[1]}/readyz") as response:
                    assert response.status == 200
                process.send_signal(signal.SIGTERM)
                assert await process.wait() in (0, 120)  # 120: Python could not flush its stderr
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
