"""
An autoscaler made of KEDA, the HPA and a trigger: the way of most people, and ours.

KEDA polls for activity, the HPA syncs on the trigger's value; both are the state machines that the
local stack runs. A trigger turns what was scraped into a value and a target.

What must stay true: a trigger without data is an error to KEDA and the HPA, never a zero.
"""

import dataclasses
from collections.abc import Callable

from scaler.autoscaling import SYNC_PERIOD_S
from scaler.decision.compose import lookback_s, reach_s
from scaler.decision.decide import decide
from scaler.decision.foresight import Foresight
from scaler.decision.policy import InferencePolicy
from scaler.decision.window import Window

from .hpa import ExternalMetric, HorizontalPodAutoscaler, wide_open
from .scaled_object import ScaledObject, ScaledObjectConfig
from .simulate import View


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger of a ScaledObject."""

    name: str
    read: Callable[[Window], float | None]
    """What it says, in the unit of ``target``; None: it fails."""
    target: float
    """AverageValue: what one replica should have of it."""
    activation: float = 0.0
    """Active above this value."""
    lookback_s: float
    history_s: float = 0.0


class KedaScaled:
    """A ScaledObject with one trigger, and its HPA."""

    def __init__(
        self,
        name: str,
        trigger: Trigger,
        config: ScaledObjectConfig,
        *,
        sync_period_s: float = SYNC_PERIOD_S,
    ) -> None:
        self.name = name
        self._trigger = trigger
        hpa = config.hpa(sync_period_s=sync_period_s)
        self._hpa = HorizontalPodAutoscaler(hpa)
        self._object = ScaledObject(config, created_s=0.0)
        self._polling_s, self._sync_s = config.polling_interval_s, sync_period_s
        self._poll_due_s = self._sync_due_s = 0.0

    @property
    def every_s(self) -> float:
        """It is looked at whenever a poll or a sync may be due."""
        return min(5.0, self._polling_s, self._sync_s)

    @property
    def lookback_s(self) -> float:
        """How far back the trigger reads."""
        return self._trigger.lookback_s

    @property
    def history_s(self) -> float:
        """How far back the trigger reads thinned samples."""
        return self._trigger.history_s

    def act(self, view: View) -> int | None:
        """Poll and sync where it is time; both see the same reading."""
        polls, syncs = view.now_s >= self._poll_due_s, view.now_s >= self._sync_due_s
        if not polls and not syncs:
            return None
        window = view.window()
        value = None if window is None else self._trigger.read(window)
        replicas = view.spec_replicas
        if polls:
            self._poll_due_s = view.now_s + self._polling_s
            active = value is not None and value > self._trigger.activation
            polled = self._object.poll(
                now_s=view.now_s, replicas=replicas, active=active, error=value is None
            )
            replicas = replicas if polled is None else polled
        if syncs:
            self._sync_due_s = view.now_s + self._sync_s
            replicas = self._sync(view, value, replicas)
        return replicas

    def _sync(self, view: View, value: float | None, replicas: int) -> int:
        return self._hpa.sync(
            [ExternalMetric(value=value, target=self._trigger.target)],
            now_s=view.now_s,
            spec_replicas=replicas,
            status_replicas=view.status_replicas,
            ready_replicas=view.ready_replicas,
        ).replicas


def kvtide(
    name: str,
    policy: InferencePolicy,
    *,
    min_replicas: int = 1,
    max_replicas: int,
    polling_interval_s: float = 30.0,
) -> KedaScaled:
    """
    Return our scaler behind KEDA: the same ``decide`` that the server calls.

    The HPA is as every example ships it: no window and no tolerance of its own.
    """
    foresight = Foresight()

    def read(window: Window) -> float | None:
        wanted = decide(foresight.given(name, window, policy), policy).replicas
        return None if wanted is None else float(wanted)

    return KedaScaled(
        name,
        Trigger(
            name="desired-replicas",
            read=read,
            target=1.0,
            lookback_s=lookback_s(policy),
            history_s=reach_s(policy),
        ),
        ScaledObjectConfig(
            polling_interval_s=polling_interval_s,
            min_replica_count=min_replicas,
            max_replica_count=max_replicas,
            behavior=wide_open(),
        ),
    )
