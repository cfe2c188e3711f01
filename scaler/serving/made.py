"""
What is made of a few objects in the thread that decides, before others have their turn.

To go to the thread and back for each object costs more than to find out that nothing of it is new,
which is the usual case.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from scaler.decision.decision import Decision, Reason
from scaler.errors import KvtideError
from scaler.source import Trigger

from .compose import Decide, Readings, Subject, fingerprint, newest_s
from .entry import Entry

SLICE_S = 0.03
"""So long one object may keep the thread before others are let in."""
AT_ONCE_S = 0.005
"""So long objects are decided on one after the other."""
MOST_AT_ONCE = 32
"""Of which nothing is new: more are not looked at in that time."""


class Asked(NamedTuple):
    """An object that is to be decided on."""

    entry: Entry
    trigger: Trigger | None
    """None: it is not served any more."""
    rests_on: object
    """What its latest answer rests on; None: it has none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A decision, what it is about, and a fingerprint of what it rests on."""

    subject: Subject
    rests_on: object
    decision: Decision

    @property
    def rests_on_s(self) -> float | None:
        """Time of the newest sample that was decided on, Unix seconds; None: there was none."""
        if self.decision.reason is Reason.HELD:
            return self.decision.at_s
        return newest_s(self.subject)


Answer = Made | Exception | None
"""What was made of an object, or why nothing was; None: nothing of it is new."""


def advance(assembling: Iterator[None]) -> bool:
    """Assemble for a while; return whether all of it is done."""
    until_s = time.monotonic() + SLICE_S
    return all(time.monotonic() < until_s for _ in assembling)


def answer_some(
    asked: Sequence[Asked],
    readings: Readings,
    decide: Decide,
    is_stirred: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> list[Answer]:
    """
    Decide on the first few of some, until others are to have their turn.

    None: the windows of the first one take long; they are begun.
    """
    until_s, answers = clock() + AT_ONCE_S, list[Answer]()
    for one in asked:
        if not _is_assembled(one, readings):
            break
        answers.append(answer_one(one, readings, decide))
        if clock() >= until_s or is_stirred():
            break
    return answers


def _is_assembled(one: Asked, readings: Readings) -> bool:
    """Assemble for a while; what goes wrong is told by what is composed then."""
    with contextlib.suppress(Exception):
        return one.trigger is None or advance(readings.assembling(one.trigger))
    return True


def answer_one(one: Asked, readings: Readings, decide: Decide) -> Answer:
    """Compose and decide; None: it would rest on what the latest answer rests on."""
    if one.trigger is None:
        return None
    try:
        subject = readings.subject(one.trigger)
        found = fingerprint(subject)
        if one.rests_on is not None and found == one.rests_on:
            return None
        decision = decide(subject, one.trigger.policy)
    except KvtideError as error:
        return error.with_traceback(None)  # it would hold all that was asked with it
    except Exception as error:  # noqa: BLE001 -- one object's fault is not another's
        return error
    return Made(subject=subject, rests_on=found, decision=decision)
