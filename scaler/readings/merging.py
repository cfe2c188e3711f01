"""Rows of an answer into an assembly: whole answers, others' turns in between, and late samples."""

import asyncio
import functools
from collections.abc import Sequence

from .asks import Ask, Plan
from .assemble import Assembly, Merged
from .partial import has_all
from .replies import PartialAnswerError, Row
from .round import Round
from .series import Point
from .together import Together

_ROWS_AT_A_TIME = 200
"""Rows merged before others get their turn on the event loop."""


async def merge(together: Together, rows: Sequence[Row], assembly: Assembly, plan: Plan) -> None:
    """Hand over the rows, each to the asks that want it; note what came later than asked about."""
    asked: dict[str, list[tuple[Ask, float]]] = {}
    for ask in together.asks:
        asked_s = plan.asked_s(ask)
        for metric in ask.wanted.metrics:
            asked.setdefault(metric, []).append((ask, asked_s))
    for number, (labels, points) in enumerate(rows, start=1):
        for ask, asked_s in asked.get(labels.get("__name__", ""), ()):
            merged = assembly.take(ask.wanted, labels, points)
            if merged is not None and merged.before_s is not None and not ask.wanted.once_a_minute:
                _note_late(ask, points, merged, asked_s, assembly=assembly, plan=plan)
        if number % _ROWS_AT_A_TIME == 0:
            await asyncio.sleep(0)


async def whole(
    together: Together, text: str, assembly: Assembly, round_: Round, *, small: bool
) -> Sequence[Row]:
    """
    Ask; take an answer that calls itself incomplete where it has all that is known.

    Raises:
        SourceError: there is no full answer.
    """
    try:
        return await round_.query(text, together.first.at_s, small=small)
    except PartialAnswerError as error:
        slack_s = assembly.intervals.stale_after_s(together.first.wanted.exporter)
        knows = functools.partial(
            has_all, store=assembly.store, copies=assembly.copies, slack_s=slack_s
        )
        if not all(knows(ask, error.rows) for ask in together.asks):
            raise
        return error.rows


def _note_late(
    ask: Ask,
    points: Sequence[Point],
    merged: Merged,
    asked_s: float,
    *,
    assembly: Assembly,
    plan: Plan,
) -> None:
    before_s = merged.before_s
    first_s = next((at_s for at_s, _ in points if before_s is not None and at_s > before_s), None)
    if before_s is None or first_s is None:
        return
    if before_s < ask.since_s:
        plan.goes_on(ask, merged.namespace, before_s)
    elif 0 <= asked_s - first_s < assembly.intervals.stale_after_s(ask.wanted.exporter):
        assembly.lateness.note(ask.at_s, asked_s - first_s)
