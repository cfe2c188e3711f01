"""
Named queries of the configuration that count a workload's arrivals.

One query for all workloads that name it: the placeholders are filled with all of their names at
once, so a query that several ScaledObjects share matches them with ``=~`` and keeps the labels
``namespace`` and ``workload`` in its answer.

An instant query has no past. So what lies between two reads that are further apart than the grid's
buckets, and before the first one, is asked for on the grid: a burst in it is a burst there too.
"""

import dataclasses
import string
from collections.abc import Collection, Iterator, Mapping

from scaler.errors import SourceError
from scaler.source import Workload

from . import promql
from .gateways.known import ARRIVALS
from .promql import any_of
from .reader import Place, Round
from .replies import Row
from .series import Point, SeriesStore, Subject
from .wanted import Exporter


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
        for name, users in self._users(workloads):
            query = self._queries[name]
            missed = self._missed(name, users, now_s=now_s, lookback_s=lookback_s, step_s=step_s)
            asked = [
                _Asked(name, late, promql.over(filled(query, late), now_s - at, step_s=step_s))
                for at, late in missed.items()
            ]
            asked.append(_Asked(name, users, filled(query, users)))
            if await _take(asked, round_, store, now_s):
                self._read_s.update({(name, user.key): now_s for user in users})

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
        for name, users in self._users(workloads):
            query = filled(self._queries[name], users)
            asked = _Asked(name, users, promql.over(query, end_s - begin_s, step_s=step_s))
            await _take([asked], round_, store, end_s)

    def _users(self, workloads: Collection[Workload]) -> Iterator[tuple[str, list[Workload]]]:
        for name in self._queries:
            if users := [workload for workload in workloads if workload.arrival_query == name]:
                yield name, users

    def _missed(
        self,
        name: str,
        users: Collection[Workload],
        *,
        now_s: float,
        lookback_s: float,
        step_s: float,
    ) -> dict[float, list[Workload]]:
        """Return who was not read for more than a bucket, by since when."""
        missed: dict[float, list[Workload]] = {}
        for user in users:
            read_s = self._read_s.get((name, user.key), now_s - lookback_s)
            if now_s - read_s > 2 * step_s:
                missed.setdefault(max(read_s, now_s - lookback_s), []).append(user)
        return missed


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """One query as it is sent, and for whom."""

    name: str
    users: Collection[Workload]
    text: str

    @property
    def place(self) -> Place:
        """What the round calls it."""
        return Exporter.GATEWAY, f"query {self.name}"


async def _take(asked: Collection[_Asked], round_: Round, store: SeriesStore, at_s: float) -> bool:
    """Ask and merge; return whether all was answered, else the round says why not."""
    for one in asked:
        round_.asked.add(one.place)
        try:
            rows = await round_.query(one.text, at_s)
            for subject, points in told_apart(one.name, rows, one.users):
                store.merge(ARRIVALS + one.name, subject, {}, points)
        except SourceError as error:
            round_.failed[one.place] = error
            return False
    return True


def filled(query: str, workloads: Collection[Workload]) -> str:
    """Return the query for some workloads at once."""
    return string.Template(query).substitute(
        namespace=any_of({workload.namespace for workload in workloads}),
        workload=any_of({workload.name for workload in workloads}),
    )


def told_apart(
    name: str, rows: Collection[Row], workloads: Collection[Workload]
) -> Iterator[tuple[Subject, list[Point]]]:
    """
    Yield whose each row is.

    Raises:
        SourceError: kind ``format``: several workloads, and a row that does not say whose it is.
    """
    known = {(workload.namespace, workload.name) for workload in workloads}
    for labels, points in rows:
        subject = (labels.get("namespace", ""), labels.get("workload", ""))
        if subject not in known:
            if len(known) > 1 or len(rows) > 1:
                raise SourceError(
                    "format",
                    f"query {name}: {len(known)} workloads share it, and a row of its answer has"
                    " no labels namespace and workload that are one's",
                )
            subject = next(iter(known))
        yield subject, list(points)
