"""
What to ask a Prometheus for next, given how far it was read: pure bookkeeping.

One ask per reading and shard. The first ask for a namespace reaches back the whole lookback; each
later one begins a little before where the last ended, so that late samples get in; one that could
not be answered leaves its mark where it was, so that the next one fills the gap.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from .wanted import Exporter, Wanted

MINUTE_S = 60.0
INFO_S = 300.0
"""How old a last value may be, of what is read once a minute: Prometheus' own lookback."""

NO_NAMESPACE = ("",)
_SHORTEST_S = 600.0
"""A longer ask whose reply is too large is halved in time before it is halved in namespaces."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Raw samples of one reading (or last values, once a minute), of some namespaces."""

    wanted: Wanted
    namespaces: tuple[str, ...]
    since_s: float
    at_s: float

    @property
    def seconds(self) -> float:
        """How much time the ask covers."""
        return self.at_s - self.since_s

    def halves_of_time(self) -> tuple["Ask", "Ask"] | None:
        """Return the older and the newer half; None: it is short, or asks for last values."""
        if self.wanted.once_a_minute or self.seconds < _SHORTEST_S:
            return None
        middle_s = (self.since_s + self.at_s) / 2
        older = dataclasses.replace(self, at_s=middle_s)
        return older, dataclasses.replace(self, since_s=middle_s)

    def halves_of_namespaces(self) -> tuple["Ask", "Ask"] | None:
        """Return two asks for half of the namespaces each; None: there is only one."""
        if len(self.namespaces) < 2:
            return None
        middle = len(self.namespaces) // 2
        first = dataclasses.replace(self, namespaces=self.namespaces[:middle])
        return first, dataclasses.replace(self, namespaces=self.namespaces[middle:])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The time over which a reading of a namespace was read."""

    back_to_s: float
    until_s: float


class Plan:
    """Knows what was read of which namespace, and says what to ask for now."""

    def __init__(self, *, most_namespaces: int = 200) -> None:
        self._read: dict[tuple[Wanted, str], _Read] = {}
        self._most = most_namespaces

    def due(
        self,
        wanted: Iterable[Wanted],
        namespaces: Collection[str],
        *,
        now_s: float,
        lookback_s: float,
        overlap_s: Callable[[Exporter], float],
        at_once: bool = False,
    ) -> list[Ask]:
        """
        Return what to ask for.

        ``overlap_s`` is how long before the last read's end an exporter's next one begins;
        ``at_once`` reads again what is otherwise read once a minute.
        """
        return [
            Ask(wanted=one, namespaces=shard, since_s=since_s, at_s=now_s)
            for one in wanted
            for since_s, names in self._groups(
                one,
                sorted(namespaces) if one.namespaced else NO_NAMESPACE,
                now_s=now_s,
                lookback_s=lookback_s,
                overlap_s=INFO_S if one.once_a_minute else overlap_s(one.exporter),
                at_once=at_once,
            )
            for shard in _cut(names, self._most)
        ]

    def answered(self, ask: Ask) -> None:
        """Note that an ask was answered in full."""
        for name in ask.namespaces:
            before = self._read.get((ask.wanted, name))
            self._read[ask.wanted, name] = _Read(
                back_to_s=min(ask.since_s, before.back_to_s if before else ask.since_s),
                until_s=ask.at_s,
            )

    def too_large(self, ask: Ask) -> None:
        """Note that a reply was too large for this many namespaces: later shards are smaller."""
        self._most = max(1, min(self._most, len(ask.namespaces) // 2))

    def forget(self, wanted: Collection[Wanted], namespaces: Collection[str]) -> None:
        """Drop the marks of readings and namespaces that nobody asks for any more."""
        kept = set(wanted), {*namespaces, *NO_NAMESPACE}
        for one, name in list(self._read):
            if one not in kept[0] or name not in kept[1]:
                del self._read[one, name]

    def _groups(
        self,
        one: Wanted,
        names: Sequence[str],
        *,
        now_s: float,
        lookback_s: float,
        overlap_s: float,
        at_once: bool,
    ) -> Iterator[tuple[float, list[str]]]:
        """Yield namespaces that are read from the same instant: new ones, laggards, all others."""
        start_s = now_s - lookback_s
        groups: dict[str, list[str]] = {"new": [], "late": [], "known": []}
        begins: dict[str, float] = {"new": start_s, "late": now_s, "known": now_s}
        for name in names:
            read = self._read.get((one, name))
            if read is None or read.back_to_s > start_s + overlap_s:
                groups["new"].append(name)
                continue
            if one.once_a_minute and now_s - read.until_s < (0.001 if at_once else MINUTE_S):
                continue
            group = "late" if now_s - read.until_s > overlap_s else "known"
            groups[group].append(name)
            begin_s = now_s if one.once_a_minute else read.until_s
            begins[group] = max(start_s, min(begins[group], begin_s - overlap_s))
        yield from ((begins[group], members) for group, members in groups.items() if members)


def _cut(names: Sequence[str], most: int) -> Iterator[tuple[str, ...]]:
    for first in range(0, len(names), most):
        yield tuple(names[first : first + most])
