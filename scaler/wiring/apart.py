"""
A source that is read on a thread of its own.

Merging a reply of a hundred thousand rows and finding out whose pods are whose takes seconds of
Python. The event loop that answers RPCs, probes and signals has none of it: between two of its
turns at most the interpreter's switch interval passes.
"""

import asyncio
import threading
from collections.abc import Collection, Coroutine, Iterator
from typing import Any, TypeVar

from scaler.decision.pool import Node, Units
from scaler.decision.window import Window
from scaler.source import Source, Workload

Result = TypeVar("Result")


class Apart:
    """A source whose reads run on an event loop of their own; see :class:`Source`."""

    def __init__(self, source: Source) -> None:
        """Begin the thread; :meth:`close` ends it."""
        self._source = source
        self._began = threading.Event()
        # A daemon: a process that is told to end does not wait for a server that does not answer.
        threading.Thread(target=lambda: asyncio.run(self._run()), name="read", daemon=True).start()
        self._began.wait()

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._began.set()
        await self._end.wait()

    async def refresh(
        self,
        workloads: Collection[Workload],
        lookback_s: float,
        now_s: float,
        *,
        history_s: float = 0.0,
    ) -> None:
        """
        Read everything that is new.

        Raises:
            SourceError: as the source does.
        """
        read = self._source.refresh(workloads, lookback_s, now_s, history_s=history_s)
        await self.there(read)

    async def there(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the source's loop; cancelling one cancels the other."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    @property
    def is_complete(self) -> bool:
        """Whether everything was read that the last read was asked for."""
        return self._source.is_complete

    @property
    def refused(self) -> int:
        """How many samples so far were no readings."""
        return self._source.refused

    @property
    def asked_apart(self) -> int:
        """How many namespaces are asked apart."""
        return self._source.asked_apart

    def assembling(self, workload: Workload, lookback_s: float, now_s: float) -> Iterator[None]:
        """Make what a window needs."""
        return self._source.assembling(workload, lookback_s, now_s)

    def window(
        self, workload: Workload, lookback_s: float, now_s: float, *, silent_s: float = 0.0
    ) -> Window:
        """Return what was read of a workload."""
        return self._source.window(workload, lookback_s, now_s, silent_s=silent_s)

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        """Return the nodes that have a resource."""
        return self._source.nodes(resource, online, now_s)

    def units(self, resource: str | None, workload: Workload, now_s: float) -> Units:
        """Return what a workload's pods hold."""
        return self._source.units(resource, workload, now_s)

    def close(self) -> None:
        """End the thread with the turn that it is at; what it waits for is given up."""
        self._loop.call_soon_threadsafe(self._end.set)
