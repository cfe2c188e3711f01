"""
What was recorded and what would have been answered at one poll, side by side, and their figures.

A poll without data, or whose answer is to hold, has no wanted count: it is a gap, never zero, and
counts in no sum. A poll in which it is not known what ran does not either.
"""

import collections
import dataclasses
import itertools
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scaler.decision.decision import Decision
from scaler.decision.pool import PoolWindow, TierWindow
from scaler.decision.sample import Sample
from scaler.decision.window import Window
from scaler.errors import NoDataError

NO_DATA = "NoData"
_HOUR_S = 3600.0
_TTFT_S = 60.0
"""Seconds over which the recorded mean time to first token is taken."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One poll; counts are replicas, or training workers; None: not known."""

    at_s: float
    reason: str
    detail: str
    """The sentence with the numbers behind the reason."""
    wanted: int | None = None
    ran: int | None = None
    """Replicas ready to serve, or workers that exist."""
    held: int | None = None
    """Replicas that held GPUs: ready, starting and terminating ones."""
    load: float | None = None
    """Inference: in full replicas. Training: the pool's online load, 0 to 1."""
    safe_concurrency: int | None = None
    binding_limit: str | None = None
    panic: bool = False
    running: float | None = None
    waiting: float | None = None
    ttft_s: float | None = None
    """Mean time to first token of the last minute's requests, as the engines recorded it."""


def moment(
    at_s: float,
    subject: Window | PoolWindow | TierWindow | None,
    *,
    decision: Decision | None,
    error: NoDataError | None,
) -> Moment:
    """Return what was known and what was answered at a poll."""
    if decision is None:
        return Moment(at_s=at_s, reason=NO_DATA, detail="" if error is None else error.said)
    answered = Moment(
        at_s=at_s,
        reason=decision.reason.value,
        detail=decision.detail,
        wanted=decision.replicas,
        load=decision.load,
        safe_concurrency=decision.safe_concurrency,
        binding_limit=decision.binding_limit,
        panic=decision.panic,
    )
    if isinstance(subject, PoolWindow):
        return dataclasses.replace(answered, ran=subject.workers, held=subject.workers)
    window = subject if subject is None or isinstance(subject, Window) else _own(subject)
    return answered if window is None else _beside(answered, window)


def _own(tiers: TierWindow) -> Window | None:
    return next((one.window for one in tiers.members if one.name == tiers.member), None)


def _beside(answered: Moment, window: Window) -> Moment:
    now = window.latest
    extra = (now.loading_replicas or 0) + (now.terminating_replicas or 0)
    return dataclasses.replace(
        answered,
        ran=now.ready,
        held=None if now.ready is None else now.ready + extra,
        running=_sum(one.requests_running for one in now.replicas),
        waiting=_sum(
            [now.gateway_waiting, *(one.requests_waiting for one in now.replicas)],
        ),
        ttft_s=_ttft_s(window.last(_TTFT_S + window.interval_s)),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _ttft_s(samples: Sequence[Sample]) -> float | None:
    """Return the mean over requests whose first token came between the first and last sample."""
    before = {one.name: one for one in samples[0].replicas}
    waits_s = requests = 0.0
    for now in samples[-1].replicas:
        then = before.get(now.name)
        if then is None or None in (now.ttft_sum_s, now.ttft_count, then.ttft_sum_s):
            continue
        came = (now.ttft_count or 0.0) - (then.ttft_count or 0.0)
        if came > 0:
            requests += came
            waits_s += (now.ttft_sum_s or 0.0) - (then.ttft_sum_s or 0.0)
    return waits_s / requests if requests else None


def figures(moments: Sequence[Moment], *, every_s: float, units: int) -> dict[str, Any]:
    """
    Return the figures of one object as a document.

    ``every_s`` is what a poll stands for, ``units`` are the GPUs of one replica or worker. Hours
    and events are over the polls in which both the answer and what ran are known.
    """
    both = [one for one in moments if one.wanted is not None and one.ran is not None]
    hour = every_s / _HOUR_S
    safe = [one.safe_concurrency for one in moments if one.safe_concurrency is not None]
    return {
        "polls": len(moments),
        "hours": len(moments) * hour,
        "hours_decided": sum(one.wanted is not None for one in moments) * hour,
        "hours_compared": len(both) * hour,
        "hours_missing": sum(one.reason == NO_DATA for one in moments) * hour,
        "hours_held": sum(one.reason != NO_DATA and one.wanted is None for one in moments) * hour,
        "gpu_hours_wanted": sum(one.wanted or 0 for one in both) * hour * units,
        "gpu_hours_ran": sum(one.held or 0 for one in both) * hour * units,
        "short_s": sum(_count(one.wanted) > _count(one.ran) for one in both) * every_s,
        "short_gpu_hours": sum(max(0, _count(one.wanted) - _count(one.ran)) for one in both)
        * hour
        * units,
        "over_s": sum(_count(one.wanted) < _count(one.held) for one in both) * every_s,
        "over_gpu_hours": sum(max(0, _count(one.held) - _count(one.wanted)) for one in both)
        * hour
        * units,
        "scale_events_wanted": _changes(both, lambda one: one.wanted),
        "scale_events_ran": _changes(both, lambda one: one.ran),
        "max_wanted": max((_count(one.wanted) for one in both), default=None),
        "max_ran": max((_count(one.ran) for one in both), default=None),
        "panic_s": sum(one.panic for one in moments) * every_s,
        "safe_concurrency": {
            "min": min(safe, default=None),
            "median": statistics.median_low(safe) if safe else None,
            "max": max(safe, default=None),
        },
        "binding_limits": _shares(one.binding_limit for one in moments if one.binding_limit),
        "reasons": _shares(one.reason for one in moments),
    }


def lending_figures(moments: Sequence[Moment], *, every_s: float, units: int) -> dict[str, Any]:
    """Return the same of a training object, with how much was lent and how often taken back."""
    wanted = [one.wanted for one in moments if one.wanted is not None]
    of_any = figures(moments, every_s=every_s, units=units)
    return {name: of_any[name] for name in of_any if name not in _OF_INFERENCE} | {
        "lent_gpu_hours": sum(wanted) * every_s / _HOUR_S * units,
        "lent_s": sum(count > 0 for count in wanted) * every_s,
        "reclaims": sum(a > 0 and b == 0 for a, b in itertools.pairwise(wanted)),
    }


_OF_INFERENCE = ("panic_s", "safe_concurrency", "binding_limits")


def _count(value: int | None) -> int:
    """Return a count that is known: only moments in which it is come here."""
    return value or 0


def _changes(moments: Sequence[Moment], of: Callable[[Moment], int | None]) -> int:
    return sum(of(a) != of(b) for a, b in itertools.pairwise(moments))


def _shares(names: Iterable[str]) -> dict[str, float]:
    counts = collections.Counter(names)
    return {name: count / counts.total() for name, count in counts.most_common()}
