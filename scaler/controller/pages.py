"""The controller's probes and metrics over HTTP."""

from collections.abc import Callable

from aiohttp import web


async def start(
    address: str, *, exposition: Callable[[], bytes], content_type: str
) -> web.AppRunner:
    """Listen on ``host:port`` (no host: every interface); return what to clean up."""

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", alive)
    app.router.add_get("/metrics", metrics)
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
    return runner
