"""
The answer for one object at one instant: a decision, or the error that stands in its place.

GetMetrics and IsActive of one poll, the push stream, the metrics and the status page all read the
same value. It is never a number in place of an error.
"""

import dataclasses
from collections.abc import Mapping

from scaler.decision.decision import Decision
from scaler.errors import ConfigurationError, KvtideError, NoDataError
from scaler.said import Said
from scaler.source import Trigger
from scaler.telemetry.observed import Observation

INVALID = "WrongMetadata"
"""Reason while the metadata of a trigger is wrong."""
NO_DATA = "NoData"
"""Reason while there is nothing fresh to decide on."""
INTERNAL = "InternalError"
"""Reason after a fault of this program."""


@dataclasses.dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Evaluation:
    """What is answered for ``namespace/name`` until the next evaluation."""

    namespace: str
    name: str
    trigger: Trigger | None
    """None: the metadata is wrong, and ``error`` says where."""
    decision: Decision | None = None
    error: KvtideError | None = None
    """Set where ``decision`` is None."""
    newest_s: float | None = None
    """Time of the newest sample that was ever decided on, Unix seconds."""
    evaluated_s: float
    seq: int
    """Grows with each change of the answer of this object."""
    in_flight: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Requests running and waiting in each replica that reports them, by the newest sample."""
    bounds: tuple[int, int | None] | None = None
    """Least and most replicas (None: no limit), where they are known."""
    before: Decision | None = None
    """The last answer with a count, where this one has none: for people, never for KEDA."""
    units: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Units of a borrower's pool by use, every use named; empty: there is no pool."""

    @property
    def answers(self) -> bool:
        """Whether there is a decision, and with a count."""
        return self.decision is not None and not self.decision.holds

    @property
    def last_count(self) -> Decision | None:
        """The decision, or the last one before it that had a count."""
        return self.decision if self.answers else self.before

    @property
    def answer(self) -> Decision:
        """
        The decision, with a count.

        Raises:
            KvtideError: what the client is told in place of a number. A decision to hold is a
                NoDataError with the whole chain of reasons.
        """
        if self.decision is not None and not self.decision.holds:
            return self.decision
        if self.decision is not None:
            raise NoDataError(
                Said("hold: {chain}", chain=_chain(self.decision)), newest_s=self.newest_s
            )
        if self.error is None:
            raise NoDataError(Said("nothing was evaluated yet"))
        raise self.error.again()

    @property
    def reason(self) -> str:
        """One word for what the client is told."""
        if self.decision is not None:
            return self.decision.reason.value
        if isinstance(self.error, ConfigurationError):
            return INVALID
        return NO_DATA if isinstance(self.error, NoDataError) else INTERNAL

    @property
    def observation(self) -> Observation:
        """The same, as metrics, logs and the status page show it."""
        return Observation(
            namespace=self.namespace,
            scaled_object=self.name,
            role=self.trigger.role.value if self.trigger else "unknown",
            decision=self.decision,
            reason=self.reason,
            detail=self.decision.detail if self.decision else self._said,
            newest_s=self.newest_s,
            evaluated_s=self.evaluated_s,
            error=self.error,
            bounds=self.bounds,
            before=self.before,
            units=self.units,
        )

    @property
    def _said(self) -> str:
        return "" if self.error is None else self.error.said

    def tells_the_same_as(self, other: "Evaluation | None") -> bool:
        """Whether a client would see no difference: count, reason, panic and what is wrong."""
        return other is not None and _told(self) == _told(other)


def _told(evaluation: Evaluation) -> tuple[object, ...]:
    decision, error = evaluation.decision, evaluation.error
    replicas = decision.replicas if decision else None
    panic = decision.panic if decision else None
    invalid = str(error) if isinstance(error, ConfigurationError) else None
    return (replicas, evaluation.reason, panic, invalid)


def _chain(decision: Decision) -> str:
    return "; ".join(f"{step.reason.value}: {step.detail}" for step in decision.steps)
