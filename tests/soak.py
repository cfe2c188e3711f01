"""
The scaler for minutes on end: ``python -m tests.soak SECONDS [PAUSE]`` (``make soak``: ten).

A real ``kvtide serve`` of its own reads a real Prometheus that goes and comes back and a cluster in
which objects come and go; KEDAs connect, poll with metadata that changes, and are gone. What the
process holds is read from outside at every turn; the second half must not grow.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence

import aiohttp
import grpc
from aiohttp.test_utils import TestServer

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.fakes.fake_kubernetes import FakeKubernetes
from tests.fakes.ill_server import IllServer
from tests.readings.kubernetes.recorded import scaled_object
from tests.wiring.test_faults import world

COMING_AND_GOING = 20
"""Objects of a turn, which nobody hears of again."""
GONE_EVERY_S, GONE_FOR_S = 15.0, 3.0
PAUSE_S = 0.5
"""Between two turns; longer, where an hour may not take a core for itself."""
PATIENT = aiohttp.ClientTimeout(total=600, sock_connect=600)
"""A machine that does much else lets a process wait: what is asked about is what it holds."""
SERVE = (sys.executable, "-m", "scaler", "serve")
SHORT = {  # so that what is remembered on purpose is at its full length after two minutes
    "metrics": "concurrency",
    "scaleDownDelay": "0s",
    "stableWindow": "20s",
    "panicHorizon": "20s",
    "holdFor": "20s",
    "forecast": "off",
}


def patient() -> aiohttp.ClientSession:
    """Return a client that waits, with a connection for each request: idle ones are cut."""
    return aiohttp.ClientSession(timeout=PATIENT, connector=aiohttp.TCPConnector(force_close=True))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the process holds at one instant."""

    at_s: float
    memory_mib: float
    descriptors: float
    threads: float
    tasks: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that runs."""

    pid: int
    grpc_port: int
    http_port: int

    async def held(self, http: aiohttp.ClientSession, since_s: float) -> Held:
        """Read from the system and from its own metrics what the process holds."""
        process = pathlib.Path(f"/proc/{self.pid}")
        pages = int((process / "statm").read_text().split()[1])
        async with http.get(f"http://127.0.0.1:{self.http_port}/metrics") as response:
            exposed = await response.text()
        tasks = re.search(r"^kvtide_event_loop_tasks (\S+)", exposed, re.MULTILINE)
        assert tasks is not None
        return Held(
            at_s=time.monotonic() - since_s,
            memory_mib=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            descriptors=sum(1 for _ in (process / "fd").iterdir()),
            threads=sum(1 for _ in (process / "task").iterdir()),
            tasks=float(tasks[1]),
        )


def slope(measured: list[Held], field: str) -> tuple[float, float]:
    """
    Return the growth of a field per minute by least squares, and its standard error.

    Of the least of each minute: the server gives free memory back once in so long, and what is
    under way at a turn comes and goes.
    """
    minutes: dict[int, Held] = {}
    for one in measured:
        least = minutes.setdefault(int(one.at_s // 60), one)
        if getattr(one, field) < getattr(least, field):
            minutes[int(one.at_s // 60)] = one
    times = [one.at_s / 60 for one in minutes.values()]
    values = [getattr(one, field) for one in minutes.values()]
    line = statistics.linear_regression(times, values)
    middle = statistics.fmean(times)
    spread = sum((at - middle) ** 2 for at in times)
    left = sum(
        (value - line.intercept - line.slope * at) ** 2
        for at, value in zip(times, values, strict=True)
    )
    return line.slope, (left / max(1, len(times) - 2) / spread) ** 0.5


@contextlib.asynccontextmanager
async def serve(url: str, kubernetes: str, watch: str = "on") -> AsyncIterator[Running]:
    """Run the server on a Prometheus and an API server, as a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        scrape = {"engine": "1s", "cluster": "1s"}
        prometheus = {
            "url": url,
            "timeout": "2s",
            "ingestionDelay": "0s",
            "scrapeInterval": scrape,
        }
        configuration = {
            "prometheus": {"default": prometheus},
            "server": {"tick": "0.2s", "drainDelay": "0s", "kubernetes": watch},
        }
        (folder / "kvtide.yaml").write_text(json.dumps(configuration))  # JSON is YAML
        cluster = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "soak",
            "contexts": [{"name": "soak", "context": {"cluster": "soak", "user": "soak"}}],
            "clusters": [{"name": "soak", "cluster": {"server": kubernetes}}],
            "users": [{"name": "soak", "user": {}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(cluster))
        with (folder / "log").open("w+") as log:
            process = await asyncio.create_subprocess_exec(
                *(*SERVE, "--config", str(folder / "kvtide.yaml")),
                *("--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"),
                env={**os.environ, "KUBECONFIG": str(folder / "kubeconfig")},
                stderr=log,
            )
            try:
                fields = await _said(process, folder / "log", "serving")
                yield Running(pid=process.pid, grpc_port=fields["grpc"], http_port=fields["http"])
            finally:
                if process.returncode is None:
                    process.terminate()
                await asyncio.wait_for(process.wait(), 30)


async def _said(
    process: asyncio.subprocess.Process, log: pathlib.Path, message: str
) -> dict[str, int]:
    """Return the fields of the first line of a process' log with a message."""
    async with asyncio.timeout(180):  # beside other processes it takes its time
        while True:
            text = await asyncio.to_thread(log.read_text)
            for line in text.splitlines():
                if line.endswith("}") and (fields := json.loads(line))["message"] == message:
                    found: dict[str, int] = fields
                    return found
            assert process.returncode is None, text
            await asyncio.sleep(0.1)


def take_turn(cluster: FakeKubernetes, turn: int) -> list[str]:
    """Let the ScaledObjects of the turn before the last go and others come; return the names."""
    there = [name for kind, _, name in cluster.objects if kind == "scaledobjects"]
    for name in there:
        if name.startswith(f"guest-{turn - 2}-"):
            cluster.drop("scaledobjects", "serve", name)
    cluster.changes = cluster.changes[-1000:]
    come = [f"guest-{turn}-{number}" for number in range(COMING_AND_GOING)]
    names = ["chat", *come, *(name for name in there if name.startswith(f"guest-{turn - 1}-"))]
    for name in names:
        cluster.put("scaledobjects", scaled_object("serve", name, metadata_of(name, turn)))
    return names


def metadata_of(name: str, turn: int) -> dict[str, str]:
    """Return the metadata of an object at a turn."""
    workload = "llm" if name == "chat" else name
    return {**SHORT, "workload": f"StatefulSet/{workload}", "maxConcurrency": str(1 + turn % 9)}


async def keda_at_a_turn(port: int, names: Sequence[str], turn: int) -> None:
    """Connect, poll everything that is there, with metadata of this turn, and be gone."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ExternalScalerStub(channel)
        await asyncio.gather(*(poll(stub, name, turn) for name in names))


async def poll(stub: ExternalScalerStub, name: str, turn: int) -> None:
    """Ask about an object as KEDA does, with a stream that is cut."""
    asked = keda.ScaledObjectRef(
        namespace="serve", name=name, scalerMetadata=metadata_of(name, turn)
    )
    stream = stub.StreamIsActive(asked)
    request = keda.GetMetricsRequest(scaledObjectRef=asked, metricName="desired-replicas")
    with contextlib.suppress(grpc.aio.AioRpcError):
        await stub.GetMetrics(request, timeout=3)
    stream.cancel()


def fall_ill(prometheus: IllServer, at_s: float) -> None:
    prometheus.is_gone = at_s % GONE_EVERY_S < GONE_FOR_S


@contextlib.asynccontextmanager
async def stage(watch: str = "on") -> AsyncIterator[tuple[Running, IllServer, FakeKubernetes]]:
    """Run a server, the Prometheus and the API server that it reads, or (``off``) does not."""
    cluster = FakeKubernetes()
    async with (
        world() as prometheus,
        TestServer(cluster.application()) as api,
        serve(prometheus.url, str(api.make_url("")).rstrip("/"), watch) as running,
    ):
        yield running, prometheus, cluster


async def soak(seconds: float, pause_s: float = PAUSE_S) -> list[Held]:
    """Run, and return what was held, turn by turn."""
    measured = list[Held]()
    async with (
        stage() as (running, prometheus, cluster),
        patient() as http,
    ):
        began_s = time.monotonic()
        for turn in itertools.count():
            at_s = time.monotonic() - began_s
            if at_s > seconds:
                return measured
            fall_ill(prometheus, at_s)
            await keda_at_a_turn(running.grpc_port, take_turn(cluster, turn), turn)
            measured.append(await running.held(http, began_s))
            await asyncio.sleep(pause_s)
    return measured


def growth(measured: list[Held]) -> dict[str, tuple[float, float]]:
    """Return the growth per minute, with its error, of each field over the second half."""
    half = [one for one in measured if one.at_s >= measured[-1].at_s / 2]
    fields = ("memory_mib", "descriptors", "threads", "tasks")
    return {field: slope(half, field) for field in fields}


if __name__ == "__main__":
    found = asyncio.run(soak(*map(float, sys.argv[1:])))
    grown = growth(found)
    sys.stdout.write(f"{COMING_AND_GOING * len(found)} objects came and went\n")
    for name, (per_minute, error) in grown.items():
        last = getattr(found[-1], name)
        told = f"{name:12} {last:8.1f} at the end, {per_minute:+.2f} ± {error:.2f} a minute\n"
        sys.stdout.write(told)
    sys.exit(any(one > 3 * error + 1 for one, error in grown.values()))
