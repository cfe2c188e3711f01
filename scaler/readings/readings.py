"""
How the series of one replica become one reading.

An engine reports one row per rank, model and process; a pod may be scraped twice, and by several
Prometheus replicas. Labels named in ``over`` tell rows apart that are different things, to be
added or averaged; rows that differ in any other label repeat one another, and the largest counts.
"""

import dataclasses
import enum
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .series import SeriesStore, Subject, Track


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
    below: float = math.inf
    """Values at or above this stand for "no value" in the exporter's own language."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics this reading may come from."""
        return tuple(dict.fromkeys(rows.metric for rows in (*self.rows, *self.out_of)))

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

        return Bound(self, tracks(self.rows), tracks(self.out_of))

    def combined(self, found: Sequence[tuple[Track, float]]) -> float:
        """Return the value of rows that were found; at least one."""
        if len(found) == 1:
            return found[0][1] * self.scale
        if self.label is not None:
            found = _newest(found)
        largest: dict[tuple[str | None, ...], float] = {}
        for track, value in found:
            thing = tuple(track.labels.get(name) for name in self.over)
            largest[thing] = max(value, largest.get(thing, value))
        return _COMBINE[self.combine](list(largest.values())) * self.scale


class Bound:
    """A reading, and the series of one replica that it is read off."""

    __slots__ = ("_alternatives", "_only", "_out_of", "_reading")

    def __init__(
        self,
        reading: Reading,
        alternatives: tuple[tuple[Track, ...], ...],
        out_of: tuple[tuple[Track, ...], ...],
    ) -> None:
        self._reading = reading
        self._alternatives = alternatives
        self._out_of = out_of
        self._only = _only(reading, alternatives)

    @property
    def tracks(self) -> Iterator[Track]:
        """The series, those of every alternative."""
        return itertools.chain(*self._alternatives)

    def at(self, at_s: float, stale_after_s: float) -> float | None:
        """Return the value at an instant, None if it is missing."""
        if self._only is not None:
            value = self._only.at(at_s, stale_after_s)
            if value is None or value >= self._reading.below:
                return None
            return value * self._reading.scale
        value = self._first(self._alternatives, at_s, stale_after_s)
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
            if found:
                return reading.combined(found)
        return None


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
    """Of info rows, those still reported: an engine that restarts in its pod leaves old ones."""
    newest_s = max(track.times[-1] for track, _ in found)
    return [(track, value) for track, value in found if track.times[-1] == newest_s]


def _number(text: str | None) -> float | None:
    """Read a label as a number; engines write ``None`` and the like for "not known"."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
