"""Queries for token lengths: histograms that are added up over the pods of a stem."""

import dataclasses
import functools
import itertools
from collections.abc import Collection, Iterator, Sequence

from scaler.errors import SourceError

from .asks import cut
from .chosen import Chosen
from .lengths import LENGTHS_S, STEM, LengthBook, Which
from .native import with_native
from .probe import Probe
from .round import Late, Round
from .wanted import Exporter


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Histogram:
    label: str
    """Which names the namespace."""
    metric: str
    copies: tuple[str, ...]
    """Labels: series that differ in them alone are one."""


class LengthQueries:
    """Asks one server; ``native``: it may hold histograms whole."""

    def __init__(self, chosen: Chosen, probe: Probe, *, native: bool) -> None:
        self._chosen = chosen
        self._probe = probe
        self._native = native

    async def read(
        self,
        which: Which,
        metrics: Sequence[str],
        namespaces: Collection[str],
        now_s: float,
        *,
        book: LengthBook,
        round_: Round,
        copies: Sequence[str] = (),
    ) -> set[str]:
        """
        Read histograms of some namespaces; older names of their metric as alternatives.

        Series that differ in ``copies`` alone are one. Returns the namespaces that count nothing.

        Raises:
            SourceError: there is no full answer.
        """
        lacking = set(namespaces)
        for some in cut(sorted(namespaces)):
            missing = set(some)
            for one in self._histograms(metrics, copies):
                rows = await self._asked(one, missing, round_, now_s)
                book.put(which, rows)
                missing -= {namespace for (namespace, _), _, _ in rows}
                lacking -= {namespace for (namespace, _), _, count in rows if count}
                if not missing:
                    break
        return lacking

    def _histograms(self, metrics: Sequence[str], copies: Sequence[str]) -> Iterator[_Histogram]:
        names = with_native(metrics) if self._native else metrics
        for metric, label in itertools.product(names, self._probe.labels[Exporter.ENGINE]):
            yield _Histogram(label=label, metric=metric, copies=tuple(copies))

    async def _asked(
        self, one: _Histogram, names: Collection[str], round_: Round, now_s: float
    ) -> list[tuple[tuple[str, str], str, float]]:
        try:
            return await self._rows(one, names, round_, now_s)
        except SourceError as error:
            if error.kind == "timeout" and len(names) > 1 and round_.late is None:
                again = functools.partial(self._again, one)
                round_.late = Late(namespaces=tuple(sorted(names)), again=again)
            raise

    async def _again(
        self, one: _Histogram, names: tuple[str, ...], round_: Round, at_s: float
    ) -> None:
        await self._rows(one, names, round_, at_s)

    async def _rows(
        self, one: _Histogram, names: Collection[str], round_: Round, now_s: float
    ) -> list[tuple[tuple[str, str], str, float]]:
        """Return namespace and stem, bucket and count of the rows that name a namespace."""
        query, by = self._chosen.increase(
            one.label, one.metric, names, seconds=LENGTHS_S, stem=STEM, copies=one.copies
        )
        return [
            ((labels[by], labels["stem"]), labels["le"], points[-1][1])
            for labels, points in (await round_.query(query, now_s) if query else ())
            if points and {by, "stem", "le"} <= labels.keys()
        ]
