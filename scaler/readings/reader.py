"""
Asks a Prometheus for readings and hands the rows to an assembly.

Where a reply is too large it asks for less at a time; where the server is not well it gives up on
the round instead of asking on; every error is noted by exporter and namespace.
"""

import asyncio
import contextlib
import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from scaler.configuration import PrometheusServer
from scaler.errors import SourceError
from scaler.tracing import NO_TRACER, Tracer

from . import promql
from .asks import Ask, Plan
from .assemble import Assembly
from .chosen import Chosen
from .dialect import Dialect
from .labels import TARGET_INFO
from .length_queries import LengthQueries
from .merging import merge, whole
from .names import which_exist
from .native import with_native
from .probe import Probe
from .prometheus import PrometheusApi
from .promql import Matcher
from .round import Late, Round
from .server_kind import ServerKind
from .together import Grouping, Together
from .wanted import Exporter

_OWN = "kvtide_held"
"""A metric of kvtide itself that each object has, whatever is answered for it."""
_PAGES = "kvtide_direct_scrape_pods"
_OWN_S = 120.0
"""How far back it is looked for: a scrape a minute, and one that failed."""
_OBJECT = ("namespace", "exported_namespace", "scaledobject")
"""Labels that say which object it is of."""
_SHOWN = 50
"""Series that are looked at of what is elsewhere."""


class Reader:
    """Reads from one server."""

    def __init__(self, server: PrometheusServer, tracer: Tracer = NO_TRACER) -> None:
        self._api = PrometheusApi(server, tracer)
        self._chosen = Chosen(server)
        self._probe = Probe(self._api, self._chosen)
        self._groupings = {False: Grouping(), True: Grouping()}
        """By whether a round is aside: it teaches nothing of how all others are asked for."""
        self._identified = False

    @property
    def lengths(self) -> LengthQueries:
        """Who asks for token lengths."""
        return LengthQueries(self._chosen, self._probe, native=self.dialect.native_histograms)

    @property
    def dialect(self) -> Dialect:
        """What is said to the server beside the query."""
        return self._api.dialect

    def begin(self) -> Round:
        """Begin a round."""
        return Round(self._api)

    def begin_aside(self, *, limit_s: float = math.inf) -> Round:
        """Begin one of little, beside the round of all others."""
        return Round(self._api, is_aside=True, limit_s=limit_s)

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

    async def ahead_s(self, clock: Callable[[], float]) -> float | None:
        """
        Return by how many seconds the server's clock is ahead of ``clock``; None: not told.

        Raises:
            SourceError: it did not answer.
        """
        return await self._api.skew_s(clock)

    async def probe(
        self,
        engines: Iterable[str],
        namespaces: Collection[str],
        now_s: float,
        *,
        absent_only: bool = False,
    ) -> None:
        """
        Find out what server this is, and as :meth:`Probe.ask` what there is on it.

        Raises:
            SourceError: the server did not answer.
        """
        if not self._identified:
            await self._api.identify()
            self._identified = True
        await self._probe.ask(engines, namespaces, now_s, absent_only=absent_only)

    async def _learn_targets(self, asks: Sequence[Ask], round_: Round) -> None:
        """Find out whose rows are that carry no pod, as far back as is asked."""
        if TARGET_INFO not in self._probe.labels.get(Exporter.ENGINE, ()) or not asks:
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
        return self._probe.has(exporter)

    async def newest_s(
        self, metrics: Sequence[str], namespace: str, now_s: float, back_s: float
    ) -> float | None:
        """
        Return the time of the newest sample of some metrics in a namespace; None: there is none.

        Raises:
            SourceError: the server did not answer.
        """
        found: list[float] = []
        for label in self._probe.labels.get(Exporter.ENGINE, ()):
            for chosen in self._chosen.within(label, metrics, {namespace}):
                rows = await self._api.query(promql.raw(chosen, back_s), now_s)
                found += [points[-1][0] for _, points in rows if points]
        return max(found, default=None)

    async def objects_served(self, now_s: float) -> int | None:
        """
        Return how many ScaledObjects the metrics of kvtide itself tell of; None: there are none.

        Raises:
            SourceError: the server did not answer.
        """
        own = promql.last(promql.selector([_OWN]), _OWN_S)
        rows = await self._api.query(own, now_s)
        # Replicas tell the same; scraped without honorLabels, the object's namespace moves.
        told = {tuple(labels.get(one) for one in _OBJECT) for labels, _ in rows}
        return len(told) or None

    async def pages_read(self, now_s: float) -> dict[str, dict[str, int]]:
        """
        Return by object how many pods kvtide's own metrics say it reads between scrapes, by state.

        Raises:
            SourceError: the server did not answer.
        """
        rows = await self._api.query(promql.last(promql.selector([_PAGES]), _OWN_S), now_s)
        told: dict[str, dict[str, int]] = {}
        for labels, points in rows:
            namespace = labels.get("exported_namespace", labels.get("namespace"))
            of = told.setdefault(f"{namespace}/{labels.get('scaledobject')}", {})
            state, count = labels.get("state", ""), int(points[-1][1])
            of[state] = max(of.get(state, 0), count)  # replicas of the scaler tell alike
        return told

    @property
    def found_all(self) -> bool:
        """Whether every exporter was there at the last probe."""
        return self._probe.found_all

    async def read(
        self, asks: Iterable[Ask], assembly: Assembly, round_: Round, plan: Plan
    ) -> bool:
        """Perform asks, several at a time; return whether all were answered, and note the rest."""
        asks = tuple(asks)
        await self._learn_targets(asks, round_)
        put = self._groupings[round_.is_aside].put(
            (ask for ask in asks if self._labels_of(ask)), most_names=self.dialect.most_names
        )
        answered = await asyncio.gather(
            *(self._perform(together, assembly, round_, plan) for together in put)
        )
        return all(answered)

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

    async def _perform(
        self, together: Together, assembly: Assembly, round_: Round, plan: Plan
    ) -> bool:
        """Ask; where that is refused or too large, for fewer readings or namespaces at a time."""
        places = together.places
        round_.asked.update(places)
        try:
            await self._take(together, assembly, round_, plan)
        except SourceError as error:
            self._learn_from(error, together, round_)
            parts = together.parts(error)
            if not parts:
                round_.failed.update(dict.fromkeys(places, error))
                return False
            each = [await self._perform(part, assembly, round_, plan) for part in parts]
            if all(each) and len(parts[0].asks) == len(together.asks):
                plan.too_large(together.first)
            return all(each)
        round_.answered.update(places)
        for ask in together.asks:
            plan.answered(ask)
        return True

    def _learn_from(self, error: SourceError, together: Together, round_: Round) -> None:
        """Take in that a query is too large or too slow, of readings or of namespaces."""
        names = together.first.namespaces if together.first.wanted.namespaced else ()
        late = Late(namespaces=names, again=functools.partial(self._again, together))
        if error.kind == "limit":
            self._groupings[round_.is_aside].too_large(together)
            if error.of_the_query and len(names) == len(together.asks) == 1:
                round_.too_much[names[0]] = late
        if error.kind == "timeout":
            self._groupings[round_.is_aside].too_slow(together)
            if len(names) > 1 and round_.late is None:
                round_.late = late

    async def _again(
        self, together: Together, names: tuple[str, ...], round_: Round, at_s: float
    ) -> None:
        """
        Ask for the same of some namespaces, and for nothing but whether there is an answer.

        Raises:
            SourceError: there is none.
        """
        some = together.of(names, at_s)
        for label in self._labels_of(some.first):
            for text in await self._texts(some, label, round_):
                await round_.query(text, at_s)

    async def _take(
        self, together: Together, assembly: Assembly, round_: Round, plan: Plan
    ) -> None:
        """
        Ask and hand over the rows; where one reading's are too large, half of the time at a time.

        Raises:
            SourceError: some of it could not be read.
        """
        try:
            small = self._groupings[round_.is_aside].is_small(together)
            for label in self._labels_of(together.first):
                for text in await self._texts(together, label, round_):
                    rows = await whole(together, text, assembly, round_, small=small)
                    self._groupings[round_.is_aside].weigh(together, rows)
                    read = [(self._chosen.read(label, labels), points) for labels, points in rows]
                    await merge(together, read, assembly, plan)
        except SourceError as error:
            halves = together.halves_of_time(error)
            if halves is None:
                raise
            for half in halves:
                await self._take(half, assembly, round_, plan)

    def _labels_of(self, ask: Ask) -> tuple[str, ...]:
        """Return the labels to look for namespaces in; gateways are looked for in none."""
        if ask.wanted.exporter is Exporter.GATEWAY:
            return ("",)
        labels = self._probe.labels.get(ask.wanted.exporter, ())
        return labels if ask.wanted.namespaced else labels[:1]

    async def _texts(self, together: Together, label: str, round_: Round) -> list[str]:
        """Return the queries for some asks: one, or one per name that there is."""
        ask, metrics = together.first, together.metrics
        where = (*together.where, *self.dialect.anew(ask.at_s))
        if self.dialect.native_histograms:
            metrics = with_native(metrics)
        if ask.wanted.namespaced:
            chosen = self._chosen.within(label, metrics, ask.namespaces, where, ask.pods)
        else:
            chosen = self._chosen.selectors(metrics, where)
        if len(chosen) > 1:
            chosen = await self._chosen.names.existing(chosen, ask, round_.query)
        if ask.wanted.once_a_minute:
            return [promql.last(one, ask.seconds) for one in chosen]
        return [promql.raw(one, ask.seconds) for one in chosen]
