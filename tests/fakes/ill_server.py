"""
Stands between kvtide and a real server of Prometheus' query API, and makes it ill when told to.

What it is not told to change it passes on as it came.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from aiohttp import web

Result = list[dict[str, Any]]
"""Rows of an answer: ``metric`` and ``value`` or ``values``."""


class IllServer:
    """What is wrong with the server; nothing at first."""

    def __init__(self, real: str) -> None:
        self.url = ""
        self.delay_s = 0.0
        self.is_gone = False
        """Every connection ends without an answer."""
        self.says: tuple[int, str, str] | None = None
        """Status, content type and text in place of its answers."""
        self.streams_mb = 0
        """Megabytes without an answer in them, sent as fast as they are read."""
        self.sent_mb = 0
        """Most of those that anybody took of one answer."""
        self.warnings: list[str] = []
        self.spoil: Callable[[Result], Result] | None = None
        """What becomes of the rows of an answer."""
        self.asked = 0
        self._real = real
        self._session: aiohttp.ClientSession | None = None

    def recover(self) -> None:
        """Be well again."""
        self.delay_s, self.is_gone, self.says, self.streams_mb = 0.0, False, None, 0
        self.warnings, self.spoil = [], None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on, ill as it is told to be."""
        self.asked += 1
        body = await request.read()
        await asyncio.sleep(self.delay_s)
        if self.is_gone:
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=500)
        if self.streams_mb:
            return await self._stream(request)
        if self.says is not None:
            status, kind, text = self.says
            return web.Response(status=status, text=text, content_type=kind)
        assert self._session is not None
        headers = {"Content-Type": request.headers.get("Content-Type", "text/plain")}
        async with self._session.request(
            request.method, f"{self._real}{request.path_qs}", data=body, headers=headers
        ) as response:
            text, status = await response.text(), response.status
        return web.Response(status=status, text=self._spoilt(text), content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Send an array of arrays without end, until it is long enough or nobody reads on."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            for number in range(self.streams_mb):
                await response.write(b"[" * 1_000_000)
                self.sent_mb = max(self.sent_mb, number + 1)
        return response

    def _spoilt(self, text: str) -> str:
        if self.spoil is None and not self.warnings:
            return text
        document = json.loads(text)
        if self.warnings:
            document["warnings"] = self.warnings
        data = document.get("data")
        if self.spoil is not None and isinstance(data, dict) and "result" in data:
            data["result"] = self.spoil(data["result"])
        return json.dumps(document)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["IllServer"]:
        """Serve on loopback until left."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as self._session:
            try:
                yield self
            finally:
                await runner.cleanup()
