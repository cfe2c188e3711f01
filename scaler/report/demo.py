"""What a demo came to, as one self-contained HTML page: figures, plots, and what happened."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

from .page import heading, page, paragraph, table
from .plot import Band, lines, stepped

_PANIC, _HELD = "#d1622b", "#6b7280"


class Moment(Protocol):
    """What was to be seen at one instant."""

    @property
    def at_s(self) -> float:
        """True seconds since the beginning."""

    @property
    def wanted(self) -> int | None:
        """Replicas that the scaler answered; None: it held."""

    @property
    def ready(self) -> int: ...
    @property
    def lent(self) -> int | None: ...
    @property
    def working(self) -> int: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def online_load(self) -> float | None:
        """Share of the pool that inference needs, 0 to 1."""

    @property
    def panic(self) -> bool: ...


def html(
    *,
    title: str,
    notes: Sequence[str],
    figures: tuple[Sequence[str], Sequence[Sequence[str]]],
    moments: Sequence[Moment],
    events: Sequence[Sequence[str]],
) -> str:
    """
    Return the page; it loads nothing.

    Args:
        title: what was played.
        notes: what has to be said about it, as sentences.
        figures: the head and the rows of the table that the terminal shows, too.
        moments: oldest first.
        events: when, what, from and to how many, why, by whom.
    """
    return page("kvtide demo", title, _parts(notes, figures, moments, events))


def _parts(
    notes: Sequence[str],
    figures: tuple[Sequence[str], Sequence[Sequence[str]]],
    moments: Sequence[Moment],
    events: Sequence[Sequence[str]],
) -> Iterator[str]:
    yield table(*figures)
    yield from (paragraph(note) for note in notes)
    if moments:
        yield heading("The day")
        yield from _plots(moments)
    yield heading("What happened")
    yield table(("when", "what", "count", "why", "by whom"), events)


def _plots(moments: Sequence[Moment]) -> Iterator[str]:
    bands = [
        *_stretches(moments, [one.panic for one in moments], "panic", _PANIC),
        *_stretches(moments, [one.wanted is None for one in moments], "held", _HELD),
    ]
    yield lines(
        {
            "serving": stepped([(one.at_s, one.ready) for one in moments]),
            "wanted": stepped([(one.at_s, one.wanted) for one in moments]),
        },
        title="Replicas",
        up="replicas",
        filled="serving",
        marked=bands,
        clock=False,
    )
    yield lines(
        {
            "in flight": [(one.at_s, one.in_flight) for one in moments],
            "waiting": [(one.at_s, one.waiting) for one in moments],
        },
        title="Requests",
        up="requests",
        clock=False,
    )
    yield lines(
        {
            "working": stepped([(one.at_s, one.working) for one in moments]),
            "lent": stepped([(one.at_s, one.lent) for one in moments]),
        },
        title="Training workers on idle GPUs",
        up="workers",
        filled="working",
        clock=False,
    )
    load = [(one.at_s, _percent(one.online_load)) for one in moments]
    yield lines({"online load": load}, title="Online load of the pool", up="%", clock=False)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _stretches(
    moments: Sequence[Moment], holds: Sequence[bool], name: str, colour: str
) -> Iterator[Band]:
    pairs = zip(moments, holds, strict=True)
    for held, run in itertools.groupby(pairs, key=lambda pair: pair[1]):
        stretch = [moment for moment, _ in run]
        if held:
            yield Band(since=stretch[0].at_s, until=stretch[-1].at_s, name=name, colour=colour)
