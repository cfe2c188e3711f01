"""
The Kubernetes HorizontalPodAutoscaler for External metrics, as a state machine.

Rules as of Kubernetes 1.33 to 1.36 (``pkg/controller/podautoscaler/horizontal.go`` and
``replica_calculator.go``): tolerance, the maximum over several metrics, stabilization over past
recommendations, and limits from policies and past scale events. ``now_s`` is an argument, so that
the simulator and the local stack run the same code.

What must stay true: a failed metric never lowers the count, and the answer lies within min and
max.
"""

import dataclasses
import enum
import math
from collections.abc import Sequence

from scaler.autoscaling import STABILIZATION_S, SYNC_PERIOD_S, TOLERANCE
from scaler.errors import ConfigurationError, Problem


class PolicyKind(enum.StrEnum):
    """What a policy's value counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class SelectPolicy(enum.StrEnum):
    """Which of several policies rules: the one that allows most, least, or no change at all."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """At most ``value`` pods or percent of change within ``period_s``."""

    kind: PolicyKind
    value: int
    period_s: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRules:
    """One direction of ``behavior``."""

    stabilization_s: float
    policies: tuple[ScalingPolicy, ...]
    select: SelectPolicy = SelectPolicy.MAX
    tolerance: float | None = None
    """None: the controller's (``--horizontal-pod-autoscaler-tolerance``)."""


DEFAULT_SCALE_UP = ScalingRules(
    stabilization_s=0,
    policies=(
        ScalingPolicy(kind=PolicyKind.PERCENT, value=100, period_s=15),
        ScalingPolicy(kind=PolicyKind.PODS, value=4, period_s=15),
    ),
)
DEFAULT_SCALE_DOWN = ScalingRules(
    stabilization_s=STABILIZATION_S,
    policies=(ScalingPolicy(kind=PolicyKind.PERCENT, value=100, period_s=15),),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """``behavior`` of an HPA; whatever is left out has Kubernetes' default."""

    scale_up: ScalingRules = DEFAULT_SCALE_UP
    scale_down: ScalingRules = DEFAULT_SCALE_DOWN


def wide_open(*, tolerance: float | None = 0.0) -> Behavior:
    """Return the behavior for a scaler that does windows, rates and delays itself."""
    any_change = ScalingPolicy(kind=PolicyKind.PERCENT, value=900, period_s=15)
    any_pods = ScalingPolicy(kind=PolicyKind.PODS, value=1000, period_s=15)
    all_pods = ScalingPolicy(kind=PolicyKind.PERCENT, value=100, period_s=15)
    return Behavior(
        scale_up=ScalingRules(
            stabilization_s=0, policies=(any_change, any_pods), tolerance=tolerance
        ),
        scale_down=ScalingRules(stabilization_s=0, policies=(all_pods,), tolerance=tolerance),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HpaConfig:
    """One HPA, and the flags of the controller that runs it."""

    min_replicas: int = 1
    max_replicas: int
    behavior: Behavior | None = None
    sync_period_s: float = SYNC_PERIOD_S
    tolerance: float = TOLERANCE
    downscale_stabilization_s: float = STABILIZATION_S
    """Window of an HPA without ``behavior``."""

    def __post_init__(self) -> None:
        """Refuse bounds that the API server would refuse."""
        if not 0 <= self.min_replicas <= self.max_replicas:
            raise ConfigurationError(
                Problem(
                    field="min_replicas",
                    got=str(self.min_replicas),
                    allowed=f"0 to max_replicas ({self.max_replicas})",
                    others=("max_replicas",),
                )
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExternalMetric:
    """What the metrics API said of one metric: the sum of its items, or nothing."""

    value: float | None
    """None: the metrics API answered with an error."""
    target: float
    average: bool = True
    """AverageValue; else Value."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """One evaluation: the count to write, and the condition that explains it."""

    replicas: int
    reason: str
    """A reason of the HPA's own conditions (ScalingActive, AbleToScale, ScalingLimited)."""


@dataclasses.dataclass(frozen=True, slots=True)
class _At:
    """A recommendation, or the size of a scale event, and when it was."""

    at_s: float
    replicas: int


class HorizontalPodAutoscaler:
    """One HPA; :meth:`sync` is to be called every ``sync_period_s``."""

    def __init__(self, config: HpaConfig) -> None:
        self.config = config
        self._recommendations: list[_At] = []
        self._ups: list[_At] = []
        self._downs: list[_At] = []

    def sync(
        self,
        metrics: Sequence[ExternalMetric],
        *,
        now_s: float,
        spec_replicas: int,
        status_replicas: int,
        ready_replicas: int,
    ) -> Sync:
        """Return the count that the controller would write now."""
        config = self.config
        if not self._recommendations:
            # The controller counts what is there as its first recommendation.
            self._recommendations = [_At(now_s, spec_replicas)]
        if spec_replicas == 0 and config.min_replicas != 0:
            return Sync(replicas=0, reason="ScalingDisabled")
        if spec_replicas > config.max_replicas:
            answer = Sync(replicas=config.max_replicas, reason="TooManyReplicas")
        elif spec_replicas < config.min_replicas:
            answer = Sync(replicas=config.min_replicas, reason="TooFewReplicas")
        else:
            proposals = [
                self._proposal(metric, spec_replicas, status_replicas, ready_replicas)
                for metric in metrics
            ]
            known = [proposal for proposal in proposals if proposal is not None]
            wanted = max(known, default=None)
            failed = len(known) < len(proposals)
            if wanted is None or (failed and wanted < spec_replicas):
                return Sync(replicas=spec_replicas, reason="FailedGetExternalMetric")
            answer = self._limited(wanted, spec_replicas, now_s)
        self._note_event(spec_replicas, answer.replicas, now_s)
        return answer

    # The proposal of one metric

    def _proposal(self, metric: ExternalMetric, spec: int, status: int, ready: int) -> int | None:
        if metric.value is None:
            return None
        usage, target = round(metric.value * 1000), round(metric.target * 1000)
        if metric.average:
            if status and self._within_tolerance(usage / (target * status)):
                return status
            return -(-usage // target)
        ratio = usage / target
        if spec == 0:
            return math.ceil(ratio)
        if self._within_tolerance(ratio):
            return spec
        return math.ceil(ratio * ready)

    def _within_tolerance(self, ratio: float) -> bool:
        up = down = self.config.tolerance
        behavior = self.config.behavior
        if behavior is not None:
            rules_up, rules_down = behavior.scale_up.tolerance, behavior.scale_down.tolerance
            up = up if rules_up is None else rules_up
            down = down if rules_down is None else rules_down
        return 1 - down <= ratio <= 1 + up

    # Stabilization and limits

    def _limited(self, wanted: int, current: int, now_s: float) -> Sync:
        behavior = self.config.behavior
        if behavior is None:
            return self._limited_by_default(wanted, current, now_s)
        stabilized = self._stabilized(wanted, current, behavior, now_s)
        if stabilized > current:
            limit = max(current, self._up_limit(current, behavior.scale_up, now_s))
            replicas = min(stabilized, limit, self.config.max_replicas)
            limited = "ScaleUpLimit" if limit < self.config.max_replicas else "TooManyReplicas"
        elif stabilized < current:
            limit = min(current, self._down_limit(current, behavior.scale_down, now_s))
            replicas = max(stabilized, limit, self.config.min_replicas)
            limited = "ScaleDownLimit" if limit > self.config.min_replicas else "TooFewReplicas"
        else:
            replicas, limited = current, "ReadyForNewScale"
        if replicas != stabilized:
            return Sync(replicas=replicas, reason=limited)
        if stabilized == wanted:
            return Sync(replicas=replicas, reason="ReadyForNewScale")
        held = "ScaleDownStabilized" if stabilized > wanted else "ScaleUpStabilized"
        return Sync(replicas=replicas, reason=held)

    def _limited_by_default(self, wanted: int, current: int, now_s: float) -> Sync:
        """Without ``behavior``: highest wish of five minutes, at most doubling (or four)."""
        cutoff_s = now_s - self.config.downscale_stabilization_s
        recent = [past for past in self._recommendations if past.at_s >= cutoff_s]
        self._recommendations = [*recent, _At(now_s, wanted)]
        stabilized = max(wanted, *(past.replicas for past in recent), 0)
        up_limit = max(2 * current, 4)
        highest = min(self.config.max_replicas, up_limit)
        replicas = min(max(stabilized, self.config.min_replicas), highest)
        if stabilized > highest:
            reason = "ScaleUpLimit" if up_limit < self.config.max_replicas else "TooManyReplicas"
        elif stabilized < self.config.min_replicas:
            reason = "TooFewReplicas"
        else:
            reason = "ReadyForNewScale" if stabilized == wanted else "ScaleDownStabilized"
        return Sync(replicas=replicas, reason=reason)

    def _stabilized(self, wanted: int, current: int, behavior: Behavior, now_s: float) -> int:
        """Lowest recent wish on the way up, highest on the way down; else stay."""
        up_s = now_s - behavior.scale_up.stabilization_s
        down_s = now_s - behavior.scale_down.stabilization_s
        past = self._recommendations
        up = min([wanted, *(one.replicas for one in past if one.at_s > up_s)])
        down = max([wanted, *(one.replicas for one in past if one.at_s > down_s)])
        oldest_s = min(up_s, down_s)
        self._recommendations = [
            *(one for one in past if one.at_s >= oldest_s),
            _At(now_s, wanted),
        ]
        return min(max(current, up), down)

    def _up_limit(self, current: int, rules: ScalingRules, now_s: float) -> int:
        if rules.select is SelectPolicy.DISABLED:
            return current
        limits = []
        for policy in rules.policies:
            start = self._at_start_of(policy.period_s, current, now_s)
            if policy.kind is PolicyKind.PODS:
                limits.append(start + policy.value)
            else:
                limits.append(math.ceil(start * (1 + policy.value / 100)))
        return max(limits) if rules.select is SelectPolicy.MAX else min(limits)

    def _down_limit(self, current: int, rules: ScalingRules, now_s: float) -> int:
        if rules.select is SelectPolicy.DISABLED:
            return current
        limits = []
        for policy in rules.policies:
            start = self._at_start_of(policy.period_s, current, now_s)
            if policy.kind is PolicyKind.PODS:
                limits.append(start - policy.value)
            else:
                limits.append(int(start * (1 - policy.value / 100)))
        return min(limits) if rules.select is SelectPolicy.MAX else max(limits)

    def _at_start_of(self, period_s: float, current: int, now_s: float) -> int:
        """Return the count at the start of a period that ends now, from the events in it."""
        added = sum(event.replicas for event in self._ups if event.at_s > now_s - period_s)
        removed = sum(event.replicas for event in self._downs if event.at_s > now_s - period_s)
        return current - added + removed

    def _note_event(self, before: int, after: int, now_s: float) -> None:
        behavior = self.config.behavior
        if behavior is None or before == after:
            return
        up = after > before
        rules = behavior.scale_up if up else behavior.scale_down
        longest_s = max((policy.period_s for policy in rules.policies), default=0.0)
        events = self._ups if up else self._downs
        recent = [event for event in events if event.at_s > now_s - longest_s]
        recent.append(_At(now_s, abs(after - before)))
        if up:
            self._ups = recent
        else:
            self._downs = recent
