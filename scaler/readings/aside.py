"""
Asks namespaces apart for which alone a server is slow, beside the rounds of all others.

What is found out and what is asked apart has queries, time and a grouping of its own: at most six
under way, and nobody waits for them.
"""

import asyncio
import functools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from scaler.errors import SourceError
from scaler.source import Workload

from .reader import Reader
from .round import Late, Round
from .slow import LIMIT_S, QUICK_S, Names, Slow, slow_among

logger = logging.getLogger("kvtide.prometheus")

_AGAIN_S = 10.0
_MOST_AGAIN_S = 600.0
"""After a search that found nobody the next one waits so long, each time twice as long."""

Visit = Callable[[str, Round], Awaitable[None]]
"""Reads what is due of one namespace."""


class Aside:
    """Searches and visits of one server, one of each at a time."""

    def __init__(self, reader: Reader, *, url: str) -> None:
        self._reader = reader
        self._url = url
        self._slow = Slow()
        self._searches = 0
        """Since somebody was found."""
        self._search_s = -math.inf
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """Return how many namespaces are asked apart."""
        return len(self._slow)

    def __contains__(self, namespace: str) -> bool:
        """Whether a namespace is asked apart."""
        return namespace in self._slow

    def shared(self, workloads: Collection[Workload]) -> list[Workload]:
        """Return the workloads whose namespaces are asked for together."""
        return [one for one in workloads if self._slow.is_shared(one.namespace)]

    def go_on(self, namespaces: Collection[str], now_s: float, visit: Visit) -> None:
        """Visit whom it is time to, beside everybody else; forget all others than these."""
        self._slow.keep(namespaces)
        if self._slow.due(now_s):
            self._begin("visit", functools.partial(self._visit_all, visit, now_s))

    def learn(self, round_: Round, namespaces: Collection[str], now_s: float) -> None:
        """Find out whom a round of several namespaces was late, or too much, for."""
        if len(namespaces) < 2:
            return
        for name, much in round_.too_much.items():
            self._ask_apart(name, much, now_s)
        late = round_.late
        if late is not None and now_s >= self._search_s:
            self._begin("search", functools.partial(self._search, late, now_s))

    def _begin(self, what: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin with it, unless the last one is under way; a fault of that one is told now."""
        last = self._tasks.get(what)
        if last is not None and not last.done():
            return
        self._tasks[what] = asyncio.create_task(work())
        if last is not None:
            last.result()

    async def _search(self, late: Late, now_s: float) -> None:
        async def is_quick(names: Names) -> bool:
            quick = await self._answers_within(LIMIT_S, late, names, now_s)
            if quick:
                self._slow.suspects.difference_update(names)
            return quick

        self._slow.suspects.update(late.namespaces)
        try:
            found = await slow_among(late.namespaces, is_quick, turn=2 * self._searches)
        except SourceError:
            found = set()  # the server is gone: nobody can be told from the others
        finally:
            self._slow.suspects.clear()
        self._searches = 0 if found else self._searches + 1
        wait_s = _AGAIN_S * 2 ** (self._searches - 1) if self._searches else 0.0
        self._search_s = now_s + min(_MOST_AGAIN_S, wait_s)
        for name in sorted(found):
            self._ask_apart(name, late, now_s)

    def _ask_apart(self, name: str, late: Late, now_s: float) -> None:
        if name not in self._slow:
            logger.warning(
                "%s is slow for namespace %s, or has too much of it: it is asked apart, and the"
                " others do not wait for it",
                self._url,
                name,
            )
        self._slow.found(name, late, now_s)

    async def _answers_within(self, limit_s: float, late: Late, names: Names, now_s: float) -> bool:
        """
        Return whether a query for some namespaces is answered in a time.

        Raises:
            SourceError: there is no server any more.
        """
        try:
            await late.again(names, self._reader.begin_aside(limit_s=limit_s), now_s)
        except SourceError as error:
            if error.kind == "refused":
                raise
            return error.kind not in ("timeout", "limit")
        return True

    async def _visit_all(self, visit: Visit, now_s: float) -> None:
        first_s = time.monotonic()
        for name in self._slow.due(now_s):
            round_, began_s = self._reader.begin_aside(), time.monotonic()
            await visit(name, round_)
            if not round_.asked:
                continue  # nothing new can be there yet
            ended_s, took_s = now_s + time.monotonic() - first_s, time.monotonic() - began_s
            late = self._slow.visited(
                name,
                ended_s,
                took_s=took_s,
                slowest_s=took_s if round_.failed else round_.slowest_s,
                answered=not round_.failed,
            )
            if late is not None:
                await self._try(name, late, ended_s)

    async def _try(self, name: str, late: Late, now_s: float) -> None:
        """Ask a namespace with the others again, if what it was slow with is quick by now."""
        try:
            quick = await self._answers_within(QUICK_S, late, (name,), now_s)
        except SourceError:
            quick = False
        self._slow.tried(name, now_s, quick=quick)
        if quick:
            logger.info("%s is quick for namespace %s: with the others again", self._url, name)
