"""Rows of an answer into an assembly: whole answers, others' turns in between, and late samples."""

import asyncio
from collections.abc import Sequence

from .asks import Ask, Plan
from .assemble import Assembly, Merged
from .partial import has_all
from .replies import PartialAnswerError, Row
from .round import Round
from .series import Point

_ROWS_AT_A_TIME = 200
"""Rows merged before others get their turn on the event loop."""


async def merge(ask: Ask, rows: Sequence[Row], assembly: Assembly, plan: Plan) -> None:
    """Hand over the rows; note what came later than it was asked about before."""
    asked_s = plan.asked_s(ask)
    for number, (labels, points) in enumerate(rows, start=1):
        is_wanted = labels.get("__name__") in ask.wanted.metrics
        merged = assembly.take(ask.wanted, labels, points) if is_wanted else None
        if merged is not None and merged.before_s is not None and not ask.wanted.once_a_minute:
            _note_late(ask, points, merged, asked_s, assembly=assembly, plan=plan)
        if number % _ROWS_AT_A_TIME == 0:
            await asyncio.sleep(0)


async def whole(ask: Ask, text: str, assembly: Assembly, round_: Round) -> Sequence[Row]:
    """
    Ask; take an answer that calls itself incomplete where it has all that is known.

    Raises:
        SourceError: there is no full answer.
    """
    try:
        return await round_.query(text, ask.at_s)
    except PartialAnswerError as error:
        slack_s = assembly.intervals.stale_after_s(ask.wanted.exporter)
        is_whole = has_all(ask, error.rows, assembly.store, copies=assembly.copies, slack_s=slack_s)
        if not is_whole:
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
