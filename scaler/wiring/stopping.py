"""What a process does when it is told to end."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable

logger = logging.getLogger("kvtide")


def on_stop(act: Callable[[], object], *, within_s: float | None = None) -> None:
    """
    Call ``act`` from the running loop at SIGTERM or SIGINT.

    The process ends ``within_s`` of the first signal, whatever is under way by then (a query in a
    thread, a loop that is busy): whoever sent the signal kills it a little later anyway.
    """
    loop = asyncio.get_running_loop()
    told = threading.Event()

    def hear(*_: object) -> None:
        if within_s is not None and not told.is_set():
            last = threading.Timer(within_s, _end, [within_s])
            last.daemon = True
            last.start()
        told.set()
        loop.call_soon_threadsafe(act)

    # Not the loop's own handlers: those wait until the loop has time.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)


def _end(within_s: float) -> None:
    logger.warning("cut what was still under way %g s after being told to end", within_s)
    os._exit(0)
