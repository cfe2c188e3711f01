"""
What the forecast makes of a past, kept until the next whole minute is over.

It rests on the whole minutes before the present one: thousands of buckets, of which none changes
until a minute has passed. So whoever decides on a workload again and again keeps the outlook beside
its columns (:class:`Foresight`), and a decision reads it there. Where it is given none, or one of
another minute, it works out the same itself.
"""

import dataclasses
from collections.abc import Collection

from .curve import curve_of
from .facts.record import minute_of
from .forecast import lead_time_s
from .load import read
from .outlook import Foreseen, Outlook
from .policy import Forecast, InferencePolicy
from .rise import rise, this_hour, whole_minutes
from .utilization import acting
from .window import Window


class Foresight:
    """The outlooks of workloads, by their keys; each until it rests on something else."""

    def __init__(self) -> None:
        self._known: dict[str, Foreseen] = {}

    def given(self, key: str, window: Window, policy: InferencePolicy) -> Window:
        """Return a workload's window with its outlook, where a forecast looks at whole minutes."""
        lead_s = lead_time_s(policy, window.startup_s)
        if not lead_s or not looks_at_minutes(window, policy) or None in _editions(window):
            return window
        about, known = _about(window, policy, lead_s), self._known.get(key)
        if known is None or known.about != about:
            known = self._known[key] = _foreseen(window, policy, lead_s, about)
        return dataclasses.replace(window, foreseen=known)

    def keep_only(self, keys: Collection[str]) -> None:
        """Forget the workloads that are none of these."""
        for key in [key for key in list(self._known) if key not in keys]:
            del self._known[key]


def looks_at_minutes(window: Window, policy: InferencePolicy) -> bool:
    """Whether a forecast rests on the whole minutes of a window alone."""
    return bool(window.history) and policy.forecast is Forecast.RISE and policy.tier_group is None


def with_outlook(window: Window, policy: InferencePolicy, lead_s: float | None) -> Window:
    """Return a window with what a policy's forecast makes of its minutes, if it looks at any."""
    if not lead_s or not looks_at_minutes(window, policy) or window.latest.is_known_zero:
        return dataclasses.replace(window, foreseen=None) if window.foreseen else window
    about = _about(window, policy, lead_s)
    if window.foreseen is not None and window.foreseen.about == about:
        return window
    return dataclasses.replace(window, foreseen=_foreseen(window, policy, lead_s, about))


def _foreseen(window: Window, policy: InferencePolicy, lead_s: float, about: object) -> Foreseen:
    outlook = _outlook(window, policy, lead_s)
    return Foreseen(about, outlook, acting(policy, outlook, lead_s))


def _outlook(window: Window, policy: InferencePolicy, lead_s: float) -> Outlook | None:
    past = whole_minutes(window, policy.forecast_lookback_s)
    if past is None:
        return None
    now_s = window.latest.at_s
    learnt_from = this_hour(past, lead_s, now_s) or past
    load = curve_of(learnt_from, read(learnt_from, policy, over_service=True), policy)
    return rise(load, policy, lead_s, now_s=now_s)


def _about(window: Window, policy: InferencePolicy, lead_s: float) -> object:
    """Return all that an outlook depends on; the readings by their editions."""
    newest_s = window.latest.at_s
    return (
        policy,
        lead_s,
        minute_of(newest_s),
        minute_of(newest_s - policy.forecast_lookback_s),
        window.samples[0].at_s,
        _editions(window),
        window.interval_s,
        window.lengths,
        window.gateway,
    )


def _editions(window: Window) -> tuple[object, object]:
    kept = window.kept
    return (None, None) if kept is None else (kept.samples.edition, kept.history.edition)
