"""
How a server is asked for several names at once: together, or one by one where it refuses that.

Google's managed Prometheus allows no matcher on ``__name__`` but an exact one. That is found out
once, by its refusal. Range vectors cannot be joined with ``or``, so that raw samples then take a
query per name, and instant counts joined with ``or`` say which names are worth one.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence

from scaler.errors import SourceError

from . import promql
from .asks import MINUTE_S, Ask
from .promql import Matcher
from .replies import Row

Query = Callable[[str, float], Awaitable[list[Row]]]
"""Asks a text as of an instant."""

_AT_ONCE = 50
"""Names counted in one query."""


class Names:
    """Knows whether a server takes several names in one selector, and which names it has."""

    def __init__(self) -> None:
        self.one_by_one = False
        self._found: dict[tuple[str, ...], tuple[float, list[str]]] = {}
        """By selectors: when they were looked for, and which have series."""

    def may_be_refused(self, error: SourceError) -> bool:
        """Whether an error may be the refusal of several names in one selector."""
        return not self.one_by_one and error.kind == "http" and error.of_the_query

    @contextlib.contextmanager
    def asked_one_by_one(self) -> Iterator[None]:
        """Try with exact names; they are kept to when the body succeeds."""
        self.one_by_one = True
        try:
            yield
        except SourceError:
            self.one_by_one = False
            raise

    def selectors(self, metrics: Sequence[str], matchers: Sequence[Matcher]) -> list[str]:
        """Return one selector of all the names, or one for each."""
        if not self.one_by_one:
            return [promql.selector(metrics, matchers)]
        return [promql.selector((metric,), matchers) for metric in metrics]

    async def existing(self, chosen: Sequence[str], ask: Ask, query: Query) -> list[str]:
        """
        Return the selectors that have series in the time of an ask.

        Names that were found are taken for all there are for a minute: a release, and what renames
        its metrics, changes with pods.

        Raises:
            SourceError: the server did not answer.
        """
        key = tuple(chosen)
        looked_s, found = self._found.get(key, (0.0, []))
        if found and ask.at_s - looked_s < MINUTE_S:
            return found
        spans = [promql.last(one, ask.seconds) for one in chosen]
        there = await which_exist(spans, query, ask.at_s)
        found = [one for one, span in zip(chosen, spans, strict=True) if span in there]
        kept = {key: one for key, one in self._found.items() if ask.at_s - one[0] < 2 * MINUTE_S}
        self._found = {**kept, key: (ask.at_s, found)}
        return found


async def which_exist(chosen: Sequence[str], query: Query, at_s: float) -> set[str]:
    """
    Return those of some selectors that have a series at an instant, asked many at a time.

    Raises:
        SourceError: the server did not answer.
    """
    found = set[str]()
    for first in range(0, len(chosen), _AT_ONCE):
        some = chosen[first : first + _AT_ONCE]
        exists = (promql.exists(one, str(number)) for number, one in enumerate(some))
        rows = await query(" or ".join(exists), at_s)
        there = {labels.get(promql.EXISTS) for labels, _ in rows}
        found |= {one for number, one in enumerate(some) if str(number) in there}
    return found
