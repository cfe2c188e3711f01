"""What a rule of ``kvtide check`` looks at."""

import dataclasses
from collections.abc import Callable, Iterator

from scaler.configuration import Configuration
from scaler.decision.policy import InferencePolicy
from scaler.source import Role, Trigger, Workload

from .finding import Finding
from .scaled_object import ScaledObject, TriggerSpec


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One ScaledObject with the trigger that is ours."""

    object: ScaledObject
    spec: TriggerSpec
    trigger: Trigger | None
    """None: its metadata is wrong; rules about the object alone still hold."""
    configuration: Configuration

    @property
    def inference(self) -> tuple[InferencePolicy, Workload] | None:
        """The policy and workload of an inference trigger."""
        if self.trigger is None or not isinstance(self.trigger.policy, InferencePolicy):
            return None
        return self.trigger.policy, self.trigger.workload

    @property
    def is_training(self) -> bool:
        return self.spec.metadata.get("role") == Role.TRAINING


Rule = Callable[[Seen], Iterator[Finding]]
"""Yields what one fact about KEDA, the HPA or an engine makes of a ScaledObject."""
