"""
KEDA's part of scaling one ScaledObject, as a state machine: from zero, to zero, values.

Rules as of KEDA 2.20 (``pkg/scaling/executor/scale_scaledobjects.go``, ``pkg/fallback``,
``pkg/scalers/external_scaler.go``). ``now_s`` is an argument, so that the simulator and the local
stack run the same code.

What must stay true: an error without a fallback changes nothing, and only a poll scales to zero.
"""

import dataclasses
import math

from scaler.autoscaling import (
    COOLDOWN_S,
    MAX_REPLICAS,
    POLLING_INTERVAL_S,
    SYNC_PERIOD_S,
    TOLERANCE,
)

from .hpa import Behavior, HpaConfig


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """What a ScaledObject falls back to when its scaler fails again and again."""

    replicas: int
    failure_threshold: int = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObjectConfig:
    """A ScaledObject's ``spec``; KEDA's defaults."""

    polling_interval_s: float = POLLING_INTERVAL_S
    cooldown_period_s: float = COOLDOWN_S
    initial_cooldown_period_s: float = 0.0
    min_replica_count: int = 0
    max_replica_count: int = MAX_REPLICAS
    idle_replica_count: int | None = None
    fallback: Fallback | None = None
    behavior: Behavior | None = None

    def hpa(
        self, *, sync_period_s: float = SYNC_PERIOD_S, tolerance: float = TOLERANCE
    ) -> HpaConfig:
        """Return the HPA that KEDA makes: it cannot go below one."""
        return HpaConfig(
            min_replicas=max(1, self.min_replica_count),
            max_replicas=self.max_replica_count,
            behavior=self.behavior,
            sync_period_s=sync_period_s,
            tolerance=tolerance,
        )


class ScaledObject:
    """
    One ScaledObject.

    Attributes:
        last_active_s: when a trigger was last seen active; None: never.
    """

    def __init__(self, config: ScaledObjectConfig, *, created_s: float) -> None:
        self.config = config
        self.created_s = created_s
        self.last_active_s: float | None = None
        self._failures = 0

    def poll(self, *, now_s: float, replicas: int, active: bool, error: bool) -> int | None:
        """
        Take the result of one poll; return the count to write, None: leave it.

        ``active`` and ``error`` are over all triggers: one is active, one failed.
        """
        config = self.config
        if active:
            idle = config.idle_replica_count is not None and replicas < config.min_replica_count
            if replicas == 0 or idle:
                self.last_active_s = now_s
                return max(1, config.min_replica_count)
            if not error:
                self.last_active_s = now_s
            return None
        if error and (config.fallback is None or config.fallback.replicas != 0):
            return None
        return self._inactive(now_s, replicas)

    def push(self, *, now_s: float, replicas: int, active: bool) -> int | None:
        """Take a message of the push stream: true scales at once, false is ignored."""
        if not active:
            return None
        return self.poll(now_s=now_s, replicas=replicas, active=True, error=False)

    def _inactive(self, now_s: float, replicas: int) -> int | None:
        config = self.config
        idle = config.idle_replica_count
        lowest = config.min_replica_count if idle is None else idle
        if replicas > lowest and (idle is not None or config.min_replica_count == 0):
            return lowest if self._cooled_down(now_s) else None
        if replicas < config.min_replica_count and idle is None:
            return config.min_replica_count
        return None

    def _cooled_down(self, now_s: float) -> bool:
        if self.last_active_s is None:
            return self.created_s + self.config.initial_cooldown_period_s < now_s
        return self.last_active_s + self.config.cooldown_period_s < now_s

    def metric(self, value: float | None, *, target: float) -> float | None:
        """
        Return what the HPA is given for an AverageValue metric: the value, or the fallback's.

        ``value`` None is a failed call: after more than ``failure_threshold`` in a row the HPA is
        given what makes it ask for the fallback's replicas, and the trigger counts as active.
        """
        if value is not None:
            self._failures = 0
            return value
        self._failures += 1
        if not self.falls_back or self.config.fallback is None:
            return None
        return target * self.config.fallback.replicas

    @property
    def falls_back(self) -> bool:
        """Whether the scaler has failed so often that the fallback is in force."""
        fallback = self.config.fallback
        return fallback is not None and self._failures > fallback.failure_threshold


def metric_value(metric_value: int, metric_value_float: float) -> float:
    """
    Return what KEDA reads from a MetricValue: the float if it is above zero, else the integer.

    What is not a positive finite number counts as zero; three decimals survive.
    """
    value = metric_value_float if metric_value_float > 0 else float(metric_value)
    if not 0 < value < math.inf:
        return 0.0
    return math.floor(value * 1000) / 1000


def target_size(target: int, target_float: float) -> float:
    """Return the target KEDA takes from a MetricSpec: the float if above zero, else the integer."""
    return target_float if target_float > 0 else float(target)
