"""
A web server for pages, that nobody can fill up.

A connection that brings no whole request in a while is closed, and of too many the one that is open
longest is cut, whatever it does: whoever holds connections without asking, or asks and never reads,
keeps no probe out and takes no file descriptors from the RPCs.
"""

import asyncio
import dataclasses
import errno

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from scaler.errors import ConfigurationError, Problem


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What clients may take up."""

    connections: int = 128
    """At one time: Prometheus, probes, and people with the page open."""
    idle_s: float = 20.0
    """For the headers of a request, and until the next one; longer than most scrape intervals."""
    leaving_s: float = 1.0
    """What requests under way get when the server closes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Listening:
    """A web server that listens."""

    port: int
    server: asyncio.Server
    runner: web.AppRunner

    async def close(self) -> None:
        """Accept nobody any more, and end what is under way."""
        self.server.close()
        await self.runner.cleanup()


async def listen(app: web.Application, address: str, bounds: Bounds = Bounds()) -> Listening:
    """
    Listen on ``host:port`` (no host: every interface).

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=bounds.idle_s,
        shutdown_timeout=bounds.leaving_s,
        handler_cancellation=True,
    )
    await runner.setup()
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            lambda: _admit(runner, bounds.connections),
            host.strip("[]") or None,
            int(port),
            reuse_address=True,
        )
    except (OSError, OverflowError) as error:  # a port beyond 65535 is an OverflowError
        await runner.cleanup()
        why = why_not(error, host, port) or str(error)
        raise ConfigurationError(Problem(field="http_address", got=why)) from error
    return Listening(server.sockets[0].getsockname()[1], server, runner)


def why_not(error: Exception, host: str, port: object) -> str | None:
    """Return why an address cannot be listened on, where the error is one of those that tell."""
    return {
        errno.EADDRINUSE: f"port {port} is in use",
        errno.EACCES: f"this user may not listen on port {port}",
        errno.EADDRNOTAVAIL: f"{host} is no address of this machine",
    }.get(getattr(error, "errno", None) or 0)


def _admit(runner: web.AppRunner, most: int) -> RequestHandler:
    """Return the protocol of one more connection; where there are too many, for the oldest."""
    server = runner.server
    assert server is not None  # noqa: S101 -- it is set up
    open_now = [
        one.transport
        for one in server.connections
        if one.transport is not None and not one.transport.is_closing()
    ]
    if len(open_now) >= most:
        open_now[0].abort()
    return server()
