"""
How full a replica may run where nobody stated it: as full as the rises of its load leave room for.

Room is needed once, for what can come before a replica that is asked for now serves. Where load was
seen to rise by little within a lead time, more room than that stands empty. So the target is what
load is of what it rises to at its worst: never below the share that suits load of which nothing is
known, since what rises by more is the forecast's to hold ready.
"""

import math

from scaler.said import Said

from .outlook import Outlook
from .policy import LEAST_UTILIZATION, InferencePolicy

MOST_UTILIZATION = 0.9
"""The tenth that is left is for what comes between two scrapes, and falls unevenly on replicas."""
ENOUGH_MINUTES = 15
"""Of fewer the worst rise is not known."""


def drained(lead_time_s: float, policy: InferencePolicy) -> float:
    """Return the share of a peak as long as a lead time that must be served at once."""
    return lead_time_s / (lead_time_s + (policy.ttft_target_s or 0.0))


def acting(policy: InferencePolicy, outlook: Outlook | None, lead_time_s: float) -> InferencePolicy:
    """Return a policy with the target that an outlook allows; itself where one is stated."""
    if policy.target_utilization is not None:
        return policy
    if outlook is None or outlook.minutes < ENOUGH_MINUTES:
        return policy
    needed = (outlook.load + outlook.worst) * drained(lead_time_s, policy)
    share = outlook.load / needed if needed else LEAST_UTILIZATION
    # Down to whole percent: what a hundredth more would save is not worth a count that moves.
    target = math.floor(100 * min(MOST_UTILIZATION, share) + 1e-9) / 100
    if target <= LEAST_UTILIZATION:
        return policy
    return policy.aiming_at(target)


def learned(stated: InferencePolicy, acts: InferencePolicy, outlook: Outlook | None) -> str | None:
    """Return what target was taken for ``auto``, and why; None where it is none but the usual."""
    if outlook is None or acts.target_utilization == stated.target_utilization:
        return None
    return Said(
        "targetUtilization: auto is {target:g} now: 99 % of {count} minutes rose by no more than"
        " {worst:.2f} above a load of {load:.2f}.",
        target=acts.effective_target_utilization,
        count=outlook.minutes,
        worst=outlook.worst,
        load=outlook.load,
    )
