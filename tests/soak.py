"""
The scaler for minutes on end: ``python -m tests.soak SECONDS`` (``make soak`` takes ten minutes).

Objects come, go and change their metadata, KEDAs reconnect, Prometheus goes and comes back. What
the process holds is measured at every turn; the second half must not grow.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import os
import pathlib
import statistics
import sys
import threading
import time

import grpc

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.objects import ScaledObject
from scaler.wiring.cluster import Hearing
from scaler.wiring.garbage import give_back
from tests.fakes.ill_server import IllServer
from tests.wiring.test_faults import CHAT, server, world

COMING_AND_GOING = 20
GONE_EVERY_S, GONE_FOR_S = 15.0, 3.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the process holds at one instant."""

    at_s: float
    memory_mib: float
    descriptors: float
    threads: float
    tasks: float


def held(since_s: float) -> Held:
    """Measure what the process holds, free memory given back first."""
    give_back()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return Held(
        at_s=time.monotonic() - since_s,
        memory_mib=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        descriptors=sum(1 for _ in pathlib.Path("/proc/self/fd").iterdir()),
        threads=threading.active_count(),
        tasks=len(asyncio.all_tasks()),
    )


def slope(measured: list[Held], field: str) -> tuple[float, float]:
    """Return the growth of a field per minute by least squares, and its standard error."""
    times = [one.at_s / 60 for one in measured]
    values = [getattr(one, field) for one in measured]
    line = statistics.linear_regression(times, values)
    middle = statistics.fmean(times)
    spread = sum((at - middle) ** 2 for at in times)
    left = sum(
        (value - line.intercept - line.slope * at) ** 2
        for at, value in zip(times, values, strict=True)
    )
    return line.slope, (left / max(1, len(times) - 2) / spread) ** 0.5


def listed(turn: int) -> dict[tuple[str, str], ScaledObject]:
    """Return the cluster's ScaledObjects at a turn: one that stays, and some that will go."""
    there = ScaledObject(
        kind="StatefulSet",
        name="llm",
        hpa="keda-hpa-chat",
        min_replicas=0,
        max_replicas=9,
        paused=False,
        scale_in_paused=False,
        scale_out_paused=False,
        triggers=(),
    )
    names = ["chat", *(f"guest-{turn}-{number}" for number in range(COMING_AND_GOING))]
    return {("serve", name): there for name in names}


async def keda_at_a_turn(port: int, turn: int) -> None:
    """Connect, poll everything that is there, with metadata of this turn, and be gone."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ExternalScalerStub(channel)
        await asyncio.gather(*(poll(stub, name, turn) for _, name in listed(turn)))


async def poll(stub: ExternalScalerStub, name: str, turn: int) -> None:
    """Ask about an object as KEDA does, with a stream that is cut."""
    asked = CHAT
    if name != "chat":
        stated = {"workload": f"StatefulSet/{name}", "maxConcurrency": str(1 + turn % 9)}
        asked = keda.ScaledObjectRef(namespace="serve", name=name, scalerMetadata=stated)
    stream = stub.StreamIsActive(asked)
    request = keda.GetMetricsRequest(scaledObjectRef=asked, metricName="desired-replicas")
    with contextlib.suppress(grpc.aio.AioRpcError):
        await stub.GetMetrics(request, timeout=3)
    stream.cancel()


def fall_ill(prometheus: IllServer, at_s: float) -> None:
    prometheus.is_gone = at_s % GONE_EVERY_S < GONE_FOR_S


async def soak(seconds: float) -> list[Held]:
    """Run, and return what was held, second by second."""
    known, measured = KnownCluster(), list[Held]()
    cluster = Hearing(known=known, standing=lambda: "")
    async with world() as prometheus, server(prometheus.url, cluster=cluster) as (made, _):
        began_s = time.monotonic()
        for turn in itertools.count():
            at_s = time.monotonic() - began_s
            if at_s > seconds:
                return measured
            known.scaled_objects.take(listed(turn))
            fall_ill(prometheus, at_s)
            await keda_at_a_turn(made.grpc_port, turn)
            measured.append(held(began_s))
            await asyncio.sleep(0.5)
    return measured


def growth(measured: list[Held]) -> dict[str, tuple[float, float]]:
    """Return the growth per minute, with its error, of each field over the second half."""
    half = measured[len(measured) // 2 :]
    fields = ("memory_mib", "descriptors", "threads", "tasks")
    return {field: slope(half, field) for field in fields}


if __name__ == "__main__":
    found = asyncio.run(soak(float(sys.argv[1])))
    grown = growth(found)
    for name, (per_minute, error) in grown.items():
        last = getattr(found[-1], name)
        told = f"{name:12} {last:8.1f} at the end, {per_minute:+.2f} ± {error:.2f} a minute\n"
        sys.stdout.write(told)
    sys.exit(any(one > 3 * error + 1 for one, error in grown.values()))
