"""
Reads on: what is new of all workloads of one server, round by round.

Few queries for all of them. A namespace for which alone the server is slow is read apart, beside
the rounds of all others.
"""

import logging
from collections.abc import Collection, Sequence

from scaler.errors import SourceError
from scaler.said import Said, joined
from scaler.source import Workload

from .arrivals import ArrivalQueries
from .aside import Aside
from .asks import Ask, Plan
from .assemble import Assembly
from .reader import Reader
from .rests import Rests
from .round import Place, Round
from .series import Subject
from .wanted import Exporter, Wanted, asked_for

logger = logging.getLogger("kvtide.prometheus")

_MOST_PASSES = 3
"""Of one round: what is new; what its pods are and what came late; what came late of that."""

_LATE_BUCKETS = 2
"""Buckets before the last read's end that are read again, for what comes late."""


class Following:
    """Knows how far everything was read, what of it failed, and whom to ask apart."""

    def __init__(
        self,
        reader: Reader,
        assembly: Assembly,
        arrivals: ArrivalQueries,
        *,
        url: str,
        delay_s: float,
        learns: bool,
    ) -> None:
        """Begin; ``delay_s`` is how late a sample may come, ``learns`` whether to ask apart."""
        self._reader = reader
        self._assembly = assembly
        self._arrivals = arrivals
        self._url, self._delay_s, self._learns = url, delay_s, learns
        self._plan = Plan()
        self._rests = Rests(assembly)
        self._aside = Aside(reader, url=url)
        self._pods: frozenset[Subject] = frozenset()
        self._failures: dict[Place, SourceError] = {}
        self._refused = 0
        self.slowest_s = 0.0
        """How long the slowest query of the last round of all took."""

    @property
    def asked_apart(self) -> int:
        """How many namespaces are asked apart."""
        return len(self._aside)

    def shared(self, workloads: Collection[Workload]) -> list[Workload]:
        """Return the workloads whose namespaces are asked for together."""
        return self._aside.shared(workloads)

    async def read(self, workloads: Sequence[Workload], *, now_s: float, lookback_s: float) -> None:
        """
        Read what is new of all who are asked for together; begin with those who are not.

        Raises:
            SourceError: no engine reading of any namespace was answered.
        """
        await self._read_shared(workloads, now_s=now_s, lookback_s=lookback_s)
        self._visit_slow(workloads, now_s=now_s, lookback_s=lookback_s)

    def learn(self, round_: Round, workloads: Collection[Workload], now_s: float) -> None:
        """Find out for whom alone the server was slow in a round of some workloads."""
        if self._learns:
            self._aside.learn(round_, {workload.namespace for workload in workloads}, now_s)

    def fail(self, namespaces: Collection[str], error: SourceError) -> None:
        """Note that engines of some namespaces could not be asked about."""
        self._failures.update({(Exporter.ENGINE, name): error.again() for name in namespaces})

    def trouble_of(self, namespace: str) -> str | None:
        """Return why a namespace's engine readings could not be read; None: they could."""
        failure = self._failures.get((Exporter.ENGINE, namespace))
        if failure is None or namespace not in self._aside:
            return None if failure is None else failure.said
        apart = Said(
            "namespace {namespace} is asked apart, since it alone takes so long or is so much",
            namespace=namespace,
        )
        return joined("; ", (failure.said, apart))

    async def _read_shared(
        self, workloads: Sequence[Workload], *, now_s: float, lookback_s: float
    ) -> None:
        """
        Read what is new of all whom the server is not slow for; learn whom it is slow for.

        Raises:
            SourceError: no engine reading of any namespace was answered.
        """
        round_, shared = self._reader.begin(), self._aside.shared(workloads)
        wanted = asked_for(self._assembly.wanted(workloads))
        self._plan.forget(wanted, {workload.namespace for workload in workloads})
        self._arrivals.forget(workloads)
        self._rests.begin(workloads, now_s)
        await self._read(workloads, shared, round_, now_s=now_s, lookback_s=lookback_s)
        await self._read_arrivals(shared, round_, now_s=now_s, lookback_s=lookback_s)
        self._note(round_)
        if round_.asked:
            self.slowest_s = round_.slowest_s
        self._rests.settle(workloads, wanted, now_s)
        self.learn(round_, workloads, now_s)
        if not _hears(round_.answered) and _hears(round_.asked):
            raise next(iter(round_.failed.values()))

    def _visit_slow(
        self, workloads: Sequence[Workload], *, now_s: float, lookback_s: float
    ) -> None:
        """Read what is new of those for whom alone the server is slow; nobody waits for it."""

        async def visit(name: str, round_: Round) -> None:
            its = [workload for workload in workloads if workload.namespace == name]
            wanted = [one for one in asked_for(self._assembly.wanted(its)) if one.namespaced]
            asks = self._due(wanted, {name}, now_s=now_s, lookback_s=lookback_s)
            await self._reader.read(asks, self._assembly, round_, self._plan)
            await self._read_arrivals(its, round_, now_s=now_s, lookback_s=lookback_s)
            self._note(round_)

        self._aside.go_on({workload.namespace for workload in workloads}, now_s, visit)

    async def _read(
        self,
        workloads: Collection[Workload],
        shared: Collection[Workload],
        round_: Round,
        *,
        now_s: float,
        lookback_s: float,
    ) -> None:
        """Read raw samples; and what changes only with its pod, once a minute and with a pod."""
        wanted = asked_for(self._assembly.wanted(workloads))
        namespaces = {workload.namespace for workload in shared}
        for number in range(_MOST_PASSES):
            late = self._plan.to_fill(now_s, namespaces)
            some = [one for one in wanted if one.once_a_minute or not number or one in late]
            asks = self._due(
                some, namespaces, now_s=now_s, lookback_s=lookback_s, at_once=number > 0
            )
            await self._reader.read(asks, self._assembly, round_, self._plan)
            self._assembly.settle(workloads)
            before, self._pods = self._pods, self._assembly.pods
            if self._pods <= before and not self._plan.to_fill(now_s, namespaces):
                return

    def _due(
        self,
        wanted: Collection[Wanted],
        namespaces: Collection[str],
        *,
        now_s: float,
        lookback_s: float,
        at_once: bool = False,
    ) -> list[Ask]:
        """Return what to ask for of some namespaces."""
        return self._plan.due(
            wanted,
            namespaces,
            now_s=now_s,
            lookback_s=lookback_s + self._overlap_s(Exporter.ENGINE),
            overlap_s=self._overlap_s,
            at_once=at_once,
            part=self._rests.part,
        )

    async def _read_arrivals(
        self, workloads: Sequence[Workload], round_: Round, *, now_s: float, lookback_s: float
    ) -> None:
        await self._arrivals.read_now(
            workloads,
            round_,
            self._assembly.store,
            now_s=now_s,
            lookback_s=lookback_s,
            step_s=self._assembly.intervals.interval_s(Exporter.ENGINE),
            delay_s=self._assembly.lateness.worst_s(now_s),
            late_s=self._reader.dialect.subqueries_late_s,
        )

    def _note(self, round_: Round) -> None:
        """Remember what failed; say what is news."""
        refused = self._assembly.store.refused
        if refused > self._refused:
            count = refused - self._refused
            logger.warning("%d samples of %s can be no readings: missing", count, self._url)
        self._refused = refused
        for place in round_.asked:
            error = round_.failed.get(place)
            if error is None:
                self._failures.pop(place, None)
                continue
            if str(self._failures.get(place)) != str(error):
                logger.warning("%s readings of %s: %s", place[0], place[1] or "the cluster", error)
            self._failures[place] = error.again()

    def _overlap_s(self, exporter: Exporter) -> float:
        late_s = self._delay_s
        late_s += _LATE_BUCKETS * self._assembly.intervals.interval_s(exporter)
        return self._assembly.intervals.stale_after_s(exporter) + late_s


def _hears(places: Collection[Place]) -> bool:
    """Whether engines are among what was asked, or answered."""
    return any(exporter is Exporter.ENGINE for exporter, _ in places)
