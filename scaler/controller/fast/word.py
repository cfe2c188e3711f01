"""What the scaler says of one inference workload."""

import dataclasses
from collections.abc import Mapping

from scaler.keda._pb.kvtide_pb2 import Scale


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """The scaler's last word; equal to another that says the same, whenever it was heard."""

    replicas: int | None
    """None: it has no answer now; keep what is."""
    reason: str
    detail: str = dataclasses.field(default="", compare=False)
    panic: bool = False
    woken: bool = False
    at_s: float = dataclasses.field(default=0.0, compare=False)
    """Instant of the newest reading it rests on, Unix seconds."""
    heard_s: float = dataclasses.field(compare=False)
    """When the stream last said anything, a heartbeat included, Unix seconds."""
    in_flight: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Requests running and waiting in each pod that reports them."""

    @property
    def urgent(self) -> bool:
        """Whether it must not wait for the HPA: from zero, or in panic."""
        return self.panic or self.woken


def scale_word(scale: Scale, heard_s: float) -> Word:
    """Read how many replicas are wanted."""
    return Word(
        replicas=scale.replicas if scale.HasField("replicas") else None,
        reason=scale.reason,
        detail=scale.detail,
        panic=scale.panic,
        woken=scale.woken,
        at_s=scale.at,
        heard_s=heard_s,
        in_flight=dict(scale.in_flight),
    )
