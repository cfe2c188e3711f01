"""The controller's probes and metrics over HTTP."""

from collections.abc import Callable

from aiohttp import web

from scaler.listening import Listening, listen


async def start(address: str, *, exposition: Callable[[], bytes], content_type: str) -> Listening:
    """Listen on ``host:port`` (no host: every interface); return what to close."""

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", alive)
    app.router.add_get("/metrics", metrics)
    return await listen(app, address)
