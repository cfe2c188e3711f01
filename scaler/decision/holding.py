"""
What is answered while the newest instant cannot be decided on: the last that could be, for a while.

To KEDA an error means "keep what is", but one that meets another failure can end as "inactive"
there, and with a minimum of zero that is zero replicas. Most gaps are short: a scrape that fails, a
Prometheus that restarts. So for ``holdFor`` the decision as of the newest instant that can be read
stands, whole, and the error comes after it, for whoever waits for errors (KEDA's fallback).

Nothing is remembered: an earlier instant is decided on by the samples up to it, as it was then. It
is never a zero, and it never asks for more than there is while a gateway says that less is held.
"""

import dataclasses
from collections.abc import Callable, Iterator

from scaler.said import Said, joined

from . import demand
from .decision import Decision, Reason, Step
from .facts.bucket import says_load
from .inference import decide_replicas
from .limits import reported_value
from .policy import InferencePolicy
from .pool import Member, TierWindow
from .sample import Sample
from .tiered import decide_tier
from .window import Window

_STANDS_INTERVALS = 2.5
"""A tier's sample stands for so many buckets for the others of its group."""
_MOST_TRIES = 3
"""Instants that are tried: one that reads and still decides nothing lacks more than readings."""


def decide_workload(window: Window, policy: InferencePolicy) -> Decision:
    """Return the replicas of a workload; where they cannot be told now, what stands for them."""

    def at(at_s: float) -> Decision:
        then = window.until(at_s)
        return _silent(window) if then is None else decide_replicas(then, policy)

    now = _silent(window) if window.silent_s else decide_replicas(window, policy)
    return _now_or_then(now, window, policy, at)


def decide_member(group: TierWindow, policy: InferencePolicy) -> Decision:
    """Return the replicas of a tier of a group; where they cannot be told now, what stands."""
    own = next(member.window for member in group.members if member.name == group.member)
    heard = _heard(group, _of_now)
    now = decide_tier(heard, policy)
    if own is None:
        return now

    def at(at_s: float) -> Decision:
        return decide_tier(_heard(group, lambda window: _as_of(window, at_s)), policy)

    if now.holds:
        return _now_or_then(now, own, policy, at)
    return _not_for_silence(heard, own, now, policy, at)


def _not_for_silence(
    group: TierWindow,
    own: Window,
    now: Decision,
    policy: InferencePolicy,
    decide_at: Callable[[float], Decision],
) -> Decision:
    """
    Return ``now``, or less of it where that is more only because another tier does not report.

    A tier that serves and does not say what takes no more in the deal, so that its share would go
    to the next one, which wakes. While ``holdFor`` lasts the deal as of the newest instant at which
    it spoke stands instead; what is there stays, and what the tier's own requests need it gets.
    """
    mute = [one for one in group.members if one.name != group.member and _is_mute(one)]
    spoke = [_spoke_s(one, policy.hold_for_s) for one in mute]
    known = [at_s for at_s in spoke if at_s is not None]
    if not mute or len(known) < len(mute):
        return now
    then = decide_at(min(known))
    if then.replicas is None or now.replicas is None:
        return now
    ready = own.latest.ready or 0
    needed = (decide_replicas(own, policy).replicas or 0) if ready else 0
    count = max(then.replicas, ready, needed)
    if now.replicas <= count:
        return now
    detail = Said(
        "{names} does not report: what was dealt on the readings of {age_s:.0f} s ago stands for"
        " {hold_s:g} s (holdFor)",
        names=", ".join(one.name for one in mute),
        age_s=own.asked_s - min(known),
        hold_s=policy.hold_for_s,
    )
    steps = (*now.steps, Step(count, Reason.HELD, detail))
    reported = reported_value(count, own, policy)
    return dataclasses.replace(now, steps=steps, panic=False, woken=False, reported=reported)


def _is_mute(member: Member) -> bool:
    """Whether a tier has replicas ready that do not say what they run."""
    return (
        member.window is not None
        and bool(member.window.latest.ready)
        and not says_load(member.window.latest)
    )


def _spoke_s(member: Member, hold_for_s: float) -> float | None:
    """Return when a tier last said something about load; None: not within ``hold_for_s``."""
    if member.window is None:
        return None
    return next((one.at_s for one in _readable(member.window, hold_for_s)), None)


def _silent(window: Window) -> Decision:
    detail = Said("no fresh readings; the newest ended {ago_s:.0f} s ago", ago_s=window.silent_s)
    if window.instead is not None:
        detail = joined("; ", (detail, window.instead))
    return Decision(at_s=window.now_s, steps=(Step(None, Reason.NO_DATA, detail),))


def _heard(group: TierWindow, cut: Callable[[Window], Window | None]) -> TierWindow:
    """Return the group with every member's window cut; one that is cut off is silent."""
    members = tuple(
        member
        if member.window is None
        else dataclasses.replace(
            member, window=(window := cut(member.window)), silent_since_s=_since_s(member, window)
        )
        for member in group.members
    )
    return dataclasses.replace(group, members=members)


def _since_s(member: Member, window: Window | None) -> float | None:
    return member.window.now_s if window is None and member.window else member.silent_since_s


def _of_now(window: Window) -> Window | None:
    return None if window.silent_s else window


def _as_of(window: Window, at_s: float) -> Window | None:
    """Return what was known at an instant; None: the newest sample was too old then."""
    then = window.until(at_s)
    stands_s = _STANDS_INTERVALS * window.interval_s
    return None if then is None or at_s - then.now_s > stands_s else then


def _now_or_then(
    now: Decision,
    window: Window,
    policy: InferencePolicy,
    decide_at: Callable[[float], Decision],
) -> Decision:
    """
    Return ``now``, or where that holds the decision as of an earlier instant that stands for it.

    ``window`` is the workload's own; ``decide_at`` decides as of an instant, as it was then.
    """
    if not now.holds:
        return now
    for sample in _readable(window, policy.hold_for_s):
        then = decide_at(sample.at_s)
        if then.replicas == 0:
            break
        if then.replicas is not None:
            age_s = window.asked_s - sample.at_s
            return _held(now, then, age_s, policy) if _may_stand(then, sample, window) else now
    return now


def _readable(window: Window, hold_for_s: float) -> Iterator[Sample]:
    """Yield the newest instants before now that say something about load, newest first."""
    oldest_s, tries = window.asked_s - hold_for_s, 0
    for sample in reversed(window.samples):
        if sample.at_s < oldest_s or tries == _MOST_TRIES:
            return
        if sample.at_s < window.asked_s and (says_load(sample) or sample.is_known_zero):
            tries += 1
            yield sample


def _may_stand(then: Decision, sample: Sample, window: Window) -> bool:
    """Whether nothing says that less is needed now than was then."""
    current = demand.current(window.latest)
    if then.replicas is None or then.replicas <= current:
        return True
    pairs = (
        (sample.gateway_in_flight, window.latest.gateway_in_flight),
        (sample.gateway_waiting, window.latest.gateway_waiting),
    )
    return not any(before is not None and now is not None and now < before for before, now in pairs)


def _held(now: Decision, then: Decision, age_s: float, policy: InferencePolicy) -> Decision:
    detail = Said(
        "{why}; decided on the readings of {age_s:.0f} s ago, which stand for {hold_s:g} s"
        " (holdFor)",
        why=now.detail,
        age_s=age_s,
        hold_s=policy.hold_for_s,
    )
    blind = Step(None, now.reason, now.detail)
    return dataclasses.replace(
        then,
        steps=(*then.steps, blind, Step(then.replicas, Reason.HELD, detail)),
        panic=False,  # nobody scales ahead of the HPA on what was
        woken=False,
        notes=(*now.notes, *(note for note in then.notes if note not in now.notes)),
    )
