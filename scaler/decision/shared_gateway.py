"""
One gateway in front of several tiers: what it holds back is counted once.

A gauge of all requests in flight counts those that run in the other tiers too, and a gauge of those
that wait says the same to every tier. Each tier by itself would take all of it for its own, and the
group would count it once per tier. Here what is held is found over all tiers behind the gauge, and
each counts an equal part: demand is in requests, so it does not matter to the group which tier
counts them, and no tier's silence takes the whole away. The parts add up to what is held.
"""

import bisect
import dataclasses
from collections.abc import Sequence

from .facts.bucket import in_engines, says_load
from .online import THINNED_S
from .pool import Member
from .sample import Sample
from .window import Window

Samples = tuple[Sample, ...]


def count_held_once(members: Sequence[Member]) -> tuple[Member, ...]:
    """Return the members, those behind one gateway each with its part of what that one holds."""
    behind: dict[str | None, list[Samples]] = {}
    for window in (member.window for member in members):
        if window is not None and window.gateway is not None:
            behind.setdefault(window.gateway, []).append((*window.history, *window.samples))
    return tuple(
        member
        if member.window is None or len(behind.get(member.window.gateway, ())) < 2
        else dataclasses.replace(
            member, window=_parted(member.window, behind[member.window.gateway])
        )
        for member in members
    )


def _parted(window: Window, sharing: Sequence[Samples]) -> Window:
    fine_s = 2.5 * window.interval_s
    return dataclasses.replace(
        window,
        samples=tuple(_with_part(one, sharing, fine_s) for one in window.samples),
        history=tuple(_with_part(one, sharing, THINNED_S) for one in window.history),
    )


def _with_part(sample: Sample, sharing: Sequence[Samples], stands_s: float) -> Sample:
    """
    Return the sample with its part of what is held in place of the gateway's own readings.

    What arrives there arrives at all tiers together: each then counts its arrivals by what it
    completes and by what it holds.
    """
    if not sample.has_gateway:
        return dataclasses.replace(sample, arrivals_total=None)
    inside = in_engines(sample)
    part = _held(sample, sharing, stands_s) / len(sharing)
    if sample.gateway_waiting is not None:
        return dataclasses.replace(
            sample, gateway_waiting=part, gateway_in_flight=None, arrivals_total=None
        )
    return dataclasses.replace(sample, gateway_in_flight=inside + part, arrivals_total=None)


def _held(sample: Sample, sharing: Sequence[Samples], stands_s: float) -> float:
    """Return what the gateway holds back from all tiers; 0 where a silent one may run it."""
    if sample.gateway_waiting is not None:
        return sample.gateway_waiting
    inside = 0.0
    for samples in sharing:
        there = _standing(samples, sample.at_s, stands_s)
        if there is None or not says_load(there):
            return 0.0
        inside += in_engines(there)
    return max(0.0, (sample.gateway_in_flight or 0.0) - inside)


def _standing(samples: Samples, at_s: float, stands_s: float) -> Sample | None:
    """Return the newest sample at an instant, while it is not stale."""
    index = bisect.bisect_right(samples, at_s, key=lambda one: one.at_s) - 1
    if index < 0 or at_s - samples[index].at_s > stands_s:
        return None
    return samples[index]
