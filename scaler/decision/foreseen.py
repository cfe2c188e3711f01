"""
The rise that a forecast expects, worked out once a minute and not at every decision.

It rests on the whole minutes within the lookback, some thousand samples, of which none changes
until the next minute is over. So it is a function of those samples alone: how much older history a
source still holds, and at which second of the minute it is asked, change nothing.
"""

import bisect
import dataclasses
from collections.abc import Callable, Sequence

from .outlook import MINUTE_S, Outlook
from .point import LoadPoint
from .policy import InferencePolicy
from .remembered import per_past
from .rise import rise
from .sample import Sample
from .sliding import bucket_of
from .window import Window


def expected_rise(
    window: Window,
    policy: InferencePolicy,
    lead_time_s: float,
    *,
    points_of: Callable[[Window], Sequence[LoadPoint]],
) -> Outlook | None:
    """
    Return what load is expected to rise by within one lead time; None: too little is known.

    ``points_of`` makes a window's load, a function of the window and of ``policy``.
    """
    samples = whole_minutes(window, policy.forecast_lookback_s)
    if not samples:
        return None
    told = (window.lengths, window.startup_s, window.bounds)

    def work() -> Outlook | None:
        past = dataclasses.replace(window, samples=samples, history=())
        now = LoadPoint(at_s=window.latest.at_s, load=None, ready=None)
        return rise((*points_of(past), now), policy, lead_time_s)

    about = (policy, lead_time_s, window.interval_s, window.gateway, told)
    return per_past(samples, about, work)


def whole_minutes(window: Window, lookback_s: float) -> tuple[Sample, ...]:
    """Return the samples of the minutes before the present one that begin within the lookback."""
    present = _minute(window.latest)
    oldest = bucket_of(window.latest.at_s - lookback_s, MINUTE_S) + 1
    history, fine = window.history, window.samples
    older = history[bisect.bisect_left(history, oldest, key=_minute) :]
    begin = bisect.bisect_left(fine, oldest, key=_minute)
    return (*older, *fine[begin : bisect.bisect_left(fine, present, key=_minute)])


def _minute(sample: Sample) -> int:
    return bucket_of(sample.at_s, MINUTE_S)
