"""
What to ask a Prometheus for next, given how far it was read: pure bookkeeping.

One ask per reading and shard. The first ask for a namespace reaches back the whole lookback; each
later one begins a little before where the last ended, so that late samples get in; one that could
not be answered leaves its mark where it was, so that the next one fills the gap.

An answer without samples proves nothing about the time it covers: they may be on their way. So a
series that goes on after a silence is asked for from its last sample on, and once more a minute
later, whatever was asked meanwhile.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from .wanted import Exporter, Wanted

MINUTE_S = 60.0
INFO_S = 300.0
"""How old a last value may be, of what is read once a minute: Prometheus' own lookback."""

NO_NAMESPACE = ("",)
MOST_NAMESPACES = 200
MOST_PODS = 100
"""Named in one ask; VictoriaMetrics looks up so many one by one, Prometheus 256."""
_WHOLE = 0.9
"""Of the overlap, within which everything is asked for once."""
_LONGEST_NAMES = 8_000
"""Letters of namespaces in one ask: VictoriaMetrics refuses a query of more than 16 KiB."""
_SHORTEST_S = 600.0
"""A longer ask whose reply is too large is halved in time before it is halved in namespaces."""


Part = tuple[str, ...] | None
"""Pods of a namespace to ask for; none of them: it is left alone. None: everything there."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Raw samples of one reading (or last values, once a minute), of some namespaces."""

    wanted: Wanted
    namespaces: tuple[str, ...]
    since_s: float
    at_s: float
    pods: tuple[str, ...] = ()
    """Of these pods of the namespaces; none: of everything there."""

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
    whole_s: float
    """When it was read of everything there, the last time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Hole:
    """A time whose samples came after it was asked about."""

    since_s: float
    due_s: float
    """When it is asked about: at once, then a minute later."""
    is_last: bool = False


class Plan:
    """Knows what was read of which namespace, and says what to ask for now."""

    def __init__(self, *, most_namespaces: int = MOST_NAMESPACES) -> None:
        self._read: dict[tuple[Wanted, str], _Read] = {}
        self._holes: dict[tuple[Wanted, str], _Hole] = {}
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
        part: Callable[[Wanted, str], Part] = lambda _wanted, _namespace: None,
    ) -> list[Ask]:
        """
        Return what to ask for.

        ``overlap_s`` is how long before the last read's end an exporter's next one begins;
        ``at_once`` reads again what is otherwise read once a minute. ``part`` is what to ask for
        of a namespace; of everything all the same the first time, where some time is to be asked
        about again, and before the overlap is over, so that what appears is read from its
        beginning.
        """
        return [
            Ask(wanted=one, namespaces=shard, since_s=since_s, at_s=now_s, pods=pods)
            for one in wanted
            for since_s, names, pods in self._groups(
                one,
                sorted(namespaces) if one.namespaced else NO_NAMESPACE,
                now_s=now_s,
                lookback_s=lookback_s,
                overlap_s=INFO_S if one.once_a_minute else overlap_s(one.exporter),
                at_once=at_once,
                part=part,
            )
            for shard in cut(names, self._most)
        ]

    def answered(self, ask: Ask) -> None:
        """Note that an ask was answered in full."""
        for name in ask.namespaces:
            before = self._read.get((ask.wanted, name))
            self._read[ask.wanted, name] = _Read(
                back_to_s=min(ask.since_s, before.back_to_s if before else ask.since_s),
                until_s=ask.at_s,
                whole_s=before.whole_s if before and ask.pods else ask.at_s,
            )
            if not ask.pods:
                self._filled(ask, name)

    def too_large(self, ask: Ask) -> None:
        """Note that a reply was too large for this many namespaces: later shards are smaller."""
        self._most = max(1, min(self._most, len(ask.namespaces) // 2))

    def asked_s(self, ask: Ask) -> float:
        """Return until when all of an ask's namespaces were asked about before; −inf: never."""
        reads = [self._read.get((ask.wanted, name)) for name in ask.namespaces]
        return min(-math.inf if read is None else read.until_s for read in reads)

    def goes_on(self, ask: Ask, namespace: str, before_s: float) -> None:
        """Note that a series, last seen before the ask's beginning, has gone on since."""
        key = (ask.wanted, namespace)
        known = self._holes.get(key)
        if ask.wanted.once_a_minute or (known is not None and known.since_s <= before_s):
            return
        self._holes[key] = _Hole(since_s=before_s, due_s=ask.at_s)

    def to_fill(self, now_s: float, namespaces: Collection[str]) -> set[Wanted]:
        """Return the readings of some namespaces of which a time is to be asked about at once."""
        return {
            one
            for (one, name), hole in self._holes.items()
            if hole.due_s <= now_s and (name in namespaces or name in NO_NAMESPACE)
        }

    def forget(self, wanted: Collection[Wanted], namespaces: Collection[str]) -> None:
        """Drop the marks of readings and namespaces that nobody asks for any more."""
        kept = set(wanted), {*namespaces, *NO_NAMESPACE}
        for one, name in list(self._read):
            if one not in kept[0] or name not in kept[1]:
                del self._read[one, name]
                self._holes.pop((one, name), None)

    def _filled(self, ask: Ask, name: str) -> None:
        """Close a hole that an ask reached back to; at the first time for a minute only."""
        hole = self._holes.get((ask.wanted, name))
        if hole is None or ask.since_s > hole.since_s or ask.at_s < hole.due_s:
            return
        if hole.is_last:
            del self._holes[ask.wanted, name]
        else:
            again = dataclasses.replace(hole, due_s=ask.at_s + MINUTE_S, is_last=True)
            self._holes[ask.wanted, name] = again

    def _groups(
        self,
        one: Wanted,
        names: Sequence[str],
        *,
        now_s: float,
        lookback_s: float,
        overlap_s: float,
        at_once: bool,
        part: Callable[[Wanted, str], Part],
    ) -> Iterator[tuple[float, list[str], tuple[str, ...]]]:
        """
        Yield namespaces that are read from the same instant, and of which pods alone.

        New ones, laggards, all others; and those of which some pods are read.
        """
        start_s = now_s - lookback_s
        rests_s = (0.001 if at_once else MINUTE_S) if one.once_a_minute else -math.inf
        groups: dict[str, list[str]] = {"new": [], "late": [], "known": []}
        begins: dict[str, float] = {"new": start_s, "late": now_s, "known": now_s}
        parts = _Parts()
        for name in names:
            read = self._read.get((one, name))
            if read is None or read.back_to_s > start_s + overlap_s:
                groups["new"].append(name)
                continue
            begin_s = (now_s if one.once_a_minute else read.until_s) - overlap_s
            hole_s = self._hole_s(one, name, now_s, start_s)
            pods = part(one, name) if hole_s is None else None
            if now_s - read.until_s < rests_s or pods == ():
                continue
            if pods and now_s - read.whole_s < _WHOLE * overlap_s:
                parts.add(name, pods, max(start_s, begin_s))
                continue
            begin_s = min(begin_s, hole_s or begin_s)
            group = "late" if now_s - begin_s > 2 * overlap_s else "known"
            groups[group].append(name)
            begins[group] = max(start_s, min(begins[group], begin_s))
        yield from ((begins[group], members, ()) for group, members in groups.items() if members)
        yield from (
            (some.begin_s, some.names, (*dict.fromkeys(some.pods),)) for some in parts.asked
        )

    def _hole_s(self, one: Wanted, name: str, now_s: float, start_s: float) -> float | None:
        """Return from when on some time is to be asked about again at once; None: none is."""
        hole = self._holes.get((one, name))
        if hole is None or hole.due_s > now_s:
            return None
        since_s = max(hole.since_s, start_s)
        self._holes[one, name] = dataclasses.replace(hole, since_s=since_s)
        return since_s


@dataclasses.dataclass(slots=True)
class _Some:
    names: list[str] = dataclasses.field(default_factory=list)
    pods: list[str] = dataclasses.field(default_factory=list)
    begin_s: float = math.inf


class _Parts:
    """Some pods of some namespaces, as many as are looked up one by one in a query."""

    def __init__(self) -> None:
        self.asked: list[_Some] = []

    def add(self, name: str, pods: Collection[str], begin_s: float) -> None:
        if not self.asked or len(self.asked[-1].pods) + len(pods) > MOST_PODS:
            self.asked.append(_Some())
        some = self.asked[-1]
        some.names.append(name)
        some.pods += pods
        some.begin_s = min(some.begin_s, begin_s)


def cut(
    names: Iterable[str], most: int = MOST_NAMESPACES, letters: int = _LONGEST_NAMES
) -> Iterator[tuple[str, ...]]:
    """Yield names in parts of at most so many names and letters, one name at least."""
    part: list[str] = []
    length = 0
    for name in names:
        if part and (len(part) >= most or length + len(name) >= letters):
            yield tuple(part)
            part, length = [], 0
        part.append(name)
        length += len(name) + 1
    if part:
        yield tuple(part)
