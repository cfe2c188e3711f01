"""
Readings that one query asks for: few queries, and replies that stay small.

A query costs the server and us a millisecond or more whatever it finds, and an engine has some
thirty readings. Those of one exporter that are asked for alike, in the same namespaces and of the
same time, go into one selector, as many as the last replies let expect a small one of.
"""

import dataclasses
import itertools
from collections.abc import Hashable, Iterable, Iterator, Sequence

from scaler.errors import SourceError

from .asks import Ask
from .promql import Matcher
from .replies import Row, TooManySeriesError
from .round import Place
from .wanted import Exporter

_MOST = 50_000.0
"""Weight of one reply: a megabyte or two."""
_SMALL = 20_000.0
"""Weight of a reply of a thousand rows: some hundred kilobytes, as text. To compress it takes a
server a fifth of what it spends on the rows."""
_ROW = 10.0
"""What a row's labels weigh, in points."""
_LONGEST_NAMES = 12_000
"""Letters of names in one query, of metrics and of namespaces: VictoriaMetrics refuses a query of
more than 16 KiB."""

_Kind = tuple[Exporter, bool]
"""Who is asked, and whether for last values."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Asks, one at least, that differ in nothing but their metrics."""

    asks: tuple[Ask, ...]

    @property
    def first(self) -> Ask:
        """The ask that stands for all in what they have in common."""
        return self.asks[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all their metrics."""
        every = itertools.chain.from_iterable(ask.wanted.metrics for ask in self.asks)
        return tuple(dict.fromkeys(every))

    @property
    def where(self) -> tuple[Matcher, ...]:
        """What leaves out rows."""
        return (*self.first.wanted.where, *self.first.wanted.unread)

    @property
    def places(self) -> list[Place]:
        """The exporter in each of the namespaces."""
        return [(self.first.wanted.exporter, name) for name in self.first.namespaces]

    def of(self, namespaces: tuple[str, ...], at_s: float) -> "Together":
        """Return the same of some namespaces, as of an instant."""
        by_s = at_s - self.first.at_s
        return Together(
            asks=tuple(
                dataclasses.replace(
                    ask, namespaces=namespaces, since_s=ask.since_s + by_s, at_s=at_s
                )
                for ask in self.asks
            )
        )

    def parts(self, error: SourceError) -> "tuple[Together, ...]":
        """
        Return what to ask for in place of what failed; nothing: it failed for good.

        Fewer readings, where the fault may be one's; half of the namespaces of one that is too
        large. Of an incomplete answer each reading may be there in whole.
        """
        if len(self.asks) > 1 and error.kind == "partial":
            return tuple(Together(asks=(ask,)) for ask in self.asks)
        if len(self.asks) > 1 and error.of_the_query:
            middle = len(self.asks) // 2
            return Together(asks=self.asks[:middle]), Together(asks=self.asks[middle:])
        if error.kind != "limit":
            return ()
        halves = self.first.halves_of_namespaces() or ()
        return tuple(Together(asks=(half,)) for half in halves)

    def halves_of_time(self, error: SourceError) -> "tuple[Together, Together] | None":
        """Return the older and the newer half of one that is too large; None: it would not help."""
        if error.kind != "limit" or isinstance(error, TooManySeriesError) or len(self.asks) > 1:
            return None
        halves = self.first.halves_of_time()
        if halves is None:
            return None
        older, newer = halves
        return Together(asks=(older,)), Together(asks=(newer,))


class Grouping:
    """Knows what readings weigh, by exporter, and puts as many together as make a small reply."""

    def __init__(self) -> None:
        self._weights: dict[_Kind, float] = {}
        """Of one reading: of a second, or of last values."""
        self._most: dict[_Kind, int] = {}
        """Readings at once, where more were found to be too many."""
        self._in_time: dict[_Kind, int] = {}
        """Readings at once, where more were not answered in time; one more with each answer."""

    def put(self, asks: Iterable[Ask], *, most_names: int) -> Iterator[Together]:
        """
        Yield the asks put together; each by itself until a reply has shown what it weighs.

        ``most_names`` is how many metrics one query may name.
        """
        alike: dict[Hashable, list[Ask]] = {}
        for ask in asks:
            alike.setdefault(_in_common(ask), []).append(ask)
        for group in alike.values():
            for some in self._parts(group, most_names):
                yield Together(asks=tuple(some))

    def is_small(self, together: Together) -> bool:
        """Whether a small reply is to be expected, of as many namespaces as there were lately."""
        each = self._weights.get(_kind(together.first), _MOST) * _extent_s(together.first)
        return each * len(together.asks) < _SMALL

    def weigh(self, together: Together, rows: Sequence[Row]) -> None:
        """Take in what a reply weighed; less than before counts for it little by little."""
        key = _kind(together.first)
        weight = sum(_ROW + len(points) for _, points in rows) / len(together.asks)
        weight /= _extent_s(together.first)
        self._weights[key] = max(weight, self._weights.get(key, 0.0) / 2)
        if key in self._in_time:
            self._in_time[key] += 1

    def too_large(self, together: Together) -> None:
        """Note that a reply was too large: from now on half as many readings are asked for."""
        self._most[_kind(together.first)] = max(1, len(together.asks) // 2)

    def too_slow(self, together: Together) -> None:
        """Note that no reply came in time: half as many readings are asked for, until some do."""
        self._in_time[_kind(together.first)] = max(1, len(together.asks) // 2)

    def _parts(self, asks: Sequence[Ask], most_names: int) -> Iterator[list[Ask]]:
        key = _kind(asks[0])
        each = self._weights.get(key, _MOST) * _extent_s(asks[0])
        found = min(self._most.get(key, len(asks)), self._in_time.get(key, len(asks)))
        most = min(found, max(1, int(_MOST / each)) if each else len(asks))
        letters = _LONGEST_NAMES - sum(map(len, (*asks[0].namespaces, *asks[0].pods)))
        part, names = list[Ask](), list[str]()
        for ask in asks:
            more = [*names, *ask.wanted.metrics]
            long = len(more) > most_names or sum(map(len, more)) + len(more) > letters
            if part and (long or len(part) >= most):
                yield part
                part, more = [], [*ask.wanted.metrics]
            part.append(ask)
            names = more
        yield part


def _kind(ask: Ask) -> _Kind:
    return ask.wanted.exporter, ask.wanted.once_a_minute


def _in_common(ask: Ask) -> Hashable:
    wanted = ask.wanted
    kind = (wanted.exporter, wanted.namespaced, wanted.once_a_minute, wanted.where, wanted.unread)
    return kind, ask.namespaces, ask.pods, ask.since_s, ask.at_s


def _extent_s(ask: Ask) -> float:
    """Return how many seconds of samples an ask gets; last values are one of each series."""
    return 1.0 if ask.wanted.once_a_minute else max(1.0, ask.seconds)
