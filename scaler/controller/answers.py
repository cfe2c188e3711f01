"""
Whether the scaler has an answer for a borrower: a condition, and an Event where that changes.

The condition is what is remembered of the look before, so that a controller that takes over tells
nothing twice and misses nothing.
"""

import dataclasses

from scaler.decision.decision import Reason

from .plan import Event
from .seen import Seen


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Whether there is an answer, and why not."""

    there: bool
    reason: str
    detail: str


def answers(seen: Seen, blind_reclaim_after_s: float) -> Answers | None:
    """
    Return whether the scaler has an answer now.

    None: nobody asks it (no ScaledObject), or nothing was heard so far and for no long time.
    """
    word = seen.word
    if not seen.scaled:
        return None
    heard_s = seen.listening_since_s if word is None else word.heard_s
    if seen.now_s - heard_s >= blind_reclaim_after_s:
        detail = f"the scaler has said nothing for {blind_reclaim_after_s:g} s"
        return Answers(there=False, reason="Silent", detail=detail)
    if word is None:
        return None
    if word.workers is None:
        detail = f"the scaler has no answer now ({word.reason}): the workers there are run on"
        return Answers(there=False, reason=word.reason, detail=detail)
    if word.reason == Reason.BLIND_RECLAIM:
        detail = "the scaler has not known the online load for too long: everything goes back"
        return Answers(there=False, reason=word.reason, detail=detail)
    return Answers(there=True, reason="Answered", detail="the scaler has an answer")


def turned(seen: Seen, now: Answers | None) -> tuple[Event, ...]:
    """Return what is told where there is an answer again, or none any more."""
    before = seen.borrower.answered
    if now is None or before is None or now.there is before:
        return ()
    if now.there:
        lent = 0 if seen.word is None else seen.word.workers or 0
        message = f"the scaler has an answer again: it lends {lent} workers"
        return (Event(reason="DataBack", message=message),)
    return (Event(reason="DataLost", message=now.detail, warning=True),)
