"""
How fast a policy lets the count of replicas change, in whole buckets of the grid.

Seconds become buckets here, once, so that every rule over time counts in integers and a shift of
the clock by whole buckets changes nothing.
"""

import collections.abc
import dataclasses
import math
import types

from .policy import Forecast, InferencePolicy, SignalName
from .sliding import GapRule

# A span may be a float's error longer than its buckets.
_SLACK = 1e-6

KNATIVE_PRESET: collections.abc.Mapping[str, object] = types.MappingProxyType(
    {
        "metrics": (SignalName.CONCURRENCY,),
        "target_utilization": 0.7,
        "backlog_drain_s": 0.0,
        "stable_window_s": 60.0,
        "panic_window_percentage": 10.0,
        "panic_threshold": 200.0,
        "max_scale_up_rate": 1000.0,
        "max_scale_down_rate": 2.0,
        "scale_down_delay_s": 0.0,
        "activation_scale": 1,
        "forecast": Forecast.OFF,
    }
)
"""``preset: knative``: InferencePolicy fields and the values that Knative ships them with."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The part of a policy that concerns time, in buckets."""

    bucket_s: float
    target: float
    """Load that one replica should run at."""
    stable_buckets: int
    panic_buckets: int
    latch_buckets: int
    """Panic lasts this many buckets after the last surge, the last of them included."""
    horizon_buckets: int
    """How far back a panic's running maximum reaches."""
    delay_buckets: int
    """Scale-down delay; 0: none."""
    panic_threshold: float
    """Panic begins where the panic window asks for this many times the replicas."""
    max_scale_up_rate: float
    max_scale_down_rate: float
    activation_scale: int
    gap_rule: GapRule
    newest_in_surge: bool = False
    """Whether a surge asks for what its newest reading needs, where that is more than the mean of
    the panic window."""

    @property
    def lookback_s(self) -> float:
        """
        How far back a point can matter, seconds.

        The panic maximum of each answer within the delay, the surge that latched it, the window
        that showed the surge; and, where readings have gaps, what came before that window.
        """
        buckets = self.delay_buckets + self.horizon_buckets + 3 * self.stable_buckets
        return buckets * self.bucket_s


def pace_of(
    policy: InferencePolicy,
    *,
    lead_time_s: float | None,
    bucket_s: float,
    gap_rule: GapRule = GapRule.CARRY,
) -> Pace:
    """Return the pace of ``policy`` on a grid of ``bucket_s`` seconds."""

    def buckets(seconds: float) -> int:
        return math.ceil(seconds / bucket_s - _SLACK)

    # One reading is a moment, not a window: the panic window is never less than two.
    panic_buckets = max(2, buckets(policy.panic_window_s))
    return Pace(
        bucket_s=bucket_s,
        target=policy.effective_target_utilization,
        stable_buckets=max(panic_buckets, buckets(policy.stable_window_s)),
        panic_buckets=panic_buckets,
        latch_buckets=math.floor(policy.stable_window_s / bucket_s + _SLACK),
        horizon_buckets=buckets(policy.effective_panic_horizon_s),
        delay_buckets=buckets(policy.effective_scale_down_delay_s(lead_time_s)),
        panic_threshold=policy.panic_threshold / 100,
        max_scale_up_rate=policy.max_scale_up_rate,
        max_scale_down_rate=policy.max_scale_down_rate,
        activation_scale=policy.activation_scale,
        gap_rule=gap_rule,
        newest_in_surge=policy.fast_path,
    )
