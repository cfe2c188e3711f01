"""A server that drips what no limit of a socket ends keeps no thread from the next query."""

import asyncio
import contextlib
from collections import Counter

import pytest

from scaler.configuration import PrometheusServer
from scaler.errors import SourceError
from scaler.readings.prometheus import PrometheusApi

BODY = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
THREADS = 32


@contextlib.asynccontextmanager
async def dripping(begins: bytes, drips: bytes):
    """Run a server that answers so, byte by byte and without end, until told to be well."""
    well = asyncio.Event()

    serving = set[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        drips_here = not well.is_set()  # those that drip go on, whatever the others do
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(begins if drips_here else OK)
                    while drips_here:
                        writer.write(drips)
                        await writer.drain()
                        await asyncio.sleep(0.05)
            finally:
                writer.close()
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", well
    finally:
        server.close()
        for one in serving:
            if one is not None:
                one.cancel()
        await asyncio.gather(*(one for one in serving if one), return_exceptions=True)


@pytest.mark.parametrize(
    ("begins", "drips"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: ", b"x", id="a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n", id="headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x", id="a chunk's length"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"[", id="the answer"),
    ],
)
async def test_whatever_drips_no_thread_is_kept(begins, drips):
    async with dripping(begins, drips) as (url, well):
        api = PrometheusApi(PrometheusServer(url=url, timeout_s=0.5))
        for _ in range(2):
            asked = (api.query("up", 1.0) for _ in range(THREADS))
            found = await asyncio.gather(*asked, return_exceptions=True)
            kinds = Counter(one.kind if isinstance(one, SourceError) else one for one in found)
            assert kinds == {"timeout": THREADS}
        well.set()
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(SourceError):  # a thread that was cut a moment ago
                    assert await api.query("up", 1.0) == []
                    break
        api.close()
