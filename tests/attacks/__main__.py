"""
What each attack costs a real ``kvtide serve``: ``python -m tests.attacks [WORD ...]``.

A server of its own each, with a real Prometheus and a cluster; a process beside it polls one object
as a KEDA would, from before the attack until after. Told are, of the seconds of the attack, how
late the loop that answers was and how long a poll took, and what the process held before, at most,
and 5 s after. WORDs choose the attacks whose names have them.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import math
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator

import aiohttp
import grpc

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.readings.kubernetes.recorded import scaled_object
from tests.soak import patient, stage

from .catalogue import ATTACKS, UNWATCHED, Attack, Scene, asked

SETTLING_S, ATTACK_S, AFTER_S = 4.0, 12.0, 5.0
LAG = re.compile(r'^kvtide_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an attack cost: times in seconds, memory in MiB."""

    lag_p99_s: float
    lag_most_s: float
    """The upper bound of the bucket that the latest timer fell in."""
    poll_p99_s: float
    poll_most_s: float
    failed: int
    memory_mib: tuple[float, float, float]
    """Before, at most during, and 5 s after."""


@contextlib.asynccontextmanager
async def polling(port: int) -> AsyncIterator[list[float]]:
    """Poll from a process of its own; yield a list that its times come into, -1 for a failure."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.attacks", "--poll", str(port)),
        stdout=asyncio.subprocess.PIPE,
    )
    taken = list[float]()

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            taken.append(float(line))

    reading = asyncio.create_task(read())
    try:
        yield taken
    finally:
        process.terminate()
        await process.wait()
        await reading


async def poll(port: int) -> None:
    """Poll as KEDA does, four times a second, and print how long each took."""
    request = keda.GetMetricsRequest(scaledObjectRef=asked("chat"), metricName="desired-replicas")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ExternalScalerStub(channel)
        while True:
            began_s = time.perf_counter()
            try:
                await stub.GetMetrics(request, timeout=30)
                sys.stdout.write(f"{time.perf_counter() - began_s}\n")
            except grpc.aio.AioRpcError:
                sys.stdout.write("-1\n")
            sys.stdout.flush()
            await asyncio.sleep(0.25)


async def lags(scene: Scene, http: aiohttp.ClientSession) -> dict[float, float]:
    """Return how many timers of the server's loop came how late at most, so far."""
    async with http.get(f"http://127.0.0.1:{scene.server.http_port}/metrics") as response:
        return {float(le): float(n) for le, n in LAG.findall(await response.text())}


async def most_held(scene: Scene, http: aiohttp.ClientSession, seconds: float) -> float:
    """Return the most memory that the server holds in so many seconds, in MiB."""
    until_s, most = time.monotonic() + seconds, 0.0
    while time.monotonic() < until_s:
        with contextlib.suppress(aiohttp.ClientError):
            most = max(most, (await scene.server.held(http, 0.0)).memory_mib)
        await asyncio.sleep(0.5)
    return most


async def measured(attack: Attack, *, watch: str) -> Cost:
    """Run a server, attack it, and let it be."""
    async with (
        stage(watch) as (server, prometheus, cluster),
        patient() as http,
        polling(server.grpc_port) as polls,
    ):
        scene = Scene(server=server, prometheus=prometheus, cluster=cluster)
        chat = asked("chat")
        manifest = scaled_object(chat.namespace, chat.name, chat.scalerMetadata)
        cluster.put("scaledobjects", manifest)
        async with asyncio.timeout(120):
            while not any(one > 0 for one in polls):  # noqa: ASYNC110 -- until it answers
                await asyncio.sleep(0.2)
        await asyncio.sleep(SETTLING_S)
        before, held = await lags(scene, http), await most_held(scene, http, 0.1)
        polls.clear()
        under_way = asyncio.create_task(as_coroutine(attack, scene))
        most = await most_held(scene, http, ATTACK_S)
        after, during = await lags(scene, http), sorted(polls)
        under_way.cancel()
        await asyncio.gather(under_way, return_exceptions=True)
        await asyncio.sleep(AFTER_S)
        left = await most_held(scene, http, 0.1)
    counts = {bound_s: after[bound_s] - before[bound_s] for bound_s in after}
    times = [one for one in during if one >= 0]
    return Cost(
        lag_p99_s=first_bound(counts, 0.99),
        lag_most_s=first_bound(counts, 1.0),
        poll_p99_s=times[int(0.99 * (len(times) - 1))] if times else math.inf,
        poll_most_s=max(times, default=math.inf),
        failed=len(during) - len(times),
        memory_mib=(held, most, left),
    )


async def as_coroutine(attack: Attack, scene: Scene) -> None:
    await attack(scene)


def first_bound(counts: dict[float, float], share: float) -> float:
    """Return the upper bound of the bucket in which this share of the timers is reached."""
    wanted = share * counts[math.inf]
    return next(bound_s for bound_s, count in sorted(counts.items()) if count >= wanted)


def lines(chosen: list[str]) -> Iterator[str]:
    """Run those attacks whose names have one of these words, all without, and tell of each."""
    yield f"load of the machine {os.getloadavg()[0]:.1f}; {ATTACK_S:g} s each"
    yield "| attack | loop, p99 and most | poll, p99 and most | failed | MiB before, most, after |"
    yield "|---|---|---|---|---|"
    for name, attack in ATTACKS.items():
        if chosen and not any(word in name for word in chosen):
            continue
        watch = "off" if any(word in name for word in UNWATCHED) else "on"
        cost = asyncio.run(measured(attack, watch=watch))
        memory = ", ".join(f"{one:.0f}" for one in cost.memory_mib)
        lag = f"<= {1000 * cost.lag_p99_s:g}, {1000 * cost.lag_most_s:g} ms"
        took = f"{1000 * cost.poll_p99_s:.1f}, {1000 * cost.poll_most_s:.1f} ms"
        yield f"| {name} | {lag} | {took} | {cost.failed} | {memory} |"


def main() -> None:
    """Parse the arguments and attack, or poll."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--poll", type=int, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.poll is not None:
        asyncio.run(poll(said.poll))
        return
    for line in lines(said.words):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
