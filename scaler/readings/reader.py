"""
Asks a Prometheus for readings and hands the rows to an assembly.

Where a reply is too large it asks for less at a time; where the server is not well it gives up on
the round instead of asking on; every error is noted by exporter and namespace.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from scaler.configuration import PrometheusServer
from scaler.errors import SourceError

from . import cluster, dcgm, promql
from .asks import Ask, Plan, cut
from .assemble import Assembly, Merged
from .chosen import Chosen
from .dialect import Dialect
from .labels import TARGET_INFO
from .lengths import LENGTHS_S, STEM, LengthBook, Which
from .names import which_exist
from .native import with_native
from .partial import has_all
from .prometheus import PrometheusApi
from .promql import Matcher
from .replies import PartialAnswerError, Row, TooManySeriesError
from .series import Point
from .server_kind import ServerKind
from .wanted import Exporter

logger = logging.getLogger("kvtide.prometheus")

_LONGEST_PROBED = 3_000
"""Letters of namespaces in a probe, which names them once per label that may bear them."""
_LONGEST_NAMED = 1_000
"""Letters of metric names in one probe, which has them for each label of a namespace."""

Place = tuple[Exporter, str]
"""An exporter in a namespace."""

_AT_ONCE = 16
"""Queries under way at one time: a slow server answers a round in the time of one or two of them.
Prometheus takes twenty (``--query.max-concurrency``), and others ask as well."""
_ROWS_AT_A_TIME = 200
"""Rows merged before others get their turn on the event loop."""
_SHOWN = 50
"""Series that are looked at of what is elsewhere."""
_MOST_TIMEOUTS = 4
"""After so many in one round the rest is not asked."""

_PROBES: Mapping[Exporter, tuple[str, ...]] = {
    Exporter.GPU: tuple(metric for wanted in dcgm.WANTED for metric in wanted.metrics),
    Exporter.CLUSTER: cluster.PROBES,
}


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

    async def query(self, text: str, at_s: float) -> list[Row]:
        """
        Ask, unless the server is known not to be well.

        Raises:
            SourceError: of this query, or the one that ended the round.
        """
        async with self._turn:
            if self._ended_by is not None:
                raise self._ended_by
            began_s = time.monotonic()
            try:
                rows = await self._api.query(text, at_s)
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


class Reader:
    """Reads from one server."""

    def __init__(self, server: PrometheusServer) -> None:
        self._api = PrometheusApi(server)
        self._labels: dict[Exporter, tuple[str, ...]] = {}
        """Labels in which an exporter's rows name a namespace; none: there is no such exporter."""
        self._chosen = Chosen(server)
        self._identified = False

    @property
    def dialect(self) -> Dialect:
        """What is said to the server beside the query."""
        return self._api.dialect

    def begin(self) -> Round:
        """Begin a round."""
        return Round(self._api)

    def close(self) -> None:
        """Drop the connections."""
        self._api.close()

    async def about_server(self, clock: Callable[[], float]) -> tuple[ServerKind, float | None]:
        """
        Return which server this is, and by how many seconds its clock is ahead of ``clock``.

        None: it does not tell its time.

        Raises:
            SourceError: it did not answer.
        """
        return await self._api.kind(), await self._api.skew_s(clock)

    async def probe(
        self, engines: Iterable[str], namespaces: Collection[str], now_s: float
    ) -> None:
        """
        Find out which exporters there are, and in which label they name a namespace.

        ``engines`` are metrics that every engine in question has. An engine that is not there yet
        is asked for all the same, under its pod's own labels.

        Raises:
            SourceError: the server did not answer.
        """
        if not self._identified:
            await self._api.identify()
            self._identified = True
        for exporter, metrics in {Exporter.ENGINE: tuple(engines), **_PROBES}.items():
            joins = exporter is Exporter.ENGINE
            found = set[str]()
            for names in cut(metrics, letters=_LONGEST_NAMED):
                for some in cut(sorted(namespaces), letters=_LONGEST_PROBED):
                    found |= await self._found_in(names, some, now_s, joins=joins)
            if exporter is Exporter.ENGINE:
                found.add(self._chosen.own_label)
            self._labels[exporter] = tuple(name for name in self._chosen.labels if name in found)

    async def _found_in(
        self, metrics: Sequence[str], namespaces: Sequence[str], now_s: float, *, joins: bool
    ) -> set[str]:
        """
        Return the labels in which rows of any of the metrics name one of the namespaces.

        ``joins``: and whether there is a metric beside them that does. Half of the namespaces (of
        the metrics, for one namespace) at a time where that is too much for the server.
        """

        def query() -> str:
            return self._chosen.existence(metrics, namespaces, joins=joins)

        try:
            rows = await self._api.query(query(), now_s)
        except PartialAnswerError as error:
            rows = error.rows  # what is there is there
        except SourceError as error:
            if error.kind == "limit" and max(len(namespaces), len(metrics)) > 1:
                halves = _halves(metrics, namespaces)
                found = [await self._found_in(*half, now_s, joins=joins) for half in halves]
                return set().union(*found)
            if not self._chosen.names.may_be_refused(error):
                raise
            with self._chosen.names.asked_one_by_one():
                rows = await self._api.query(query(), now_s)
        return {labels.get(promql.EXISTS, "") for labels, _ in rows}

    async def _learn_targets(self, asks: Sequence[Ask], round_: Round) -> None:
        """Find out whose rows are that carry no pod, as far back as is asked."""
        if TARGET_INFO not in self._labels.get(Exporter.ENGINE, ()) or not asks:
            return
        namespaces = {name for ask in asks if ask.wanted.namespaced for name in ask.namespaces}
        seconds = max(ask.seconds for ask in asks)
        query = promql.last(self._chosen.targets_in(namespaces), seconds)
        # Without an answer those that were known are asked for.
        with contextlib.suppress(SourceError):
            rows = await round_.query(query, max(ask.at_s for ask in asks))
            self._chosen.targets.learn(labels for labels, _ in rows)

    @property
    def asks_exact_names(self) -> bool:
        """Whether the server was found to refuse several names in one selector."""
        return self._chosen.names.one_by_one

    def has(self, exporter: Exporter) -> bool:
        """Whether an exporter was there at the last probe."""
        return bool(self._labels.get(exporter))

    async def newest_s(
        self, metrics: Sequence[str], namespace: str, now_s: float, back_s: float
    ) -> float | None:
        """
        Return the time of the newest sample of some metrics in a namespace; None: there is none.

        Raises:
            SourceError: the server did not answer.
        """
        found: list[float] = []
        for label in self._labels.get(Exporter.ENGINE, ()):
            for chosen in self._chosen.within(label, metrics, {namespace}):
                rows = await self._api.query(promql.raw(chosen, back_s), now_s)
                found += [points[-1][0] for _, points in rows if points]
        return max(found, default=None)

    @property
    def found_all(self) -> bool:
        """Whether every exporter was there at the last probe."""
        return all(self._labels.values())

    async def read(
        self, asks: Iterable[Ask], assembly: Assembly, round_: Round, plan: Plan
    ) -> bool:
        """Perform asks, several at a time; return whether all were answered, and note the rest."""
        asks = tuple(asks)
        await self._learn_targets(asks, round_)
        answered = await asyncio.gather(
            *(self._perform(ask, assembly, round_, plan) for ask in asks if self._labels_of(ask))
        )
        return all(answered)

    async def read_lengths(
        self,
        which: Which,
        metrics: Sequence[str],
        namespaces: Collection[str],
        now_s: float,
        *,
        book: LengthBook,
        round_: Round,
        copies: Sequence[str] = (),
    ) -> None:
        """
        Read histograms of lengths, added up over the pods of a stem; older names as alternatives.

        Series that differ in ``copies`` alone are one.

        Raises:
            SourceError: there is no full answer.
        """
        names = with_native(metrics) if self.dialect.native_histograms else metrics
        for some in cut(sorted(namespaces)):
            missing = set(some)
            for metric, label in itertools.product(names, self._labels[Exporter.ENGINE]):
                query = self._chosen.increase(
                    label, metric, missing, seconds=LENGTHS_S, stem=STEM, copies=copies
                )
                rows = await _lengths_in(*query, now_s, round_)
                book.put(which, rows)
                missing -= {namespace for (namespace, _), _, _ in rows}
                if not missing:
                    break

    async def names_at(
        self,
        target: Sequence[Matcher],
        candidates: Sequence[str],
        round_: Round,
        now_s: float,
        *,
        any_name: bool = False,
    ) -> set[str]:
        """
        Return those of some names that a target has; any that it has, where the server tells.

        Raises:
            SourceError: the server did not answer.
        """
        if not self._chosen.names.one_by_one:
            (chosen,) = self._chosen.selectors(() if any_name else candidates, target)
            rows = await round_.query(promql.names(chosen), now_s)
            return {labels["__name__"] for labels, _ in rows if "__name__" in labels}
        chosen_by_name = {self._chosen.selectors((one,), target)[0]: one for one in candidates}
        there = await which_exist([*chosen_by_name], round_.query, now_s)
        return {chosen_by_name[one] for one in there}

    async def some_of(
        self, metrics: Sequence[str], where: Sequence[Matcher], round_: Round, now_s: float
    ) -> tuple[Mapping[str, str], ...]:
        """
        Return the labels of a few series of some metrics that match.

        Raises:
            SourceError: the server did not answer.
        """
        chosen = self._chosen.selectors(metrics, where)
        if self._chosen.names.one_by_one:
            chosen = sorted(await which_exist(chosen, round_.query, now_s))[:1]
        rows = [await round_.query(promql.some(one, _SHOWN), now_s) for one in chosen]
        return tuple(labels for found in rows for labels, _ in found)

    async def _perform(self, ask: Ask, assembly: Assembly, round_: Round, plan: Plan) -> bool:
        """Ask; where the reply is too large, ask for half of the namespaces at a time."""
        places = [(ask.wanted.exporter, namespace) for namespace in ask.namespaces]
        round_.asked.update(places)
        try:
            await self._take(ask, assembly, round_, plan)
        except SourceError as error:
            halves = ask.halves_of_namespaces() if error.kind == "limit" else None
            if halves is None:
                round_.failed.update(dict.fromkeys(places, error))
                return False
            plan.too_large(ask)
            return all([await self._perform(half, assembly, round_, plan) for half in halves])
        round_.answered.update(places)
        plan.answered(ask)
        return True

    async def _take(self, ask: Ask, assembly: Assembly, round_: Round, plan: Plan) -> None:
        """
        Ask and hand over the rows; where the reply is too large, half of the time at a time.

        Raises:
            SourceError: some of it could not be read.
        """
        try:
            for label in self._labels_of(ask):
                for text in await self._texts(ask, label, round_):
                    rows = await _whole(ask, text, assembly, round_)
                    read = [(self._chosen.read(label, labels), points) for labels, points in rows]
                    await _merge(ask, read, assembly, plan)
        except TooManySeriesError:
            raise
        except SourceError as error:
            halves = ask.halves_of_time() if error.kind == "limit" else None
            if halves is None:
                raise
            for half in halves:
                await self._take(half, assembly, round_, plan)

    def _labels_of(self, ask: Ask) -> tuple[str, ...]:
        """Return the labels to look for namespaces in; gateways are looked for in none."""
        if ask.wanted.exporter is Exporter.GATEWAY:
            return ("",)
        labels = self._labels.get(ask.wanted.exporter, ())
        return labels if ask.wanted.namespaced else labels[:1]

    async def _texts(self, ask: Ask, label: str, round_: Round) -> list[str]:
        """Return the queries for an ask: one, or one per name that there is."""
        metrics, where = ask.wanted.metrics, ask.wanted.where
        if self.dialect.native_histograms:
            metrics = with_native(metrics)
        if ask.wanted.namespaced:
            chosen = self._chosen.within(label, metrics, ask.namespaces, where)
        else:
            chosen = self._chosen.selectors(metrics, where)
        if len(chosen) > 1:
            chosen = await self._chosen.names.existing(chosen, ask, round_.query)
        if ask.wanted.once_a_minute:
            return [promql.last(one, ask.seconds) for one in chosen]
        return [promql.raw(one, ask.seconds) for one in chosen]


def _halves(
    metrics: Sequence[str], namespaces: Sequence[str]
) -> tuple[tuple[Sequence[str], Sequence[str]], ...]:
    if len(namespaces) > 1:
        middle = len(namespaces) // 2
        return (metrics, namespaces[:middle]), (metrics, namespaces[middle:])
    middle = len(metrics) // 2
    return (metrics[:middle], namespaces), (metrics[middle:], namespaces)


async def _lengths_in(
    query: str, by: str, now_s: float, round_: Round
) -> list[tuple[tuple[str, str], str, float]]:
    """Return namespace and stem, bucket and count of rows that name a namespace in ``by``."""
    return [
        ((labels[by], labels["stem"]), labels["le"], points[-1][1])
        for labels, points in (await round_.query(query, now_s) if query else ())
        if points and {by, "stem", "le"} <= labels.keys()
    ]


async def _merge(ask: Ask, rows: Sequence[Row], assembly: Assembly, plan: Plan) -> None:
    """Hand over the rows; note what came later than it was asked about before."""
    asked_s = plan.asked_s(ask)
    for number, (labels, points) in enumerate(rows, start=1):
        is_wanted = labels.get("__name__") in ask.wanted.metrics
        merged = assembly.take(ask.wanted, labels, points) if is_wanted else None
        if merged is not None and merged.before_s is not None and not ask.wanted.once_a_minute:
            _note_late(ask, points, merged, asked_s, assembly=assembly, plan=plan)
        if number % _ROWS_AT_A_TIME == 0:
            await asyncio.sleep(0)


async def _whole(ask: Ask, text: str, assembly: Assembly, round_: Round) -> Sequence[Row]:
    """
    Ask; take an answer that calls itself incomplete where it has all that is known.

    Raises:
        SourceError: there is no full answer.
    """
    try:
        return await round_.query(text, ask.at_s)
    except PartialAnswerError as error:
        slack_s = assembly.intervals.stale_after_s(ask.wanted.exporter)
        is_whole = has_all(ask, error.rows, assembly.store, copies=assembly.copies, slack_s=slack_s)
        if not is_whole:
            raise
        return error.rows


def _note_late(
    ask: Ask,
    points: Sequence[Point],
    merged: Merged,
    asked_s: float,
    *,
    assembly: Assembly,
    plan: Plan,
) -> None:
    before_s = merged.before_s
    first_s = next((at_s for at_s, _ in points if before_s is not None and at_s > before_s), None)
    if before_s is None or first_s is None:
        return
    if before_s < ask.since_s:
        plan.goes_on(ask, merged.namespace, before_s)
    elif 0 <= asked_s - first_s < assembly.intervals.stale_after_s(ask.wanted.exporter):
        assembly.lateness.note(ask.at_s, asked_s - first_s)
