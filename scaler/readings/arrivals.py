"""
Named queries of the configuration that count a workload's arrivals.

One query for all workloads that name it: the placeholders are filled with all of their names at
once, so a query that several ScaledObjects share matches them with ``=~`` and keeps the labels
``namespace`` and ``workload`` in its answer.

An instant query has no past. So what lies between two reads that are further apart than the grid's
buckets, and before the first one, is asked for on the grid: a burst in it is a burst there too.
"""

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping

from scaler.errors import SourceError
from scaler.source import Workload

from . import promql
from .gateways.known import ARRIVALS
from .reader import Round
from .replies import Row
from .series import Point, SeriesStore, Subject
from .shared_query import SharedQueries


class ArrivalQueries:
    """
    Reads the named queries of the workloads that name one.

    ``queries`` are texts by name; without an answer arrivals are not counted, and the round says
    why.
    """

    def __init__(self, queries: Mapping[str, str]) -> None:
        self._queries = queries
        self._read_s: dict[tuple[str, str], float] = {}
        """By query and workload: until when it was read."""
        self._shared = SharedQueries()

    async def read_now(
        self,
        workloads: Collection[Workload],
        round_: Round,
        store: SeriesStore,
        *,
        now_s: float,
        lookback_s: float,
        step_s: float,
    ) -> None:
        """Read the counts of now, and on a grid of ``step_s`` those that were missed until now."""

        async def ask(query: _Query, these: list[Workload]) -> None:
            since_s = now_s - lookback_s
            missed = self._missed(query.name, these, since_s=since_s, now_s=now_s, step_s=step_s)
            for at_s, late in missed.items():
                text = promql.over(query.filled(late), now_s - at_s, step_s=step_s)
                await query.take(late, text, round_, store, now_s)
            await query.take(these, query.filled(these), round_, store, now_s)
            self._read_s.update({(query.name, user.key): now_s for user in these})

        self._forget(workloads)
        for query, users in self._queries_of(workloads):
            await self._shared.ask(query.name, users, round_, functools.partial(ask, query))

    async def read_span(
        self,
        workloads: Collection[Workload],
        round_: Round,
        store: SeriesStore,
        *,
        span_s: tuple[float, float],
        step_s: float,
    ) -> None:
        """Read the counts on a grid of ``step_s`` in ``(begin, end]``."""
        begin_s, end_s = span_s

        async def ask(query: _Query, these: list[Workload]) -> None:
            text = promql.over(query.filled(these), end_s - begin_s, step_s=step_s)
            await query.take(these, text, round_, store, end_s)

        for query, users in self._queries_of(workloads):
            await self._shared.ask(query.name, users, round_, functools.partial(ask, query))

    def _forget(self, workloads: Collection[Workload]) -> None:
        """Drop what is known of workloads that are gone."""
        kept = {(str(one.arrival_query), one.key) for one in workloads}
        self._read_s = {user: at_s for user, at_s in self._read_s.items() if user in kept}
        self._shared.forget(kept)

    def _queries_of(
        self, workloads: Collection[Workload]
    ) -> Iterator[tuple["_Query", list[Workload]]]:
        for name, text in self._queries.items():
            if users := [workload for workload in workloads if workload.arrival_query == name]:
                yield _Query(name=name, text=text, shared=len(users) > 1), users

    def _missed(
        self, name: str, users: Collection[Workload], *, since_s: float, now_s: float, step_s: float
    ) -> dict[float, list[Workload]]:
        """Return who was not read for more than a bucket, by since when."""
        missed: dict[float, list[Workload]] = {}
        for user in users:
            read_s = max(since_s, self._read_s.get((name, user.key), since_s))
            if now_s - read_s > 2 * step_s:
                missed.setdefault(read_s, []).append(user)
        return missed


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """A query of the configuration."""

    name: str
    text: str
    shared: bool
    """Several workloads name it."""

    def filled(self, users: Collection[Workload]) -> str:
        """Return the text for some workloads at once."""
        names = {
            "namespace": {user.namespace for user in users},
            "workload": {user.name for user in users},
        }
        return promql.filled(self.text, names)

    async def take(
        self,
        users: Collection[Workload],
        text: str,
        round_: Round,
        store: SeriesStore,
        at_s: float,
    ) -> None:
        """
        Ask, and merge the answer.

        Raises:
            SourceError: there is no full answer, or one that cannot be told apart.
        """
        rows = await round_.query(text, at_s)
        for subject, points in told_apart(self.name, rows, users, shared=self.shared):
            store.merge(ARRIVALS + self.name, subject, {}, points)


def told_apart(
    name: str, rows: Collection[Row], workloads: Collection[Workload], *, shared: bool
) -> Iterator[tuple[Subject, list[Point]]]:
    """
    Yield whose each row is.

    Raises:
        SourceError: kind ``format``: others share the query, and a row does not say whose it is.
    """
    known = {(workload.namespace, workload.name) for workload in workloads}
    for labels, points in rows:
        subject = (labels.get("namespace", ""), labels.get("workload", ""))
        if subject not in known:
            if shared or len(rows) > 1:
                raise SourceError(
                    "format",
                    f"query {name}: several workloads share it, or its rows, and a row of its"
                    " answer has no labels namespace and workload that are one's",
                )
            subject = next(iter(known))
        yield subject, list(points)
