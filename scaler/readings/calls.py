"""
A call of a server, in a thread, that can be cut off.

A socket's own limit is on each of its reads, so that a server which drips the headers of its
answer, or the length of a chunk, keeps a thread for as long as it likes. Whoever waits for the
call knows when that is too long, and ends the connection under it.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

Answer = TypeVar("Answer")

_RUNNING = threading.local()
"""The call that this thread makes."""


class Call:
    """One call, over one connection at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over: socket.socket | None = None
        self._is_cut = False

    def run(self, work: Callable[..., Answer], *arguments: object) -> Answer:
        """Do the work in this thread, where :meth:`cut` ends it."""
        _RUNNING.call = self
        try:
            return work(*arguments)
        finally:
            _RUNNING.call = None
            with self._lock:
                self._over = None  # others may ask over it from now on

    def goes_over(self, connected: socket.socket | None) -> None:
        """Note what is asked over."""
        with self._lock:
            self._over = connected
            if self._is_cut:
                self._end()

    def cut(self) -> None:
        """End the connection: whoever reads from it is told that nothing comes any more."""
        with self._lock:
            self._is_cut = True
            self._end()

    def _end(self) -> None:
        if self._over is not None:
            with contextlib.suppress(OSError):  # the other side may have been faster
                self._over.shutdown(socket.SHUT_RDWR)


class Adapter(HTTPAdapter):
    """Sends requests over connections that a :class:`Call` can cut."""

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401 -- requests'
        """Make the pools of connections."""
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def _note(connected: socket.socket | None) -> None:
    call: Call | None = getattr(_RUNNING, "call", None)
    if call is not None:
        call.goes_over(connected)


class _Connection(HTTPConnection):
    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        _note(self.sock)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        _note(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
