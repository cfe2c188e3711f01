"""Work that takes long, in one thread beside the event loop, one piece after the other."""

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from scaler.errors import NoDataError
from scaler.said import Said

Args = TypeVarTuple("Args")
Result = TypeVar("Result")


class Beside:
    """A thread that does what it is given, in order."""

    def __init__(self, name: str) -> None:
        """Begin with nothing; the thread begins with the first work, and has this name."""
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, work: Callable[[*Args], Result], *args: *Args) -> Result:
        """
        Return what the work returns.

        Raises:
            NoDataError: it was stopped.
        """
        loop = asyncio.get_running_loop()
        try:
            begun = loop.run_in_executor(self._thread, work, *args)
        except RuntimeError:  # of the thread pool, about futures
            raise NoDataError(Said("this server is ending")) from None
        return await begun

    def stop(self) -> None:
        """Begin no further work."""
        self._thread.shutdown(wait=False, cancel_futures=True)
