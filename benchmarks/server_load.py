"""
How fast the server answers while it decides: RPCs per second and latencies.

    python benchmarks/server_load.py --objects 100 1000

A whole process (real gRPC, parser and decision; readings made up, a new sample every five seconds
for every object) is asked in two ways: as KEDA asks that many ScaledObjects (GetMetricSpec,
GetMetrics, IsActive in turn, six RPCs per object and 15 s), and as fast as one connection goes.
"""

import argparse
import asyncio
import collections
import functools
import math
import multiprocessing
import os
import pathlib
import statistics
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from multiprocessing.connection import Connection
from typing import Any

import grpc

from scaler.configuration import Configuration
from scaler.decision.pool import Node, Units
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Window
from scaler.documents.trigger import parse_trigger
from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.settings import settings
from scaler.source import Workload
from scaler.wiring.serving import serving

INTERVAL_S = 5.0
METADATA = {
    "scalerAddress": "kvtide:6000",
    "metrics": "concurrency",
    "maxConcurrency": "12",
    "engine": "vllm",
    "targetUtilization": "0.7",
}
KEDA_RPCS_PER_OBJECT_S = 6 / 15
"""Measured on a real KEDA with poll and HPA at 15 s each."""

Call = Callable[[ExternalScalerStub, int], Awaitable[Any]]


class MovingSource:
    """
    Two replicas per workload whose load moves.

    Replicas are made once and shared; samples are each workload's own, as what is worked out from
    a sample is kept with it.
    """

    def __init__(self) -> None:
        self._replicas: dict[int, tuple[Replica, ...]] = {}
        self._samples: dict[Workload, collections.deque[Sample]] = {}

    @property
    def is_complete(self) -> bool:
        return True

    @property
    def refused(self) -> int:
        return 0

    async def refresh(
        self,
        workloads: Collection[Workload],
        lookback_s: float,
        now_s: float,
        *,
        history_s: float = 0.0,
    ) -> None:
        """Read nothing: samples are a function of the time."""

    def assembling(
        self,
        workload: Workload,  # noqa: ARG002
        lookback_s: float,  # noqa: ARG002
        now_s: float,  # noqa: ARG002
    ) -> Iterator[None]:
        return iter(())

    def window(
        self,
        workload: Workload,
        lookback_s: float,
        now_s: float,
        *,
        silent_s: float = 0.0,  # noqa: ARG002
    ) -> Window:
        newest = math.floor(now_s / INTERVAL_S)
        count = math.ceil(lookback_s / INTERVAL_S)
        kept = self._samples.setdefault(workload, collections.deque(maxlen=count))
        done = round(kept[-1].at_s / INTERVAL_S) if kept else newest - count
        kept.extend(self._sample(number) for number in range(done + 1, newest + 1))
        return Window(samples=tuple(kept), interval_s=INTERVAL_S)

    def nodes(
        self,
        resource: str,  # noqa: ARG002
        online: Collection[Workload],  # noqa: ARG002
        now_s: float,  # noqa: ARG002
    ) -> tuple[Node, ...]:
        return ()

    def units(
        self,
        resource: str | None,  # noqa: ARG002
        workload: Workload,  # noqa: ARG002
        now_s: float,  # noqa: ARG002
    ) -> Units:
        return Units(per_replica=1)

    def _sample(self, number: int) -> Sample:
        if number not in self._replicas:
            running = 8 + 6 * math.sin(number / 40)
            self._replicas[number] = tuple(
                Replica(name=f"llm-{k}", requests_running=running, requests_waiting=0.0)
                for k in range(2)
            )
        return Sample(
            at_s=number * INTERVAL_S,
            replicas=self._replicas[number],
            ready_replicas=2,
            spec_replicas=2,
        )


def serve(pipe: Connection) -> None:
    """Run the server in a process of its own until told to stop."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    made = settings(
        flags={"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"},
        file={"drainDelay": "0s"},
    )
    parse = functools.partial(parse_trigger, configuration=Configuration())
    async with serving(made, source=MovingSource(), parse=parse) as served:
        pipe.send(served.grpc_port)
        await asyncio.to_thread(pipe.recv)


def ref(number: int) -> keda.ScaledObjectRef:
    return keda.ScaledObjectRef(
        namespace="llm",
        name=f"chat-{number}",
        scalerMetadata=METADATA,
    )


async def get_spec(stub: ExternalScalerStub, number: int) -> None:
    await stub.GetMetricSpec(ref(number))


async def get_metrics(stub: ExternalScalerStub, number: int) -> None:
    asked = keda.GetMetricsRequest(scaledObjectRef=ref(number), metricName="desired-replicas")
    (value,) = (await stub.GetMetrics(asked)).metricValues
    if value.metricValueFloat < 1:
        raise ValueError(f"got {value}")


async def is_active(stub: ExternalScalerStub, number: int) -> None:
    if not (await stub.IsActive(ref(number))).result:
        raise ValueError("got inactive")


CALLS: dict[str, Call] = {
    "GetMetricSpec": get_spec,
    "GetMetrics": get_metrics,
    "IsActive": is_active,
}


async def register(stub: ExternalScalerStub, objects: int) -> float:
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
    stub: ExternalScalerStub, objects: int, seconds: float
) -> dict[str, list[float]]:
    """Poll each object at KEDA's pace, spread evenly; return latencies by method, seconds."""
    took: dict[str, list[float]] = {name: [] for name in CALLS}
    gap_s = len(CALLS) / (KEDA_RPCS_PER_OBJECT_S * objects)

    async def poll(number: int) -> None:
        for name, call in CALLS.items():
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


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(port: int, pid: int, objects: int, seconds: float) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ExternalScalerStub(channel)  # type: ignore[no-untyped-call]
        first_s = await register(stub, objects)
        print(f"\n{objects} objects; all answered {first_s:.1f} s after the first call")
        before, started = cpu_s(pid), time.perf_counter()
        took = await as_keda_does(stub, objects, seconds)
        share = (cpu_s(pid) - before) / (time.perf_counter() - started)
        rate = KEDA_RPCS_PER_OBJECT_S * objects
        print(f"  at KEDA's pace, {rate:.0f} RPC/s; the server uses {share:.0%} of a core")
        for name, latencies in took.items():
            print(f"    {name:14}{told(latencies)}")
        print("  flat out, 16 calls open on one connection")
        for name in ("GetMetrics", "IsActive"):
            per_s, latencies = await flat_out(stub, objects, seconds / 2, CALLS[name])
            print(f"    {name:14}{told(latencies)}   {per_s:5.0f} RPC/s")


def main() -> None:
    """Measure each number of objects on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for objects in arguments.objects:
        here, there = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
        server.start()
        try:
            port = here.recv()
            asyncio.run(measure(port, server.pid or 0, objects, arguments.seconds))
        finally:
            here.send("stop")
            server.join(20)


if __name__ == "__main__":
    main()
