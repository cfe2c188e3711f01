"""
Named queries of the configuration that count a workload's arrivals.

One query for all workloads that name it: the placeholders are filled with all of their names at
once, so a query that several ScaledObjects share matches them with ``=~`` and keeps the labels
``namespace`` and ``workload`` in its answer.

An instant query has no past, and its answer bears the time of asking. So it is asked on the grid
as well, once the samples of a bucket are surely there: a burst is a burst there too, and a bucket
is neither longer nor shorter for when it was asked about.
"""

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping

from scaler.errors import SourceError
from scaler.said import Said
from scaler.source import Workload

from . import promql
from .asks import cut
from .gateways.known import ARRIVALS
from .replies import Row
from .round import Round
from .series import Point, SeriesStore, Subject
from .shared_query import SharedQueries
from .timing import bucket_before

_LONGEST_NAMES = 4_000
"""Letters of workloads' names in one query, which may name them in several places."""


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
        delay_s: float,
        late_s: float = 0.0,
    ) -> None:
        """
        Read the counts of now, and on a grid of ``step_s`` those that were not read yet.

        On the grid up to ``delay_s`` ago: what lies later may change. Of the last ``late_s`` the
        server's subqueries know nothing.
        """
        settled_s = now_s - delay_s

        async def ask(query: _Query, these: list[Workload]) -> None:
            due = self._due(
                query.name, these, (now_s - lookback_s, settled_s, now_s), step_s=step_s
            )
            for at_s, late in due.items():
                # What a subquery is blind to is asked instant by instant: first, since it stays.
                blind_s = min(settled_s, max(at_s, now_s - late_s))
                for instant_s in _grid(blind_s, settled_s, step_s):
                    await query.take(late, query.filled(late), round_, store, instant_s)
                if bucket_before(blind_s, step_s) * step_s > at_s:
                    text = promql.over(query.filled(late), blind_s - at_s, step_s=step_s)
                    await query.take(late, text, round_, store, blind_s)
            await query.take(these, query.filled(these), round_, store, now_s)
            self._read_s.update({(query.name, user.key): settled_s for user in these})

        for query, users in self._queries_of(workloads):
            await self._shared.ask(
                query.name, users, round_, functools.partial(ask, query), query.again
            )

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
            await self._shared.ask(
                query.name, users, round_, functools.partial(ask, query), query.again
            )

    def forget(self, workloads: Collection[Workload]) -> None:
        """Drop what is known of workloads other than these, which are gone."""
        kept = {(str(one.arrival_query), one.key) for one in workloads}
        self._read_s = {user: at_s for user, at_s in self._read_s.items() if user in kept}
        self._shared.forget(kept)

    def _queries_of(
        self, workloads: Collection[Workload]
    ) -> Iterator[tuple["_Query", list[Workload]]]:
        for name, text in self._queries.items():
            users = {one.key: one for one in workloads if one.arrival_query == name}
            for keys in cut(users, letters=_LONGEST_NAMES):
                some = [users[key] for key in keys]
                yield _Query(name=name, text=text, shared=len(users) > 1), some

    def _due(
        self,
        name: str,
        users: Collection[Workload],
        times_s: tuple[float, float, float],
        *,
        step_s: float,
    ) -> dict[float, list[Workload]]:
        """
        Return whose counts on the grid are to be read, by since when.

        ``times_s``: since when at most, until when counts are settled, and now, which is read
        anyhow.
        """
        since_s, settled_s, now_s = times_s
        newest_s = bucket_before(settled_s, step_s) * step_s
        due: dict[float, list[Workload]] = {}
        for user in users:
            read_s = max(since_s, self._read_s.get((name, user.key), since_s))
            is_next = newest_s == now_s and now_s - read_s <= step_s
            if newest_s > read_s and not is_next:
                due.setdefault(read_s, []).append(user)
        return due


def _grid(since_s: float, until_s: float, step_s: float) -> Iterator[float]:
    """Yield the multiples of a step in ``(since, until]``."""
    for number in range(bucket_before(since_s, step_s) + 1, bucket_before(until_s, step_s) + 1):
        yield number * step_s


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

    async def again(self, users: Collection[Workload], round_: Round, at_s: float) -> None:
        """
        Ask, to see whether there is an answer.

        Raises:
            SourceError: there is none.
        """
        await round_.query(self.filled(users), at_s)

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
                    Said(
                        "query {name}: several workloads share it, or its rows, and a row of its"
                        " answer has no labels namespace and workload that are one's",
                        name=name,
                    ),
                )
            subject = next(iter(known))
        yield subject, list(points)
