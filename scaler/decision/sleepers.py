"""
Replicas that sleep (vLLM's sleep mode): capacity to come, for as long as a wake may take.

They count as replicas that are there, and what a forecast holds ready may sleep. Nobody here wakes
them. So where load has needed more than those awake for a whole ``wake_time_s`` and they sleep on,
nobody does, and they count for nothing: as many more are asked for.

What is needed is the least that load asked for within that time: a forecast asks nobody to wake,
and neither does a count that a scale-down delay still holds.
"""

import dataclasses

import numpy as np

from scaler.capacity.concurrency.result import SafeConcurrency
from scaler.said import Said

from .curve import curve_of
from .decision import Reason, Step
from .facts.bucket import reporting
from .facts.columns import Array
from .kpa import whole
from .load import Series, read_against
from .policy import InferencePolicy
from .sample import Sample
from .window import Window


def asleep(sample: Sample) -> frozenset[str]:
    """Return the names of the replicas that sleep."""
    return frozenset(replica.name for replica in sample.replicas if replica.sleeping)


def in_place_of_sleepers(
    window: Window,
    policy: InferencePolicy,
    count: int,
    *,
    series: tuple[Series, ...],
    safe: SafeConcurrency | None,
) -> Step | None:
    """
    Raise ``count`` by the replicas that sleep on though load needs them; None: it suffices.

    ``series`` is the load as it was read, and ``safe`` what a replica holds.
    """
    first = _first(window, policy.wake_time_s)
    sleeping = _slept_since(window, first)
    if not sleeping:
        return None
    loads = _loads(window, policy, series, safe)[first:]
    if np.isnan(loads).any():  # what load asked for all the time is not known
        return None
    needed = whole(float(loads.min()) / policy.effective_target_utilization)
    if needed <= _awake(window.latest) or needed + sleeping <= count:
        return None
    detail = Said(
        "{needed} are needed, {awake} are awake, and {asleep} have slept on for {wake_s:g} s: they"
        " count for nothing until somebody wakes them",
        needed=needed,
        awake=_awake(window.latest),
        asleep=sleeping,
        wake_s=policy.wake_time_s,
    )
    return Step(needed + sleeping, Reason.NOT_WOKEN, detail)


def _first(window: Window, wake_time_s: float) -> int:
    """Return the newest sample that is a whole wake time old; below 0: there is none."""
    times = window.columns.instants.at_s
    return int(np.searchsorted(times, window.latest.at_s - wake_time_s, side="right")) - 1


def _slept_since(window: Window, first: int) -> int:
    """Return how many replicas are known to have slept from a sample on; below 0: none is."""
    sleeping = asleep(window.latest)
    if not sleeping or first < 0:
        return 0
    lately = window.samples[first:]
    awake = {one.name for sample in lately for one in sample.replicas if not one.sleeping}
    return len((sleeping & asleep(lately[0])) - awake)


def _loads(
    window: Window,
    policy: InferencePolicy,
    series: tuple[Series, ...],
    safe: SafeConcurrency | None,
) -> Array:
    """Return the load over the samples in full replicas; what silent sleepers hold is not in it."""
    if window.latest.gateway_in_flight is None:
        samples = tuple(map(_without_sleepers, window.samples))
        window = dataclasses.replace(window, samples=samples, kept=None)
        series = read_against(safe, window, policy)
    return curve_of(window, series, policy).load


def _without_sleepers(sample: Sample) -> Sample:
    return dataclasses.replace(sample, ready_replicas=_awake(sample))


def _awake(sample: Sample) -> int:
    """Return the ready replicas that do not sleep; with a gateway the others load already."""
    ready = sample.ready or 0
    if sample.gateway_in_flight is not None:
        return ready
    return max(reporting(sample), ready - len(asleep(sample)))
