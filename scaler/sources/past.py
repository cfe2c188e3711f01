"""
The history of workloads before the fine lookback, read once and thinned as it comes.

An hour at a time, one hour a round, newest first: a day of raw samples is never held at once, and
reading what is new never waits for what is old.
"""

import asyncio
from collections.abc import Collection

from .asks import Ask, Plan
from .assemble import Assembly
from .history import MINUTE_S, thinned
from .reader import Reader, Round
from .source import Workload
from .wanted import Exporter

CHUNK_S = 3600.0


class Past:
    """Reads history backwards, for each workload until it is as long as somebody wants it."""

    def __init__(self, reader: Reader, assembly: Assembly) -> None:
        self._reader = reader
        self._assembly = assembly
        self._read_to_s: dict[str, float] = {}
        """By workload: from which instant on its past was read."""
        self.is_complete = False
        """Whether there is nothing left to read."""

    async def read_some(
        self, workloads: Collection[Workload], round_: Round, *, until_s: float, since_s: float
    ) -> None:
        """Read one more hour, if any is missing between two instants, of those that lack it."""
        known = {workload.key: workload for workload in workloads}
        self._read_to_s = {key: at for key, at in self._read_to_s.items() if key in known}
        lacking = {
            key: at_s
            for key in known
            if (at_s := self._read_to_s.setdefault(key, _minute(until_s))) > since_s
        }
        self.is_complete = not lacking
        if not lacking:
            return
        end_s = max(lacking.values())
        begin_s = max(_minute(since_s), end_s - CHUNK_S)
        these = [known[key] for key, at_s in lacking.items() if at_s == end_s]
        if await self._read(these, round_, begin_s=begin_s, end_s=end_s):
            self._read_to_s.update({workload.key: begin_s for workload in these})

    async def _read(
        self, workloads: Collection[Workload], round_: Round, *, begin_s: float, end_s: float
    ) -> bool:
        """Read a span and add what was thinned of it; return whether all of it was read."""
        past = self._assembly.like()
        asks = [
            Ask(
                wanted=wanted,
                namespaces=names,
                since_s=begin_s - self._assembly.intervals.stale_after_s(wanted.exporter),
                at_s=end_s,
            )
            for wanted in past.wanted(workloads)
            if wanted.exporter is not Exporter.GPU and wanted.about != "node"
            for names in [
                tuple(sorted({w.namespace for w in workloads})) if wanted.namespaced else ("",)
            ]
        ]
        failed = len(round_.failed)
        await self._reader.read(asks, past, round_, Plan())
        if len(round_.failed) > failed:
            return False
        past.settle(workloads)
        for workload in workloads:
            samples = past.between(workload, begin_s, end_s)
            self._assembly.add_history(workload, thinned(samples))
            await asyncio.sleep(0)  # an hour of one workload takes milliseconds; RPCs come between
        return True


def _minute(at_s: float) -> float:
    """Return the minute's beginning at or before an instant."""
    return at_s // MINUTE_S * MINUTE_S
