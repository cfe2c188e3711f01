"""What is known of each object and of the process now, as metrics, log and status page show it."""

import dataclasses
from collections.abc import Mapping

from scaler.decision.decision import Decision
from scaler.errors import KvtideError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The latest answer for one object, as metrics, log lines and the status page show it."""

    namespace: str
    scaled_object: str
    role: str
    """``inference``, ``training``, or ``unknown`` while the metadata is wrong."""
    decision: Decision | None
    """None: there was no answer, for ``reason``."""
    reason: str
    """One word: the decision's Reason, or what stands in its way."""
    detail: str
    """The sentence behind the reason."""
    newest_s: float | None
    """Time of the newest sample that was ever decided on, Unix seconds."""
    evaluated_s: float
    """When this answer was made, Unix seconds."""
    error: KvtideError | None = None
    """What stands in the way, where there is no decision."""
    bounds: tuple[int, int | None] | None = None
    """Least and most replicas (None: no limit), where they are known."""
    before: Decision | None = None
    """The last answer with a count, where this one has none."""
    units: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Training: units of the pool by what they are used for; empty: not known."""

    @property
    def key(self) -> str:
        """``namespace/scaledobject``."""
        return f"{self.namespace}/{self.scaled_object}"

    @property
    def held(self) -> bool:
        """Whether KEDA gets an error instead of a number, and so keeps what is."""
        return self.decision is None or self.decision.holds


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PagesRead:
    """How the pages of one object's pods were read between scrapes."""

    namespace: str
    scaled_object: str
    read: int
    """Pods whose page was read the last time."""
    unread: int
    """Pods that should have told something and did not."""
    newest_s: float | None
    """When all of them last were, Unix seconds; None: never so far."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How this process is, as probes and the status page ask."""

    ready: bool
    """The source was read through once, and nothing drains."""
    draining: bool
    failure: str | None
    """Why the last read of the source failed; None: it did not."""
    ticked_s: float
    """When the last round of reading and deciding ended, Unix seconds."""
    failure_kind: str | None = None
    """The kind of that failure: refused, timeout, http, format, partial, limit, …"""
    failure_detail: str = ""
    """The rest of what it says."""
    failing_since_s: float | None = None
    """Since when reads have failed, Unix seconds."""
    cluster: str | None = None
    """How the Kubernetes API is heard, in a sentence; None: it is of no concern here."""


def decision_fields(seen: Observation) -> dict[str, object]:
    """Return the fields of the log line that is written when an answer changes."""
    decision = seen.decision
    return {
        "namespace": seen.namespace,
        "scaledobject": seen.scaled_object,
        "role": seen.role,
        "replicas": decision.replicas if decision else None,
        "reason": seen.reason,
        "detail": seen.detail,
        "load": decision.load if decision else None,
        "ready": decision.ready_replicas if decision else None,
        "panic": decision.panic if decision else None,
        "at": decision.at_s if decision else seen.newest_s,
    }
