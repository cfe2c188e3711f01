"""
What would have been answered a moment ago, from the windows that are held anyway.

Nothing is stored for it: a window is cut off at an earlier instant and decided on again. The
further back, the less of its own past such a window has; the newest answers are the server's own.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from scaler.decision.decision import Reason
from scaler.decision.policy import Policy
from scaler.decision.pool import Member, PoolWindow, TierWindow
from scaler.decision.window import Window
from scaler.errors import NoDataError
from scaler.report.moments import Moment, moment

from .compose import Decide, Subject


def recent(subject: Subject, policy: Policy, decide: Decide, *, points: int) -> list[Moment]:
    """
    Return up to ``points`` moments, oldest first, the newest being the present answer.

    They lie on instants that were sampled, evenly spread over the fine samples held. An instant
    with too little before it is left out: the server knew more then.
    """
    made = [
        moment(at_s, cut, decision=decide(cut, policy), error=None)
        for at_s in _spread(sorted(_instants(subject)), points)
        if (cut := _until(subject, at_s)) is not None
    ]
    return [one for one in made[:-1] if one.reason != Reason.NO_HISTORY] + made[-1:]


def unknown(at_s: float, why: str) -> Moment:
    """Return the moment of an object without an answer."""
    return moment(at_s, None, decision=None, error=NoDataError(why))


def _instants(subject: Subject) -> set[float]:
    return {sample.at_s for window in _windows(subject) for sample in window.samples}


def _windows(subject: Subject) -> Iterator[Window]:
    if isinstance(subject, Window):
        yield subject
        return
    yield from (one.window for one in subject.members if one.window is not None)


def _spread(times: list[float], points: int) -> Iterable[float]:
    """Yield about as many of the times as asked for, the last one among them."""
    stride = -(-len(times) // points)
    return times[(len(times) - 1) % stride :: stride] if times else ()


def _until(subject: Subject, at_s: float) -> Subject | None:
    """Return what was known at an instant; None: nothing of the workload itself."""
    if isinstance(subject, Window):
        return _window_until(subject, at_s)
    members = tuple(_member_until(one, at_s) for one in subject.members)
    if isinstance(subject, PoolWindow):
        now = at_s >= subject.at_s
        return dataclasses.replace(
            subject,
            at_s=at_s,
            members=members,
            workers=subject.workers if now else None,
            asked=subject.asked if now else None,
            workers_since_s=subject.workers_since_s if now else None,
        )
    own = next((one for one in members if one.name == subject.member), None)
    return (
        None
        if own is None or own.window is None
        else TierWindow(member=subject.member, members=members)
    )


def _member_until(member: Member, at_s: float) -> Member:
    if member.window is None:
        return member
    return dataclasses.replace(member, window=_window_until(member.window, at_s))


def _window_until(window: Window, at_s: float) -> Window | None:
    samples = tuple(sample for sample in window.samples if sample.at_s <= at_s)
    return dataclasses.replace(window, samples=samples) if samples else None
