"""
What happened to an object, in the words that its owner reads in ``kubectl describe``.

A change of the count alone is no happening: the HPA tells of those itself.
"""

import dataclasses
from collections.abc import Callable, Iterator

from scaler.decision.decision import Decision, Reason
from scaler.source import Role

from .evaluation import Evaluation

_BOUNDS = {
    Reason.TOO_MANY_REPLICAS: "MaximumReached",
    Reason.TOO_FEW_REPLICAS: "MinimumReached",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that began or ended."""

    reason: str
    """One word, spelled like Kubernetes' reasons."""
    note: str
    """A sentence with the numbers."""
    warning: bool = False


Tell = Callable[[str, str, Happening], None]
"""Takes what happened to a ScaledObject (namespace, name); it neither waits nor fails."""


def happenings(before: Evaluation | None, now: Evaluation) -> Iterator[Happening]:
    """
    Yield what one answer after another means for people.

    After nothing there is no news: what stood before a restart was told then.
    """
    if before is None:
        return
    yield from _data(before, now)
    if before.decision is None or now.decision is None:
        return
    yield from _panic(before.decision, now.decision)
    if now.trigger is not None and now.trigger.role is Role.TRAINING:
        yield from _lending(before.decision, now.decision)
    bound = _BOUNDS.get(now.decision.reason)
    if bound is not None and before.decision.reason is not now.decision.reason:
        too_many = now.decision.reason is Reason.TOO_MANY_REPLICAS
        yield Happening(reason=bound, note=_why(now), warning=too_many)


def reclaimed(seconds: float) -> Happening:
    """Return what is told when the last worker was seen to be gone."""
    return Happening(reason="Reclaimed", note=f"all workers were gone after {seconds:.1f} s")


def _data(before: Evaluation, now: Evaluation) -> Iterator[Happening]:
    was_lost, is_lost = _is_lost(before), _is_lost(now)
    if is_lost and not was_lost:
        yield Happening(reason="DataLost", note=_why(now), warning=True)
    elif was_lost and not is_lost:
        yield Happening(reason="DataBack", note=f"there are readings again. {_why(now)}")


def _is_lost(one: Evaluation) -> bool:
    """Whether the newest readings decide nothing: KEDA keeps what is, or what stood goes on."""
    return not one.answers or (one.decision is not None and one.decision.reason is Reason.HELD)


def _panic(before: Decision, now: Decision) -> Iterator[Happening]:
    if now.panic and not before.panic:
        yield Happening(reason="PanicBegan", note=_sentence(now), warning=True)
    elif before.panic and not now.panic:
        yield Happening(reason="PanicOver", note=_sentence(now))


def _lending(before: Decision, now: Decision) -> Iterator[Happening]:
    if before.replicas is None or now.replicas is None:
        return
    if not before.active and now.active:
        yield Happening(reason="LendingBegan", note=f"{now.replicas} workers. {now.detail}")
    elif before.active and not now.active:
        yield Happening(reason="Reclaiming", note=f"{before.replicas} workers. {now.detail}")


def _sentence(decision: Decision) -> str:
    return f"{decision.replicas} replicas wanted. {decision.detail}"


def _why(one: Evaluation) -> str:
    decision = one.decision
    return _sentence(decision) if decision and one.answers else one.observation.detail
