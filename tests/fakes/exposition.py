"""Small HTTP servers on loopback that answer with given text: exporters, written by hand."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web


class Exporter:
    """Serves pages by path; ``pages`` may be changed while it runs."""

    def __init__(self, pages: dict[str, str | None]) -> None:
        self.pages = pages
        self.asked = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=500, text="broken")
        kind = "application/json" if request.path.startswith("/sd/") else "text/plain"
        return web.Response(text=page, content_type=kind)


@contextlib.asynccontextmanager
async def exporter(pages: dict[str, str | None]) -> AsyncIterator[Exporter]:
    fake = Exporter(pages)
    app = web.Application()
    app.router.add_get("/{tail:.*}", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
