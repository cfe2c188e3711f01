"""
How the series of one replica become one reading.

An engine reports one row per rank, model and process; a pod may be scraped twice, and by several
Prometheus replicas. Labels named in ``over`` tell rows apart that are different things, to be
added or averaged; rows that differ in any other label repeat one another, and the largest counts.
Of an engine (``ranks``) rows of two servers are different things as well: the pods of a group that
all serve, the ports of one pod.
"""

import collections
import dataclasses
import enum
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .series import SeriesStore, Subject, Track

_INFO_AGE_S = 150.0
"""Info rows are read once a minute: a server whose rows are this much older is gone."""


class Combine(enum.StrEnum):
    """What becomes of rows that are different things."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"


_COMBINE: dict[Combine, Callable[[Sequence[float]], float]] = {
    Combine.SUM: math.fsum,
    Combine.MEAN: lambda values: math.fsum(values) / len(values),
    Combine.MAX: max,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a metric that carry certain labels."""

    metric: str
    """The name as exposed: counters with ``_total``, histograms with ``_sum`` or ``_count``."""
    match: tuple[tuple[str, str], ...] = ()
    """Labels (name, value) that a row must carry."""
    spelling_of: str | None = None
    """The name as exposed where ``metric`` is what a collector made of it."""

    def of(self, store: SeriesStore, subjects: Iterable[Subject]) -> list[Track]:
        """Return the series of the subjects that match."""
        return [
            track
            for subject in subjects
            for track in store.tracks(self.metric, subject)
            if all(track.labels.get(name) == value for name, value in self.match)
        ]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One field of a replica: where it is read, and how its rows combine."""

    rows: tuple[Rows, ...]
    """Alternatives (older names, other releases), the preferred first: the first one that a
    replica has counts, so that a release which exports both names counts once."""
    over: tuple[str, ...] = ()
    combine: Combine = Combine.SUM
    scale: float = 1.0
    """Multiplies the value (percent to share: 0.01)."""
    label: str | None = None
    """Info metrics: the value is in this label."""
    out_of: tuple[Rows, ...] = ()
    """Where the engine reports no share: what to divide by."""
    plus: tuple[Rows, ...] = ()
    """Further metrics, each combined by itself and added where there is one (other queues)."""
    ranks: tuple[str, ...] | None = None
    """Engines: labels of the ranks that repeat one another. Rows of two servers are added unless
    these alone tell them apart. None: rows of all servers repeat one another."""
    below: float = math.inf
    """Values at or above this stand for "no value" in the exporter's own language."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics this reading may come from."""
        every = (*self.rows, *self.plus, *self.out_of)
        return tuple(dict.fromkeys(rows.metric for rows in every))

    def bind(
        self,
        store: SeriesStore,
        subjects: Sequence[Subject],
        selector: Mapping[str, str] | None = None,
    ) -> "Bound":
        """Return the reading of a replica's pods, by the series that there are of them now."""

        def tracks(alternatives: Iterable[Rows]) -> tuple[tuple[Track, ...], ...]:
            found = (rows.of(store, subjects) for rows in alternatives)
            chosen = (tuple(t for t in rows if may_carry(t, selector or {})) for rows in found)
            return tuple(rows for rows in chosen if rows)

        plus = tuple(found for names in _by_name(self.plus) if (found := tracks(names)))
        return Bound(self, tracks(self.rows), plus, tracks(self.out_of))

    def combined(self, found: Sequence[tuple[Track, float]]) -> float:
        """Return the value of rows that were found; at least one."""
        if len(found) == 1:
            return found[0][1] * self.scale
        if self.label is not None:
            found = _newest(found)
        things: dict[tuple[str | None, ...], list[tuple[Track, float]]] = {}
        for track, value in found:
            things.setdefault(_values(track, self.over), []).append((track, value))
        values = [value for rows in things.values() for value in self._of_one(rows)]
        return _COMBINE[self.combine](values) * self.scale

    def _of_one(self, rows: Sequence[tuple[Track, float]]) -> Iterable[float]:
        """Return the value of one thing; several where several servers have one each."""
        largest = max(value for _, value in rows)
        if self.ranks is None or len({server_of(track) for track, _ in rows}) == 1:
            return (largest,)
        by_server: Mapping[Server, Ranks] = collections.defaultdict(dict)
        for track, value in rows:
            of_ranks = by_server[server_of(track)]
            ranks = _values(track, self.ranks)
            of_ranks[ranks] = max(value, of_ranks.get(ranks, value))
        by_server = _addressed(by_server)
        each = itertools.combinations(by_server.values(), 2)
        if all(one.keys().isdisjoint(other) for one, other in each):
            return (largest,)  # one engine whose ranks are spread over servers
        return [max(of_ranks.values()) for of_ranks in by_server.values()]


Server = tuple[Subject, str | None]
"""A pod, and the address that is scraped; None: no label tells it."""
Ranks = dict[tuple[str | None, ...], float]
"""A value for each rank of a server, by what tells ranks apart."""


def server_of(track: Track) -> Server:
    """
    Return the server whose page a series is on; two jobs that scrape one port have one.

    What a collector exports again keeps the server's address aside: it is that server's, too. An
    ``instance`` that was made something else (the pod's or the node's name) tells no port.
    """
    address = track.labels.get("exported_instance") or track.labels.get("instance") or ""
    return track.subject, address if ":" in address else None


def _addressed(by_server: Mapping[Server, Ranks]) -> Mapping[Server, Ranks]:
    """Leave out rows without an address where their pod has some with: another job's copies."""
    told = {pod for pod, address in by_server if address is not None}
    return {one: ranks for one, ranks in by_server.items() if one[1] or one[0] not in told}


def _values(track: Track, names: Iterable[str]) -> tuple[str | None, ...]:
    return tuple(track.labels.get(name) for name in names)


class Bound:
    """A reading, and the series of one replica that it is read off."""

    __slots__ = ("_alternatives", "_only", "_out_of", "_plus", "_reading")

    def __init__(
        self,
        reading: Reading,
        alternatives: tuple[tuple[Track, ...], ...],
        plus: tuple[tuple[tuple[Track, ...], ...], ...],
        out_of: tuple[tuple[Track, ...], ...],
    ) -> None:
        self._reading = reading
        self._alternatives = alternatives
        self._plus = plus
        self._out_of = out_of
        self._only = None if plus else _only(reading, alternatives)

    @property
    def tracks(self) -> Iterator[Track]:
        """The series, those of every alternative."""
        return itertools.chain(*self._alternatives, *itertools.chain(*self._plus))

    def at(self, at_s: float, stale_after_s: float) -> float | None:
        """Return the value at an instant, None if it is missing."""
        if self._only is not None:
            value = self._only.at(at_s, stale_after_s)
            if value is None or value >= self._reading.below:
                return None
            return value * self._reading.scale
        value = self._first(self._alternatives, at_s, stale_after_s)
        more = (self._first(names, at_s, stale_after_s) for names in self._plus)
        if known := [one for one in more if one is not None]:
            value = math.fsum((value or 0.0, *known))
        if value is None or not self._reading.out_of:
            return value
        whole = self._first(self._out_of, at_s, stale_after_s)
        return value / whole if whole else None

    def _first(
        self, alternatives: tuple[tuple[Track, ...], ...], at_s: float, stale_after_s: float
    ) -> float | None:
        reading = self._reading
        for tracks in alternatives:
            if reading.label is None:
                values = [(track, track.at(at_s, stale_after_s)) for track in tracks]
            else:
                values = [(track, _number(track.labels.get(reading.label))) for track in tracks]
            found = [
                (track, value)
                for track, value in values
                if value is not None and value < reading.below
            ]
            if found and reading.ranks is not None and reading.label is None:
                found = _without_predecessors(found, at_s)
            if found:
                return reading.combined(found)
        return None


def _without_predecessors(
    found: list[tuple[Track, float]], at_s: float
) -> list[tuple[Track, float]]:
    """Leave out rows of a server that fell silent before another one of its pod began."""
    servers = {server_of(track) for track, _ in found}
    if len(servers) == len({subject for subject, _ in servers}):
        return found
    began = [(server_of(track), track.first_s) for track, _ in found]

    def is_replaced(track: Track) -> bool:
        subject, instance = server_of(track)
        last = track.last(at_s)
        return last is not None and any(
            other[0] == subject and other[1] != instance and at > last[0] for other, at in began
        )

    return [(track, value) for track, value in found if not is_replaced(track)]


def _by_name(plus: Iterable[Rows]) -> Iterable[Sequence[Rows]]:
    """Return the rows of each further metric, with those of its other names."""
    groups: dict[tuple[object, ...], list[Rows]] = {}
    for rows in plus:
        groups.setdefault((rows.spelling_of or rows.metric, rows.match), []).append(rows)
    return groups.values()


def _only(reading: Reading, alternatives: tuple[tuple[Track, ...], ...]) -> Track | None:
    """Return the series that alone is the reading: nearly always there is one."""
    if reading.label is None and not reading.out_of and len(alternatives) == 1:
        return alternatives[0][0] if len(alternatives[0]) == 1 else None
    return None


def may_carry(track: Track, selector: Mapping[str, str]) -> bool:
    """
    Whether a series may belong to a selector: it contradicts none of its labels.

    Engines leave labels off some of their metrics (vLLM's cache_config_info has no model_name).
    """
    return all(track.labels.get(name, value) == value for name, value in selector.items())


def _newest(found: Sequence[tuple[Track, float]]) -> Sequence[tuple[Track, float]]:
    """
    Of info rows, those still reported.

    An engine that restarts leaves rows with the labels it had; a server that is gone leaves all.
    """
    newest: dict[Server, float] = {}
    for track, _ in found:
        server = server_of(track)
        newest[server] = max(track.times[-1], newest.get(server, track.times[-1]))
    last_s = max(newest.values())
    return [
        (track, value)
        for track, value in found
        if track.times[-1] == newest[server_of(track)] > last_s - _INFO_AGE_S
    ]


def _number(text: str | None) -> float | None:
    """Read a label as a number; engines write ``None`` and the like for "not known"."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
