"""Pages that nobody can keep others from."""

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web

from scaler.errors import ConfigurationError
from scaler.listening import Bounds, listen

LARGE = b"x" * 64_000_000
"""More than sockets hold: a client that never reads leaves it on its way."""


@contextlib.asynccontextmanager
async def pages(**bounds):
    async def small(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=LARGE)

    app = web.Application()
    app.router.add_get("/healthz", small)
    app.router.add_get("/large", large)
    listening = await listen(app, "127.0.0.1:0", Bounds(leaving_s=0.1, **bounds))
    try:
        yield listening
    finally:
        await listening.close()


@pytest.fixture
async def opened():
    """Open connections that end with the test."""
    writers = []

    async def open_one(port: int, sent: bytes) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writers.append(writer)
        writer.write(sent)
        await writer.drain()
        return reader

    yield open_one
    for writer in writers:
        writer.transport.abort()


async def probe(port: int) -> str:
    async with (
        asyncio.timeout(10),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/healthz") as response,
    ):
        return await response.text()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="says nothing"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nX-A: ", id="drips its headers"),
    ],
)
async def test_whoever_brings_no_request_is_let_go(opened, sent):
    async with pages(idle_s=0.1) as listening:
        reader = await opened(listening.port, sent)
        async with asyncio.timeout(10):
            assert await reader.read() == b""


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nX-A: ", id="halfway through their headers"),
        pytest.param(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", id="not reading their answers"),
    ],
)
async def test_however_many_hold_connections_a_probe_is_answered(opened, sent):
    async with pages(connections=4) as listening:
        for _ in range(12):
            await opened(listening.port, sent)
            assert await probe(listening.port) == "ok"


async def test_whoever_asks_is_not_cut_while_there_is_room(opened):
    async with pages(connections=4) as listening:
        reader = await opened(listening.port, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(10):
            assert await probe(listening.port) == "ok"
        async with asyncio.timeout(30):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(LARGE)) == LARGE


async def test_it_ends_soon_though_somebody_never_reads(opened):
    async with asyncio.timeout(10):
        async with pages() as listening:
            await opened(listening.port, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")


@pytest.mark.parametrize("port", [None, 99_999])
async def test_an_address_that_cannot_be_had_is_named(port):
    async with pages() as listening:
        with pytest.raises(ConfigurationError, match=r"http_address: .*(is in use|0-65535)"):
            await listen(web.Application(), f"127.0.0.1:{port or listening.port}")
