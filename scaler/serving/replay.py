"""
Decide again at every poll of a recorded span, as the server would have: what ``backtest`` asks.

The same source, composed in the same way, decided on by the same function; time is an argument that
moves on by five minutes of readings at once. There is no closed loop: what is read is what was,
whatever would have been answered.
"""

import dataclasses
import math
from collections.abc import AsyncIterator, Mapping

from scaler.decision.compose import lookback_s, reach_s
from scaler.decision.decision import Decision
from scaler.decision.foresight import Foresight
from scaler.errors import NoDataError
from scaler.source import Source, Trigger

from .compose import Decide, Readings, Subject

CHUNK_S = 300.0
"""Read at once. What changes only with its pod is read with a lookback of just this much, so that a
longer step would miss pods that came and went inside it; it also bounds how much later than a poll
something may be known that has no timestamp of its own (token lengths, startup times)."""


_INSTANT_S = 0.001
"""The time in a query is told to the millisecond."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Polls ``every_s`` apart in ``(since_s, until_s]``, Unix seconds."""

    since_s: float
    until_s: float
    every_s: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one object would have been answered at one poll, and on what ground."""

    key: str
    """``namespace/scaledobject``."""
    at_s: float
    subject: Subject | None = None
    decision: Decision | None = None
    error: NoDataError | None = None
    """Set where ``decision`` is None: there was nothing fresh to decide on."""


async def replay(
    triggers: Mapping[str, Trigger], *, source: Source, decide: Decide, span: Span
) -> AsyncIterator[Answer]:
    """
    Yield the answers for every one of ``triggers`` at every poll of a span, in time order.

    Raises:
        SourceError: some of the span could not be read (which is not the same as silence in it).
        ConfigurationError: the source finds the triggers at odds with one another.
    """
    policies = [trigger.policy for trigger in triggers.values()]
    workloads = [trigger.workload for trigger in triggers.values()]
    fine_s, far_s = max(map(lookback_s, policies)), max(map(reach_s, policies))
    foresight = Foresight()
    read_s, at_s = span.since_s, span.since_s + span.every_s
    while at_s <= span.until_s:
        if at_s > read_s:
            read_s = max(at_s, min(_chunk_end_s(at_s), span.until_s))
            await source.refresh(workloads, fine_s + CHUNK_S, read_s, history_s=far_s + CHUNK_S)
        readings = Readings(source, triggers, at_s, foresight)
        for key, trigger in triggers.items():
            yield _answer(key, trigger, readings, decide, at_s)
        at_s += span.every_s


def _chunk_end_s(at_s: float) -> float:
    """
    Return until when to read for a poll: just before the next five minutes of the clock begin.

    What is told anew with each chunk then comes with a new minute, once a minute being how often
    most of what is worked out of the past is worked out.
    """
    return (math.floor(at_s / CHUNK_S) + 1) * CHUNK_S - _INSTANT_S


def _answer(key: str, trigger: Trigger, readings: Readings, decide: Decide, at_s: float) -> Answer:
    try:
        subject = readings.subject(trigger)
    except NoDataError as error:
        return Answer(key=key, at_s=at_s, error=error)
    return Answer(key=key, at_s=at_s, subject=subject, decision=decide(subject, trigger.policy))
