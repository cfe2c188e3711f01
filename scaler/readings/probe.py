"""Which exporters a server has, and in which label each of them names a namespace."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from scaler.errors import SourceError

from . import cluster, dcgm, promql
from .asks import cut
from .chosen import Chosen
from .prometheus import PrometheusApi
from .replies import PartialAnswerError
from .slow import LIMIT_S, parts_of
from .wanted import Exporter

AGAIN_S = 300.0
"""So long a label stays one in which rows were found. To find rows again costs a server as much as
to read them; where there are none to be found it costs next to nothing, each time."""
_LONGEST_PROBED = 3_000
"""Letters of namespaces in a probe, which names them once per label that may bear them."""
_LONGEST_NAMED = 1_000
"""Letters of metric names in one probe, which has them for each label of a namespace."""

_PROBES: Mapping[Exporter, tuple[str, ...]] = {
    Exporter.GPU: tuple(metric for wanted in dcgm.WANTED for metric in wanted.metrics),
    Exporter.CLUSTER: cluster.PROBES,
}


class Probe:
    """What was found at the last look."""

    def __init__(self, api: PrometheusApi, chosen: Chosen) -> None:
        self._api = api
        self._chosen = chosen
        self._late: set[str] = set()
        """For whom a query of this look was late: the labels of all others tell them, too."""
        self.labels: dict[Exporter, tuple[str, ...]] = {}
        """Labels in which an exporter's rows name a namespace; none: there is no such exporter."""
        self._looked_s: dict[Exporter, float] = {}
        """When its rows were looked for in every label, those that were found before included."""

    @property
    def found_all(self) -> bool:
        """Whether every exporter was there."""
        return all(self.labels.values())

    def has(self, exporter: Exporter) -> bool:
        """Whether an exporter was there."""
        return bool(self.labels.get(exporter))

    async def ask(
        self,
        engines: Iterable[str],
        namespaces: Collection[str],
        now_s: float,
        *,
        absent_only: bool = False,
    ) -> None:
        """
        Find out which exporters there are, and in which label they name a namespace.

        ``engines`` are metrics that every engine in question has. An engine that is not there yet
        is asked for all the same, under its pod's own labels. ``absent_only``: those that were not
        there at the last look.

        Raises:
            SourceError: the server did not answer.
        """
        self._late = set()
        for exporter, metrics in {Exporter.ENGINE: tuple(engines), **_PROBES}.items():
            if absent_only and self.has(exporter):
                continue
            found = self._still_known(exporter, now_s)
            if not found:
                self._looked_s[exporter] = now_s
            labels = [name for name in self._chosen.probed(exporter) if name not in found]
            for names in cut(metrics if labels else (), letters=_LONGEST_NAMED):
                for some in cut(sorted({*namespaces} - self._late), letters=_LONGEST_PROBED):
                    found |= await self._found_for_most(names, some, now_s, labels)
            if exporter is Exporter.ENGINE:
                found.add(self._chosen.own_label)
            self.labels[exporter] = tuple(name for name in self._chosen.labels if name in found)

    def _still_known(self, exporter: Exporter, now_s: float) -> set[str]:
        """Return the labels in which an exporter's rows were found, if that was not long ago."""
        if now_s - self._looked_s.get(exporter, -math.inf) >= AGAIN_S:
            return set()
        return set(self.labels.get(exporter, ()))

    async def _found_for_most(
        self,
        metrics: Sequence[str],
        namespaces: Sequence[str],
        now_s: float,
        labels: Sequence[str],
    ) -> set[str]:
        """
        Return the same; where that is late for all, of those parts of them that are answered.

        Raises:
            SourceError: there is no answer of any part that was asked for.
        """
        try:
            return await self._found_in(metrics, namespaces, now_s, labels)
        except SourceError as error:
            if error.kind != "timeout" or len(namespaces) < 2:
                raise
        found, answered, late = set[str](), 0, 0
        for part in parts_of(namespaces):
            try:
                found |= await self._found_in(metrics, part, now_s, labels, limit_s=LIMIT_S)
                answered += 1
            except SourceError as error:
                late += 1
                if error.kind != "timeout" or (late > 1 and not answered):
                    raise
                self._late.update(part)
        return found

    async def _found_in(
        self,
        metrics: Sequence[str],
        namespaces: Sequence[str],
        now_s: float,
        labels: Sequence[str],
        *,
        limit_s: float = math.inf,
    ) -> set[str]:
        """
        Return those labels in which rows of any of the metrics name one of the namespaces.

        Half of the namespaces (of the metrics, for one namespace) at a time where that is too much
        for the server.
        """

        def query() -> str:
            return self._chosen.existence(metrics, namespaces, labels)

        try:
            rows = await self._api.query(query(), now_s, limit_s=limit_s)
        except PartialAnswerError as error:
            rows = error.rows  # what is there is there
        except SourceError as error:
            if error.kind == "limit" and max(len(namespaces), len(metrics)) > 1:
                halves = _halves(metrics, namespaces)
                found = [
                    await self._found_in(*half, now_s, labels, limit_s=limit_s) for half in halves
                ]
                return set().union(*found)
            if not self._chosen.names.may_be_refused(error):
                raise
            with self._chosen.names.asked_one_by_one():
                rows = await self._api.query(query(), now_s, limit_s=limit_s)
        return {labels.get(promql.EXISTS, "") for labels, _ in rows}


def _halves(
    metrics: Sequence[str], namespaces: Sequence[str]
) -> tuple[tuple[Sequence[str], Sequence[str]], ...]:
    if len(namespaces) > 1:
        middle = len(namespaces) // 2
        return (metrics, namespaces[:middle]), (metrics, namespaces[middle:])
    middle = len(metrics) // 2
    return (metrics[:middle], namespaces), (metrics[middle:], namespaces)
