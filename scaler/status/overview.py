"""The overview: one row per ScaledObject, what needs a person first, filtered and sorted by URL."""

import dataclasses
import urllib.parse
from collections.abc import Mapping, Sequence

from scaler.telemetry.observed import Observation

from .row import Row, row
from .words import Words

STATES = ("any", "ok", "held", "panic", "lending", "wrong")
_SORTS = ("object", "wanted", "ready", "load", "age")
_NUMBERS = _SORTS[1:]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows, in which order."""

    text: str = ""
    state: str = "any"
    sort: str = "object"
    """A column; with a leading ``-`` the largest first."""
    language: str = "en"

    def link(self, column: str) -> str:
        """Return the query string that sorts by a column, or the other way round if it does."""
        first = f"-{column}" if column in _NUMBERS else column
        turned = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        sort = turned if self.sort == first else first
        chosen = {"lang": self.language, "q": self.text, "state": self.state, "sort": sort}
        return urllib.parse.urlencode(chosen)

    def shows(self, one: Row) -> bool:
        """Whether a row passes."""
        states = {one.state, "panic" if one.panic else "", "any"}
        if one.role == "training" and one.state == "ok" and one.wanted != "0":
            states.add("lending")
        return self.text.lower() in one.key.lower() and self.state in states


def read_filter(query: Mapping[str, str], language: str) -> Filter:
    """Return what an address asks for; what it does not know counts as not said."""
    state, sort = query.get("state", "any"), query.get("sort", "object")
    return Filter(
        text=query.get("q", "")[:253],
        state=state if state in STATES else "any",
        sort=sort if sort.removeprefix("-") in _SORTS else "object",
        language=language,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading."""

    title: str
    sort: str | None
    sorted: str | None
    is_number: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows of one kind under one heading."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    has_safe: bool

    @property
    def size(self) -> int:
        """Rows in it."""
        return len(self.rows)


def groups(
    seen: Sequence[Observation],
    chosen: Filter,
    words: Words,
    *,
    now_s: float,
    failure: str | None = None,
) -> list[Group]:
    """Return the groups that have a row: held ones first, then inference, then training."""
    rows = _sorted([row(one, words, now_s=now_s, failure=failure) for one in seen], chosen.sort)
    shown = [one for one in rows if chosen.shows(one)]
    kinds = (
        ("held_title", [one for one in shown if one.state != "ok"]),
        ("inference", [one for one in shown if one.state == "ok" and one.role == "inference"]),
        ("training", [one for one in shown if one.state == "ok" and one.role == "training"]),
    )
    return [
        Group(
            id=title,
            title=words(title),
            columns=_columns(words, chosen, with_safe=title != "training"),
            rows=tuple(members),
            has_safe=title != "training",
        )
        for title, members in kinds
        if members
    ]


def _columns(words: Words, chosen: Filter, *, with_safe: bool) -> tuple[Column, ...]:
    names = ["object", "wanted", "ready", "bounds"]
    names += ["load", "safe"] if with_safe else ["online"]
    return tuple(_column(name, words, chosen) for name in (*names, "why", "age"))


def _column(name: str, words: Words, chosen: Filter) -> Column:
    direction = "descending" if chosen.sort.startswith("-") else "ascending"
    sort = "load" if name == "online" else name
    return Column(
        title=words(f"col_{name}"),
        sort=sort if sort in _SORTS else None,
        sorted=direction if chosen.sort.removeprefix("-") == sort else None,
        is_number=name not in {"object", "why"},
    )


def _sorted(rows: list[Row], sort: str) -> list[Row]:
    """Return the rows in order; what is not known comes last, whichever way."""
    name, downwards = sort.removeprefix("-"), sort.startswith("-")
    if name == "object":
        return sorted(rows, key=lambda one: one.key, reverse=downwards)
    at = _NUMBERS.index(name)
    known = [one for one in rows if one.order[at] is not None]
    unknown = [one for one in rows if one.order[at] is None]
    return sorted(known, key=lambda one: one.order[at] or 0.0, reverse=downwards) + unknown
