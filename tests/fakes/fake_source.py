"""A source whose readings a test sets by hand."""

import asyncio
from collections.abc import Collection, Iterable, Iterator

from scaler.decision.pool import Node, Units
from scaler.decision.window import Window
from scaler.errors import NoDataError, SourceError
from scaler.source import Workload


class FakeSource:
    """Readings by ``namespace/scaledobject``, told as they are; a gate makes it slow."""

    def __init__(self) -> None:
        self.windows: dict[str, Window | Exception] = {}
        self.slices: dict[str, Iterable[None]] = {}
        """Of workloads that take several steps to assemble: the steps."""
        self.gpu_nodes: dict[str, tuple[Node, ...]] = {}
        self.units_of: dict[str, Units] = {}
        """By ``namespace/scaledobject``; one unit a replica where none is set."""
        self.failure: SourceError | Exception | None = None
        self.gate = asyncio.Event()
        """Reads wait for it: cleared, the source is slow."""
        self.gate.set()
        self._began = asyncio.Event()
        self.is_complete = True
        self.refused = 0
        self.asked_apart = 0
        self.reads: list[tuple[tuple[str, ...], float]] = []
        """Of each read: the workloads asked for and the lookback, seconds."""

    async def refresh(
        self,
        workloads: Collection[Workload],
        lookback_s: float,
        now_s: float,
        *,
        history_s: float = 0.0,
    ) -> None:
        self.reads.append((tuple(workload.key for workload in workloads), lookback_s))
        began, self._began = self._began, asyncio.Event()
        began.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure

    async def until_read(self, key: str) -> None:
        """Wait for a read that asks for a workload."""
        while not self.reads or key not in self.reads[-1][0]:
            await self._began.wait()

    async def until_reads(self, count: int) -> None:
        """Wait for the beginning of the read that is the ``count``-th."""
        while len(self.reads) < count:
            await self._began.wait()

    def assembling(self, workload: Workload, lookback_s: float, now_s: float) -> Iterator[None]:
        return iter(self.slices.get(workload.key, ()))

    def window(
        self,
        workload: Workload,
        lookback_s: float,
        now_s: float,
        *,
        silent_s: float = 0.0,
    ) -> Window:
        found = self.windows.get(workload.key)
        if found is None:
            raise NoDataError(f"no sample of {workload.key}")
        if isinstance(found, Exception):
            raise found
        if found.silent_s > silent_s:
            raise NoDataError(f"no fresh sample of {workload.key}", newest_s=found.now_s)
        return found

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        return self.gpu_nodes.get(resource, ())

    def units(self, resource: str | None, workload: Workload, now_s: float) -> Units:
        return self.units_of.get(workload.key, Units(per_replica=1))
