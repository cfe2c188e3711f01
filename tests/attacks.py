"""
What each attack costs a real ``kvtide serve``: ``python -m tests.attacks [WORD ...]``.

A server of its own each, with a real Prometheus and a cluster; a process beside it polls one object
as a KEDA would, from before the attack until after. Told are, of the seconds of the attack, how
late the loop that answers was and how long a poll took, and what the process held before, at most,
and 20 s after. WORDs choose the attacks whose names have them.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import math
import os
import re
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import grpc

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.fakes.fake_kubernetes import FakeKubernetes
from tests.fakes.ill_server import IllServer, Result
from tests.keda.test_bounds import frame, stream_of_activity
from tests.soak import PATIENT, SHORT, Running, stage, take_turn

SETTLING_S, ATTACK_S, AFTER_S = 5.0, 15.0, 20.0
CLIENTS, SOCKETS, STREAMS = 8, 500, 2000
LAG = re.compile(r'^kvtide_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who is attacked, and what it reads."""

    server: Running
    prometheus: IllServer
    cluster: FakeKubernetes


Attack = Callable[[Scene], Awaitable[None]]
"""Goes on until it is cancelled."""


def asked(name: str, **stated: str) -> keda.ScaledObjectRef:
    """Return what KEDA sends of an object that is served by ``llm``."""
    metadata = {**SHORT, "workload": "StatefulSet/llm", "maxConcurrency": "10", **stated}
    return keda.ScaledObjectRef(namespace="serve", name=name, scalerMetadata=metadata)


def metadata(make: Callable[[int], keda.ScaledObjectRef]) -> Attack:
    """Return the attack of clients that send one text after another, each of them new."""

    async def attack(scene: Scene) -> None:
        numbers = itertools.count()

        async def client() -> None:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{scene.server.grpc_port}") as channel:
                stub = ExternalScalerStub(channel)
                for number in numbers:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        await stub.IsActive(make(number), timeout=30)

        await asyncio.gather(*(client() for _ in range(CLIENTS)))

    return attack


def patterns(number: int) -> keda.ScaledObjectRef:
    return asked("wrong", **{f"({'a|' * 40}{number})*+?[": "1"})


def misspelt(number: int) -> keda.ScaledObjectRef:
    return asked("wrong", **{f"maxConcurency{number}x{one}": "1" for one in range(250)})


def one_long_key(number: int) -> keda.ScaledObjectRef:
    return asked("wrong", **{"k" * 60_000 + str(number): "1"})


def large(number: int) -> keda.ScaledObjectRef:
    return asked(f"wrong-{number % 100}", wrong="x" * 200_000 + str(number))


def changing(number: int) -> keda.ScaledObjectRef:
    return asked("restless", maxConcurrency=str(1 + number % 1000))


def four_megabytes(number: int) -> keda.ScaledObjectRef:
    return asked("wrong", wrong="x" * 4_300_000 + str(number))


async def streams(scene: Scene) -> None:
    """Open thousands, be gone with them, and open them again."""
    while True:
        async with contextlib.AsyncExitStack() as channels:
            for number in range(4):
                options = (("grpc.use_local_subchannel_pool", 1), ("x", number))
                target = f"127.0.0.1:{scene.server.grpc_port}"
                stub = ExternalScalerStub(
                    await channels.enter_async_context(
                        grpc.aio.insecure_channel(target, options=options)
                    )
                )
                opened = [stub.StreamIsActive(asked("chat")) for _ in range(STREAMS // 4)]
                await asyncio.gather(*(anext(aiter(one)) for one in opened), return_exceptions=True)


def sockets(http: bool, sent: bytes, more: bytes = b"") -> Attack:
    """Return the attack of connections that never read, and say something or drip it."""

    async def attack(scene: Scene) -> None:
        port = scene.server.http_port if http else scene.server.grpc_port
        writers = list[asyncio.StreamWriter]()
        try:
            for turn in itertools.count():
                if turn < SOCKETS:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    transport = writer.transport
                    assert isinstance(transport, asyncio.Transport)
                    transport.pause_reading()
                    writer.write(sent)
                    writers.append(writer)
                else:
                    await asyncio.sleep(1.0)
                    for writer in writers:
                        writer.write(more)
        finally:
            for writer in writers:
                writer.transport.abort()

    return attack


def never_reading() -> bytes:
    """Return what a client sends that opens fifty streams and takes no byte of an answer."""
    no_window = frame(4, 0, 0, struct.pack(">HI", 4, 0))
    opened = b"".join(stream_of_activity(2 * number + 1) for number in range(50))
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + no_window + opened


async def the_past(scene: Scene) -> None:
    """Ask about the past, and be gone before there is an answer."""
    url = f"http://127.0.0.1:{scene.server.http_port}/api/decisions/serve/chat?at="
    now_s = time.time()  # noqa: TID251 -- the real server's time
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as http:
        for number in itertools.count(1):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with asyncio.TaskGroup() as together:
                    for one in range(CLIENTS):
                        together.create_task(seen(http, f"{url}{now_s - number - one}"))


async def seen(http: aiohttp.ClientSession, url: str) -> None:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with http.get(url) as response:
            await response.read()


def database(**ill: Any) -> Attack:
    """Return the attack of a database that is ill."""

    async def attack(scene: Scene) -> None:
        vars(scene.prometheus).update(ill)
        try:
            await asyncio.Event().wait()
        finally:
            scene.prometheus.recover()

    return attack


def crowd(rows: Result) -> Result:
    """Return the rows of 4,001 pods in place of those of one."""
    mine = [row for row in rows if row["metric"].get("pod") == "llm-0"]
    others = [row for row in rows if row["metric"].get("pod") != "llm-0"]
    return others + [
        {**row, "metric": {**row["metric"], "pod": f"llm-{number}"}}
        for row in mine
        for number in range(4001)
    ]


def wild(rows: Result) -> Result:
    for row in rows:
        for point in row.get("values", ()):
            point[1] = "1e308"
    return rows


async def nothing(_: Scene) -> None:
    await asyncio.Event().wait()


def answer(rows: str) -> tuple[int, str, str]:
    text = f'{{"status":"success","data":{{"resultType":"matrix","result":[{rows}]}}}}'
    return (200, "application/json", text)


SERIES = ",".join(f'{{"metric":{{"a":"{n}"}},"values":[]}}' for n in range(200_001))
ATTACKS: dict[str, Attack] = {
    "nothing": nothing,
    "keys that are patterns": metadata(patterns),
    "250 misspelt keys": metadata(misspelt),
    "a key of 60,000 characters": metadata(one_long_key),
    "200 KB in each of a hundred objects": metadata(large),
    "one object changed all the time": metadata(changing),
    "messages of 4 MB": metadata(four_megabytes),
    "2,000 streams, again and again": streams,
    "500 clients that ask and never read": sockets(http=False, sent=never_reading()),
    "500 connections that say nothing": sockets(http=True, sent=b""),
    "500 that drip their headers": sockets(True, b"GET / HTTP/1.1\r\nX-A: ", b"x"),
    "500 that never read a page": sockets(True, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20),
    "questions about the past whose clients go": the_past,
    "a database that is gone": database(is_gone=True),
    "a database that takes 10 s": database(delay_s=10.0),
    "HTML in place of an answer": database(says=(200, "text/html", "<html>log in</html>")),
    "12 MB that are no answer": database(says=(200, "application/json", "[" * 12_000_000)),
    "200,001 series": database(says=answer(SERIES)),
    "4,001 pods of one workload": database(spoil=crowd),
    "1e308 in every reading": database(spoil=wild),
}


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
    """Before, at most during, and 20 s after."""


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


async def measured(attack: Attack) -> Cost:
    """Run a server, attack it, and let it be."""
    async with (
        stage() as (server, prometheus, cluster),
        aiohttp.ClientSession(timeout=PATIENT) as http,
        polling(server.grpc_port) as polls,
    ):
        scene = Scene(server=server, prometheus=prometheus, cluster=cluster)
        take_turn(cluster, 0)
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
        cost = asyncio.run(measured(attack))
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
