"""A source with the pods' own pages behind what it reads, for the workloads that ask for it."""

import asyncio
import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from scaler.decision.pool import Node, Units
from scaler.decision.window import Window
from scaler.readings.direct import Tail
from scaler.readings.spliced import spliced
from scaler.said import Said
from scaler.source import Source, Workload

_NOT_ALLOWED = Said("Pods are not read between scrapes: the server's directScrape is off.")


class Reader(Protocol):
    """Reads the pages of some workloads; see :class:`scaler.readings.direct.DirectReader`."""

    async def run(self, workloads: Callable[[], Collection[Workload]]) -> None:
        """Read, until cancelled, those of the workloads that ask for it by then."""
        ...

    def tail(self, workload: Workload) -> Tail | None:
        """Return what was read of a workload; None: nothing yet."""
        ...


class Between:
    """A source and a reader of pages beside it; see :class:`Source`."""

    def __init__(self, source: Source, reader: Reader | None) -> None:
        """Stand before a source; without a reader nobody's pages are read, and that is told."""
        self._source, self._reader = source, reader
        self._asking: tuple[Workload, ...] = ()
        self._reading: asyncio.Task[None] | None = None

    async def refresh(
        self,
        workloads: Collection[Workload],
        lookback_s: float,
        now_s: float,
        *,
        history_s: float = 0.0,
    ) -> None:
        """
        Read everything that is new; pages are read beside it, and wait for nothing here.

        Raises:
            SourceError: as the source does.
        """
        self._asking = tuple(one for one in workloads if one.direct_scrape_port is not None)
        if self._asking and self._reading is None and self._reader is not None:
            self._reading = asyncio.create_task(self._reader.run(lambda: self._asking))
        await self._source.refresh(workloads, lookback_s, now_s, history_s=history_s)

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
        """Return what was read of a workload, with its tail where there is a fresh one."""
        window = self._source.window(workload, lookback_s, now_s, silent_s=silent_s)
        if workload.direct_scrape_port is None:
            return window
        if self._reader is None:
            return dataclasses.replace(window, between=_NOT_ALLOWED)
        tail = self._reader.tail(workload)
        return window if tail is None else spliced(window, tail, now_s)

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        """Return the nodes that have a resource."""
        return self._source.nodes(resource, online, now_s)

    def units(self, resource: str | None, workload: Workload, now_s: float) -> Units:
        """Return what a workload's pods hold."""
        return self._source.units(resource, workload, now_s)
