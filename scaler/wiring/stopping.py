"""What a process does when it is told to end."""

import asyncio
import signal
from collections.abc import Callable


def on_stop(act: Callable[[], object]) -> None:
    """Call ``act`` at SIGTERM or SIGINT, from the running loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)
