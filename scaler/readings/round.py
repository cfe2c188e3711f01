"""
One round of reading: what was asked, what was answered, and when to give the round up.

A server that refuses, or lets queries run into their timeouts, is not asked on: the next round
finds out whether it is well again.
"""

import asyncio
import dataclasses
import math
import time
from collections.abc import Awaitable, Callable

from scaler.errors import SourceError

from .prometheus import PrometheusApi
from .replies import Row
from .wanted import Exporter

Place = tuple[Exporter, str]
"""An exporter in a namespace."""

_AT_ONCE = 16
"""Queries under way at one time: a slow server answers a round in the time of one or two of them.
Prometheus takes twenty (``--query.max-concurrency``), and others ask as well."""
_ASIDE_AT_ONCE = 2
_MOST_TIMEOUTS = 4
"""After so many in one round the rest is not asked."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A query that several namespaces share, and that was not answered in time or is too much."""

    namespaces: tuple[str, ...]
    again: "Callable[[tuple[str, ...], Round, float], Awaitable[None]]"
    """Asks for some of them as of an instant, to see whether there is an answer."""


class Round:
    """One round of reading: what was asked, what failed, and whether to go on."""

    def __init__(
        self, api: PrometheusApi, *, is_aside: bool = False, limit_s: float = math.inf
    ) -> None:
        """Begin; each query takes ``limit_s`` at most, where the server's limit is longer."""
        self._api = api
        self.is_aside = is_aside
        """Whether it is of little, beside the round of all others."""
        self._turn = asyncio.Semaphore(_ASIDE_AT_ONCE if is_aside else _AT_ONCE)
        self._limit_s = limit_s
        self._timeouts = 0
        self._answers = 0
        self._ended_by: SourceError | None = None
        self.slowest_s = 0.0
        """How long the slowest query took."""
        self.asked: set[Place] = set()
        self.answered: set[Place] = set()
        self.failed: dict[Place, SourceError] = {}
        self.late: Late | None = None
        """The first query of several namespaces that was not answered in time."""
        self.too_much: dict[str, Late] = {}
        """By namespace: of which alone a reply is too large."""

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
                rows = await self._api.query(text, at_s, small=small, limit_s=self._limit_s)
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
