"""
How many objects one core holds: RPCs, latencies, memory and processor time while it decides.

    python -m benchmarks.server_load --objects 1000 --beside ../other

A whole process (real gRPC, parser and decision; readings made up, a new sample every fifteen
seconds for every object) is asked in two ways: as KEDA asks that many ScaledObjects (GetMetricSpec,
GetMetrics, IsActive in turn, 18 RPCs a minute and object), and as fast as one connection goes. The
first row is the default policy, with counters, latencies, token histograms and a gateway's queue;
the second a lighter one, ``metrics: concurrency``. Beside them, in the same run: another checkout,
and a bare grpc.aio server that answers a constant, below which none goes that is made of it.
``--shards 2``: two servers at once, with as many objects each. Objects to a core are told by the
processor time that one of them costs, which a busy machine changes less than it changes latencies.
"""

import argparse
import asyncio
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import grpc

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub

HERE = pathlib.Path(__file__).parent.parent
INTERVAL_S = 15.0
DEFAULT = {"scalerAddress": "kvtide:6000", "engine": "vllm"}
POLICIES: Mapping[str, Mapping[str, str]] = {
    "default": DEFAULT,
    "concurrency": {**DEFAULT, "metrics": "concurrency", "maxConcurrency": "12"},
}
KEDA_RPCS_PER_OBJECT_S = 18 / 60
"""Measured on a real KEDA with poll and HPA at 15 s each."""

Call = Callable[[ExternalScalerStub, int], Awaitable[Any]]


class Asker:
    """Asks about objects with one policy."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._metadata = dict(metadata)

    def ref(self, number: int) -> keda.ScaledObjectRef:
        return keda.ScaledObjectRef(
            namespace="llm", name=f"chat-{number}", scalerMetadata=self._metadata
        )

    async def get_spec(self, stub: ExternalScalerStub, number: int) -> None:
        await stub.GetMetricSpec(self.ref(number))

    async def get_metrics(self, stub: ExternalScalerStub, number: int) -> None:
        asked = keda.GetMetricsRequest(
            scaledObjectRef=self.ref(number), metricName="desired-replicas"
        )
        (value,) = (await stub.GetMetrics(asked)).metricValues
        if value.metricValueFloat < 1:
            raise ValueError(f"got {value}")

    async def is_active(self, stub: ExternalScalerStub, number: int) -> None:
        if not (await stub.IsActive(self.ref(number))).result:
            raise ValueError("got inactive")

    @property
    def calls(self) -> dict[str, Call]:
        return {
            "GetMetricSpec": self.get_spec,
            "GetMetrics": self.get_metrics,
            "IsActive": self.is_active,
        }


async def register(stub: ExternalScalerStub, objects: int, get_metrics: Call) -> float:
    """Ask for every object until it has its first answer; return how long that took, seconds."""
    started = time.perf_counter()

    async def first(number: int) -> None:
        while True:
            try:
                await get_metrics(stub, number)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    await asyncio.gather(*(first(number) for number in range(objects)))
    return time.perf_counter() - started


async def as_keda_does(
    stub: ExternalScalerStub, objects: int, seconds: float, calls: Mapping[str, Call]
) -> dict[str, list[float]]:
    """Poll each object at KEDA's pace, spread evenly; return latencies by method, seconds."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    gap_s = len(calls) / (KEDA_RPCS_PER_OBJECT_S * objects)

    async def poll(number: int) -> None:
        for name, call in calls.items():
            started = time.perf_counter()
            await call(stub, number)
            took[name].append(time.perf_counter() - started)

    polls = []
    due = time.perf_counter()
    for turn in range(round(seconds / gap_s)):
        polls.append(asyncio.create_task(poll(turn % objects)))
        due += gap_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await asyncio.gather(*polls)
    return took


async def flat_out(
    stub: ExternalScalerStub, objects: int, seconds: float, call: Call, at_once: int = 16
) -> tuple[float, list[float]]:
    """Keep ``at_once`` calls open; return calls per second, and latencies in seconds."""
    took: list[float] = []
    ends = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        while time.perf_counter() < ends:
            started = time.perf_counter()
            await call(stub, number % objects)
            took.append(time.perf_counter() - started)
            number += at_once

    await asyncio.gather(*(caller(number) for number in range(at_once)))
    return len(took) / seconds, took


def told(took: list[float]) -> str:
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    p50, p99, most = (1e3 * seconds for seconds in (cuts[49], cuts[98], max(took)))
    return f"p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   max {most:6.1f} ms"


async def measure(
    server: "Server", asker: Asker, objects: int, seconds: float, *, alone: bool = True
) -> None:
    """Print what a server makes of so many objects; flat out as well where it is ``alone``."""
    async with connected(server) as stub:
        calls, empty_kib = asker.calls, server.rss_kib
        first_s = await register(stub, objects, asker.get_metrics)
        print(
            f"  {objects} objects: all answered {first_s:.1f} s after the first call; "
            f"{(server.rss_kib - empty_kib) / objects:.0f} KiB each"
        )
        await at_kedas_pace_told(server, stub, objects, seconds, calls)
        if alone:
            await flat_out_told(stub, objects, seconds / 4, calls)


async def at_kedas_pace_told(
    server: "Server",
    stub: ExternalScalerStub,
    objects: int,
    seconds: float,
    calls: Mapping[str, Call],
) -> None:
    """Print what it costs to answer KEDA about so many objects, and how soon that is done."""
    before_s, started = server.cpu_s, time.perf_counter()
    took = await as_keda_does(stub, objects, seconds, calls)
    each_s = (server.cpu_s - before_s) / (time.perf_counter() - started) / objects
    print(
        f"  {objects} objects at KEDA's pace ({KEDA_RPCS_PER_OBJECT_S * objects:.0f} RPC/s): "
        f"{1000 * each_s:.2f} ms of CPU a second and object, {1 / each_s:.0f} to a core"
    )
    for name, latencies in took.items():
        print(f"    {name:14}{told(latencies)}")


async def measure_shards(
    servers: Sequence["Server"], asker: Asker, objects: int, seconds: float
) -> None:
    """Print what each of several servers makes of so many objects of its own at one time."""
    alone = len(servers) == 1
    await asyncio.gather(
        *(measure(server, asker, objects, seconds, alone=alone) for server in servers)
    )


async def flat_out_told(
    stub: ExternalScalerStub, objects: int, seconds: float, calls: Mapping[str, Call]
) -> None:
    """Print how fast one connection goes."""
    for name in ("GetMetrics", "IsActive"):
        per_s, latencies = await flat_out(stub, objects, seconds, calls[name])
        print(f"    {name:14}{told(latencies)}   {per_s:5.0f} RPC/s flat out, 16 open", flush=True)


async def measure_bare(server: "Server", objects: int, seconds: float) -> None:
    """Print what gRPC alone costs, and reaches."""
    async with connected(server) as stub:
        calls = Asker(DEFAULT).calls
        await at_kedas_pace_told(server, stub, objects, seconds, calls)
        await flat_out_told(stub, 1, seconds / 4, calls)


@contextlib.asynccontextmanager
async def connected(server: "Server") -> AsyncIterator[ExternalScalerStub]:
    """Return what calls a server, over one connection."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield ExternalScalerStub(channel)  # type: ignore[no-untyped-call]


class Server:
    """A server in a process of its own."""

    def __init__(self, path: pathlib.Path, what: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- our own
            [sys.executable, str(HERE / "benchmarks" / "server_load_of.py"), what],
            env={**os.environ, "PYTHONPATH": str(path)},
            cwd=path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None  # noqa: S101
        self.port = int(self._process.stdout.readline())

    @property
    def cpu_s(self) -> float:
        """The processor time that it has used, seconds."""
        text = pathlib.Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def rss_kib(self) -> int:
        """Its memory, KiB."""
        text = pathlib.Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in text.splitlines() if "VmRSS" in line)

    def end(self) -> None:
        """Let it drain."""
        self._process.communicate()


@contextlib.contextmanager
def served(path: pathlib.Path, what: str) -> Iterator[Server]:
    """Serve for a while."""
    server = Server(path, what)
    try:
        yield server
    finally:
        server.end()


def main() -> None:
    """Measure each policy and number of objects on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--objects", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--shards", type=int, default=1, help="servers at once, objects in each")
    parser.add_argument("--beside", type=pathlib.Path, help="another checkout of kvtide")
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=list(POLICIES))
    arguments = parser.parse_args()
    paths = {"here": HERE}
    if arguments.beside:
        paths["beside"] = arguments.beside.resolve()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for policy in arguments.policies:
        for objects in arguments.objects:
            for name, path in paths.items():
                print(f"{policy}, {name}", flush=True)
                with contextlib.ExitStack() as stack:
                    shards = [
                        stack.enter_context(served(path, str(INTERVAL_S)))
                        for _ in range(arguments.shards)
                    ]
                    asker = Asker(POLICIES[policy])
                    asyncio.run(measure_shards(shards, asker, objects, arguments.seconds))
    print("gRPC alone")
    with served(HERE, "bare") as server:
        asyncio.run(measure_bare(server, max(arguments.objects), arguments.seconds))


if __name__ == "__main__":
    main()
