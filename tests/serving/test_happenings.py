"""What an owner is told of an object: what began or ended, and nothing else."""

import pytest

from scaler.decision.decision import Decision, Reason, Step
from scaler.errors import NoDataError
from scaler.serving.evaluation import Evaluation
from scaler.serving.happenings import happenings, reclaimed
from scaler.source import Role, Trigger, Workload
from tests.builders import inference, lending

WORKLOAD = Workload(namespace="llm", scaled_object="chat", kind="Deployment", name="chat")


def answered(
    replicas: int | None, reason: Reason = Reason.DEMAND, *, panic: bool = False, role="inference"
) -> Evaluation:
    rules = inference() if role == "inference" else lending()
    return Evaluation(
        namespace="llm",
        name="chat",
        trigger=Trigger(role=Role(role), workload=WORKLOAD, policy=rules),
        decision=Decision(at_s=0.0, steps=(Step(replicas, reason, "as told"),), panic=panic),
        evaluated_s=0.0,
        seq=1,
    )


SILENT = Evaluation(
    namespace="llm",
    name="chat",
    trigger=None,
    error=NoDataError("nothing fresh"),
    evaluated_s=0.0,
    seq=1,
)


def told(before: Evaluation | None, now: Evaluation) -> list[str]:
    return [one.reason for one in happenings(before, now)]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, answered(3, panic=True), []),
        (answered(3), answered(4), []),
        (answered(3), answered(6, Reason.PANIC, panic=True), ["PanicBegan"]),
        (answered(6, panic=True), answered(6, panic=True), []),
        (answered(6, panic=True), answered(5), ["PanicOver"]),
        (answered(6), answered(8, Reason.TOO_MANY_REPLICAS), ["MaximumReached"]),
        (answered(8, Reason.TOO_MANY_REPLICAS), answered(8, Reason.TOO_MANY_REPLICAS), []),
        (answered(3), answered(1, Reason.TOO_FEW_REPLICAS), ["MinimumReached"]),
        (answered(3), answered(3, Reason.HELD), ["DataLost"]),
        (answered(3, Reason.HELD), answered(None, Reason.NO_DATA), []),
        (answered(3), SILENT, ["DataLost"]),
        (SILENT, answered(3), ["DataBack"]),
        (answered(0, role="training"), answered(4, role="training"), ["LendingBegan"]),
        (answered(4, role="training"), answered(6, role="training"), []),
        (
            answered(4, role="training"),
            answered(0, Reason.RECLAIMED, role="training"),
            ["Reclaiming"],
        ),
        (answered(0), answered(4), []),
    ],
)
def test_what_is_told(before, now, expected):
    assert told(before, now) == expected


def test_the_note_has_the_numbers():
    [panic] = happenings(answered(3), answered(6, Reason.PANIC, panic=True))
    assert panic.note == "6 replicas wanted. as told"
    assert panic.warning


def test_a_reclaim_is_told_with_its_seconds():
    assert reclaimed(12.34).note == "all workers were gone after 12.3 s"
