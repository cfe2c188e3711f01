"""
One round of reading: what was asked, what was answered, and when to give the round up.

A server that refuses, or lets queries run into their timeouts, is not asked on: the next round
finds out whether it is well again.
"""

import asyncio
import time

from scaler.errors import SourceError

from .prometheus import PrometheusApi
from .replies import Row
from .wanted import Exporter

Place = tuple[Exporter, str]
"""An exporter in a namespace."""

_AT_ONCE = 16
"""Queries under way at one time: a slow server answers a round in the time of one or two of them.
Prometheus takes twenty (``--query.max-concurrency``), and others ask as well."""
_MOST_TIMEOUTS = 4
"""After so many in one round the rest is not asked."""


class Round:
    """One round of reading: what was asked, what failed, and whether to go on."""

    def __init__(self, api: PrometheusApi) -> None:
        self._api = api
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._timeouts = 0
        self._answers = 0
        self._ended_by: SourceError | None = None
        self.slowest_s = 0.0
        """How long the slowest query took."""
        self.asked: set[Place] = set()
        self.answered: set[Place] = set()
        self.failed: dict[Place, SourceError] = {}

    async def query(self, text: str, at_s: float, *, small: bool = False) -> list[Row]:
        """
        Ask, unless the server is known not to be well; ``small``: for a small reply, as expected.

        Raises:
            SourceError: of this query, or the one that ended the round.
        """
        async with self._turn:
            if self._ended_by is not None:
                raise self._ended_by
            began_s = time.monotonic()
            try:
                rows = await self._api.query(text, at_s, small=small)
            except SourceError as error:
                self._count(error)
                raise
            self._answers += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
            return rows

    def _count(self, error: SourceError) -> None:
        self._timeouts += error.kind == "timeout"
        enough = _MOST_TIMEOUTS if self._answers else 1
        if error.kind == "refused" or self._timeouts >= enough:
            self._ended_by = error
