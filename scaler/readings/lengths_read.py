"""
When token lengths are read, and as of when.

They are the largest of what is read, and cover an hour: every five minutes is often enough. They
are read as of the last of these marks, which is the same for every scaler and before and after a
restart; where there were none yet, as of now, once a minute.
"""

import logging
from collections.abc import Collection

from scaler.errors import SourceError
from scaler.source import Workload

from .asks import MINUTE_S
from .assemble import Assembly
from .reader import Reader
from .round import Round

logger = logging.getLogger("kvtide.prometheus")

MARK_S = 300.0


class LengthsRead:
    """Reads the token lengths of one server's workloads into an assembly's book."""

    def __init__(self, reader: Reader, assembly: Assembly, *, url: str) -> None:
        self._reader = reader
        self._assembly = assembly
        self._url = url
        self._of: frozenset[str] = frozenset()
        self._lacking: set[str] = set()
        self._read_s = self._marked_s = float("-inf")

    async def read(self, workloads: Collection[Workload], round_: Round, now_s: float) -> None:
        """Read what is due; without lengths a decision says what it assumes instead."""
        namespaces = frozenset(workload.namespace for workload in workloads)
        mark_s = now_s // MARK_S * MARK_S
        if now_s - self._read_s < MINUTE_S:
            return
        new = namespaces if mark_s > self._marked_s else namespaces - self._of
        lacking = await self._read_at(mark_s, workloads, new, round_)
        lacking |= self._lacking & namespaces
        self._lacking = await self._read_at(now_s, workloads, lacking, round_)
        self._of, self._read_s, self._marked_s = namespaces, now_s, mark_s

    async def _read_at(
        self,
        at_s: float,
        workloads: Collection[Workload],
        namespaces: Collection[str],
        round_: Round,
    ) -> set[str]:
        """Read as of an instant; return the namespaces of no lengths, or that were not read."""
        lacking = set(namespaces)
        if not namespaces:
            return lacking
        try:
            for which, metrics in self._assembly.engines.length_metrics(workloads):
                lacking &= await self._reader.lengths.read(
                    which,
                    metrics,
                    namespaces,
                    at_s,
                    book=self._assembly.lengths,
                    round_=round_,
                    copies=self._assembly.copies,
                )
        except SourceError as error:
            logger.warning("token lengths could not be read from %s: %s", self._url, error)
            return set(namespaces)
        return lacking
