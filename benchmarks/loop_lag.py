"""
How late the loop that answers is while a workload of a thousand pods is read and decided on.

    python -m benchmarks.loop_lag --pods 1000 --seconds 120

A real ``kvtide serve`` reads a real Prometheus that scrapes that many vLLM pods every five seconds;
the server's own ``kvtide_event_loop_lag_seconds`` says how late its loop was. Beside it a process
that does nothing but sleep says how late the machine itself is.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import pathlib
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
from aiohttp import web

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.lab.prometheus import Prometheus, binary

INTERVAL_S = 5.0
SHARES = (0.5, 0.99, 0.999)
METADATA = {
    "scalerAddress": "kvtide:6000",
    "workload": "StatefulSet/llm",
    "metrics": "work,concurrency",
    "maxConcurrency": "48",
    "stepCost": "a=20ms,b=300us,c=50us",
}
BUCKET = re.compile(r'^kvtide_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', re.MULTILINE)
CONTROL = """
import asyncio
from scaler.wiring.lag import watch
asyncio.run(watch(lambda late_s: print(late_s, flush=True)))
"""


def page(pods: int, at_s: float) -> str:
    """Return what the pods of one workload expose, and what the cluster says of them."""
    lines = [
        f'{name}{{namespace="serve",statefulset="llm"}} {pods}'
        for name in (
            "kube_statefulset_replicas",
            "kube_statefulset_status_replicas",
            "kube_statefulset_status_replicas_ready",
        )
    ]
    for number in range(pods):
        labels = f'namespace="serve",pod="llm-{number}",engine="0",model_name="m"'
        busy = 20 + 10 * math.sin(at_s / 60 + number)
        lines += [
            f"vllm:num_requests_running{{{labels}}} {busy:.0f}",
            f"vllm:num_requests_waiting{{{labels}}} {number % 3}",
            f"vllm:kv_cache_usage_perc{{{labels}}} {busy / 40:.4f}",
            f"vllm:prompt_tokens_total{{{labels}}} {at_s * 900 + number:.0f}",
            f"vllm:generation_tokens_total{{{labels}}} {at_s * 300 + number:.0f}",
            f'vllm:request_success_total{{{labels},finished_reason="stop"}} {at_s * 2:.0f}',
            f"vllm:num_preemptions_total{{{labels}}} 0",
        ]
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def exporters(pods: int) -> AsyncIterator[str]:
    """Serve the page of all pods, and where Prometheus finds it."""
    app, address = web.Application(), [""]

    async def found(request: web.Request) -> web.Response:
        ours = request.match_info["job"] == "kube-state-metrics"
        return web.json_response([{"targets": [address[0]]}] if ours else [])

    async def exposed(_: web.Request) -> web.Response:
        return web.Response(text=page(pods, time.monotonic()))

    app.router.add_get("/sd/{job}", found)
    app.router.add_get("/metrics", exposed)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address[0] = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield f"http://{address[0]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def serving(url: str) -> AsyncIterator[tuple[int, int, int]]:
    """Run the server; yield its process and its two ports."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "kvtide.yaml"
        server = {"drainDelay": "0s", "kubernetes": "off", "logLevel": "info"}
        prometheus = {"url": url, "ingestionDelay": "0s", "timeout": "30s"}
        path.write_text(json.dumps({"prometheus": {"default": prometheus}, "server": server}))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "scaler", "serve", "--config", str(path)),
            *("--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"),
            stderr=asyncio.subprocess.PIPE,
        )
        if process.stderr is None:
            raise AssertionError
        said: dict[str, Any] = {}
        while said.get("message") != "serving":
            said = json.loads(await process.stderr.readline())
        drain = asyncio.create_task(process.stderr.read())
        try:
            yield process.pid, said["grpc"], said["http"]
        finally:
            process.terminate()
            await process.wait()
            await drain


async def lags(http: aiohttp.ClientSession, port: int) -> dict[float, float]:
    """Return how many timers came how late at most, so far."""
    async with http.get(f"http://127.0.0.1:{port}/metrics") as response:
        found = BUCKET.findall(await response.text())
    return {float(le): float(count) for le, count in found}


def quantile(counts: dict[float, float], share: float) -> float:
    """Return a quantile of cumulative counts by upper bound, as histogram_quantile does."""
    wanted, below_s, below = share * counts[math.inf], 0.0, 0.0
    for bound_s, count in counts.items():
        if count >= wanted:
            inside = (wanted - below) / (count - below) if count > below else 1.0
            return below_s + inside * (bound_s - below_s)
        below_s, below = bound_s, count
    return math.inf


async def keep_polling(port: int, taken_s: list[float]) -> None:
    """Poll as KEDA does, once a second."""
    asked = keda.ScaledObjectRef(namespace="serve", name="llm", scalerMetadata=METADATA)
    request = keda.GetMetricsRequest(scaledObjectRef=asked, metricName="desired-replicas")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ExternalScalerStub(channel)  # type: ignore[no-untyped-call]
        while True:
            began_s = time.perf_counter()
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.GetMetrics(request, timeout=30)
                taken_s.append(time.perf_counter() - began_s)
            await asyncio.sleep(1.0)


async def watched(
    http: aiohttp.ClientSession, port: int, seconds: float
) -> tuple[dict[float, float], list[float]]:
    """Return the lags of a while, cumulative by bound, and those of a process that sleeps."""
    control = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CONTROL), stdout=asyncio.subprocess.PIPE
    )
    before = await lags(http, port)
    await asyncio.sleep(seconds)
    after = await lags(http, port)
    control.terminate()
    told, _ = await control.communicate()
    seen = {bound_s: after[bound_s] - before[bound_s] for bound_s in after}
    return seen, sorted(float(line) for line in told.split())


async def measured(pods: int, seconds: float) -> None:
    """Run, and print what was found."""
    program = binary()
    if program is None:
        sys.exit("no program prometheus (Debian: apt-get install prometheus)")
    prometheus, polls = Prometheus(program), list[float]()
    async with exporters(pods) as url, aiohttp.ClientSession() as http:
        try:
            address = await prometheus.start(url, interval_s=INTERVAL_S)
            await asyncio.sleep(60)  # something to read
            async with serving(address) as (pid, grpc_port, http_port):
                polling = asyncio.create_task(keep_polling(grpc_port, polls))
                async with asyncio.timeout(300):
                    while not polls:  # noqa: ASYNC110 -- until it answers
                        await asyncio.sleep(0.5)
                await asyncio.sleep(20)
                polls.clear()
                seen, alone = await watched(http, http_port, seconds)
                polling.cancel()
                pages = int(await asyncio.to_thread(_statm, pid))
        finally:
            await prometheus.stop()
    say(f"{pods} pods, {seconds:g} s, load of the machine {os.getloadavg()[0]:.1f}")
    say(
        f"loop of the server, of {seen[math.inf]:.0f} timers:", *(quantile(seen, q) for q in SHARES)
    )
    say("loop of a process that sleeps:", *(alone[int(q * (len(alone) - 1))] for q in SHARES))
    say("GetMetrics:", *(sorted(polls)[int(q * (len(polls) - 1))] for q in SHARES))
    say(f"resident: {pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.0f} MiB")


def _statm(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]


def say(what: str, *seconds: float) -> None:
    """Print a line, with times for each of the SHARES where there are any."""
    told = ", ".join(
        f"p{100 * q:g} {1000 * at_s:.1f} ms" for q, at_s in zip(SHARES, seconds, strict=False)
    )
    sys.stdout.write(f"{what} {told}\n")


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=120.0)
    asked = parser.parse_args()
    asyncio.run(measured(asked.pods, asked.seconds))


if __name__ == "__main__":
    main()
