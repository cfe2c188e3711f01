"""What others do to a server: each until it is cancelled."""

import asyncio
import contextlib
import dataclasses
import itertools
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import grpc

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.fakes.fake_kubernetes import FakeKubernetes
from tests.fakes.ill_server import IllServer, Result
from tests.keda.test_bounds import frame, stream_of_activity
from tests.soak import SHORT, Running

CLIENTS, SOCKETS, STREAMS = 8, 500, 2000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who is attacked, and what it reads."""

    server: Running
    prometheus: IllServer
    cluster: FakeKubernetes


Attack = Callable[[Scene], Awaitable[None]]
"""Goes on until it is cancelled."""


UNWATCHED = ("key", "200 KB", "one object", "messages")
"""Words of attacks on a server that does not watch the API: there whoever calls is believed."""


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
    stated = {"workload": "StatefulSet/restless", "maxConcurrency": str(1 + number % 1000)}
    return asked("restless", **stated)


def four_megabytes(number: int) -> keda.ScaledObjectRef:
    return asked("wrong", wrong="x" * 4_300_000 + str(number))


def made_up(number: int) -> keda.ScaledObjectRef:
    """Return an object that nobody made, on the workload of the one that is polled."""
    return asked(f"made-up-{number}")


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
                        if more and not writer.is_closing():
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


def multiplied(rows: Result) -> Result:
    """Return rows of which each of one pod's has become 3,000, by a label that nobody knows."""
    mine = [row for row in rows if row["metric"].get("pod") == "llm-0"]
    return rows + [
        {**row, "metric": {**row["metric"], "request_id": str(number)}}
        for row in mine[:1]
        for number in range(3000)
    ]


def wild(rows: Result) -> Result:
    for row in rows:
        for point in row.get("values", ()):
            point[1] = "1e308"
    return rows


async def nothing(_: Scene) -> None:
    await asyncio.Event().wait()


def of_series(count: int) -> tuple[int, str, str]:
    rows = ",".join(f'{{"metric":{{"a":"{number}"}},"values":[]}}' for number in range(count))
    text = f'{{"status":"success","data":{{"resultType":"matrix","result":[{rows}]}}}}'
    return (200, "application/json", text)


ATTACKS: dict[str, Attack] = {
    "nothing": nothing,
    "keys that are patterns": metadata(patterns),
    "250 misspelt keys": metadata(misspelt),
    "a key of 60,000 characters": metadata(one_long_key),
    "200 KB in each of a hundred objects": metadata(large),
    "one object changed all the time": metadata(changing),
    "messages of 4 MB": metadata(four_megabytes),
    "made-up objects on one's workload": metadata(made_up),
    "2,000 streams, again and again": streams,
    "500 clients that ask and never read": sockets(http=False, sent=never_reading()),
    "500 connections that say nothing": sockets(http=True, sent=b""),
    "500 that drip their headers": sockets(True, b"GET / HTTP/1.1\r\nX-A: ", b"x"),
    "500 that never read a page": sockets(True, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20),
    "questions about the past whose clients go": the_past,
    "a database that is gone": database(is_gone=True),
    "a database that takes 10 s": database(delay_s=10.0),
    "HTML in place of an answer": database(says=(200, "text/html", "<html>log in</html>")),
    "100 MB that are no answer": database(streams_mb=100),
    "9 MB that are no answer": database(
        says=(200, "application/json", '{"data":{"result":[' + "[" * 9_000_000)
    ),
    "200,001 series": database(says=of_series(200_001)),
    "3,000 series more in each reply": database(spoil=multiplied),
    "4,001 pods of one workload": database(spoil=crowd),
    "1e308 in every reading": database(spoil=wild),
}
