"""SIGTERM ends a process in time, whatever is under way."""

import asyncio
import json
import pathlib
import resource
import signal
import sys

import aiohttp
import grpc
import pytest

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.wiring.serving import LEAVING_S, MOST_FILES
from tests.fakes.fake_prometheus import fake_prometheus
from tests.test_serve_command import CHAT, started

BUSY = """
import asyncio
from scaler.wiring.stopping import on_stop

async def main():
    on_stop(lambda: None, within_s=0.1)
    print("ready", flush=True)
    {work}

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("while True: pass", id="a loop that has no time"),
        pytest.param("await asyncio.Event().wait()", id="something that never ends"),
        pytest.param(
            "await asyncio.to_thread(__import__('time').sleep, 1000)", id="a thread that goes on"
        ),
    ],
)
async def test_a_process_ends_by_its_deadline(work):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BUSY.format(work=work)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert b"cut what was still under way 0.1 s after" in stderr


async def test_questions_about_the_past_do_not_hold_up_the_end(tmp_path):
    async with fake_prometheus() as fake, started(tmp_path, fake.url, drainGrace="0s") as server:
        fields = await server.line("serving")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{fields['grpc']}") as channel:
            request = keda.GetMetricsRequest(scaledObjectRef=CHAT, metricName="desired-replicas")
            with pytest.raises(grpc.aio.AioRpcError):
                await ExternalScalerStub(channel).GetMetrics(request)
        fake.delay_s = 1000.0
        asked = f"http://127.0.0.1:{fields['http']}/api/decisions/serve/chat?at=100"
        async with aiohttp.ClientSession() as http:
            statuses = await asyncio.gather(*(status_of(http, asked) for _ in range(20)))
        assert statuses.count(429) >= 12
        assert statuses.count(None) <= 8
        files = open_files_allowed(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        told_s = loop.time()
        assert await asyncio.wait_for(server.process.wait(), 30) == 0
        # Its own deadline, and what a busy machine takes on top of it.
        assert loop.time() - told_s < LEAVING_S + 8
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    assert files >= most


def open_files_allowed(pid: int) -> int:
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
    (soft,) = (line.split()[3] for line in limits if line.startswith("Max open files"))
    return int(soft)


async def status_of(http: aiohttp.ClientSession, url: str) -> int | None:
    """Ask, and go away after a second; None: there was no answer by then."""
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=1)) as response:
            json.loads(await response.text())
            return response.status
    except TimeoutError:
        return None
