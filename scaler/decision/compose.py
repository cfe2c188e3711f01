"""
Which part of a past a decision is made of: how far back, and where the fine samples begin.

The server, the simulator and the backtest cut their windows by these rules, so that the same past
is the same window to each of them.
"""

import math

from .history import MINUTE_S
from .policy import Forecast, InferencePolicy, LendingPolicy, Policy
from .sample import Sample
from .tier_demand import LATCH_LOOKBACK_S
from .window import Window


def lookback_s(policy: Policy) -> float:
    """Return how far back the fine samples of a workload matter to its own decision, seconds."""
    if isinstance(policy, InferencePolicy):
        return policy.lookback_s + policy.hold_for_s
    return max(policy.min_runtime_s, policy.blind_reclaim_after_s) + policy.stable_window_s


def reach_s(policy: Policy) -> float:
    """Return how far back anything can matter, thinned history included, seconds."""
    if isinstance(policy, LendingPolicy):
        return max(policy.latch_lookback_s, lookback_s(policy))
    reaches_s = [lookback_s(policy)]
    if policy.forecast is not Forecast.OFF:
        reaches_s.append(policy.forecast_lookback_s)
    if policy.tier_group is not None:
        reaches_s.append(LATCH_LOOKBACK_S)
    return max(reaches_s)


def held_s(policy: Policy) -> float:
    """Return for how long what was decided may stand without readings, seconds."""
    return policy.hold_for_s if isinstance(policy, InferencePolicy) else 0.0


def fine_after_s(newest_s: float, lookback_s: float) -> float:
    """
    Return the instant after which samples are kept one by one, Unix seconds; older ones thinned.

    It is a whole minute, so that what is older is history by whole minutes, and moves on with the
    minute of the newest sample: what is known of whole minutes stays the same until then.
    """
    return MINUTE_S * (math.floor(newest_s / MINUTE_S) - math.ceil(lookback_s / MINUTE_S))


def workers_of(window: Window) -> tuple[int | None, float | None]:
    """
    Return the borrower's workers, and since when there have been that many (Unix seconds).

    Those that run or start; one that was told to go holds its units still and works no more.
    """
    count = _workers(window.latest)
    if count is None:
        return None, None
    since_s = window.latest.at_s
    for sample in reversed(window.samples):
        if _workers(sample) != count:
            break
        since_s = sample.at_s
    return count, since_s


def _workers(sample: Sample) -> int | None:
    """Count the workers that were not told to go; else what is asked for."""
    if sample.ready_replicas is None:
        return sample.spec_replicas
    return sample.ready_replicas + (sample.loading_replicas or 0)
