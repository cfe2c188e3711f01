"""One decision at an instant, without a server."""

import pytest

from scaler.check.triggers import triggers_in
from scaler.configuration import Configuration
from scaler.decision.compose import lookback_s
from scaler.decision.decide import decide
from scaler.decision.decision import Decision, Reason
from scaler.decision.policy import Policy
from scaler.decision.pool import TierWindow
from scaler.decision.window import Window
from scaler.errors import NoDataError, NotServedError
from scaler.serving.compose import Subject
from scaler.serving.once import decide_once
from tests.builders import steady
from tests.fakes.fake_source import FakeSource

NOW_S = 10_000.0
OBJECTS = """
kind: ScaledObject
metadata: {name: chat, namespace: llm}
spec:
  scaleTargetRef: {name: chat}
  triggers:
  - type: external-push
    metadata:
      {scalerAddress: "kvtide:6000", metrics: concurrency, maxConcurrency: "10", forecast: "off"}
---
kind: ScaledObject
metadata: {name: train, namespace: batch}
spec:
  scaleTargetRef: {name: train, kind: ReclaimableJob}
  triggers:
  - type: external
    metadata:
      {scalerAddress: "kvtide:6000", role: training, poolUnits: "8", poolWorkloads: llm/chat}
"""


def rules(subject: Subject, policy: Policy) -> Decision:
    assert not isinstance(subject, TierWindow)
    return decide(subject, policy)


TRIGGERS = triggers_in({"objects.yaml": OBJECTS}, Configuration())


@pytest.fixture
def source() -> FakeSource:
    made = FakeSource()
    made.windows["llm/chat"] = steady(3600, running=14, replicas=2, end_s=NOW_S)
    return made


async def test_one_workload_is_decided_on_as_the_server_would(source):
    decision = await decide_once("llm/chat", TRIGGERS, source=source, decide=rules, at_s=NOW_S)

    window = source.windows["llm/chat"]
    assert isinstance(window, Window)
    assert decision == decide(window, TRIGGERS["llm/chat"].policy)
    assert decision.replicas == 2


async def test_a_pool_is_composed_of_the_objects_beside_it(source):
    decision = await decide_once("batch/train", TRIGGERS, source=source, decide=rules, at_s=NOW_S)

    assert decision.reason is not Reason.MEMBER_UNKNOWN
    assert decision.load == pytest.approx(1.4 / 8)


async def test_every_trigger_is_read_as_far_back_as_any_needs(source):
    await decide_once("llm/chat", TRIGGERS, source=source, decide=rules, at_s=NOW_S)

    assert {keys for keys, _ in source.reads} == {("llm/chat", "batch/train")}
    assert {lookback_s for _, lookback_s in source.reads} == {
        lookback_s(TRIGGERS["llm/chat"].policy)
    }


async def test_silence_is_no_decision(source):
    del source.windows["llm/chat"]

    with pytest.raises(NoDataError):
        await decide_once("llm/chat", TRIGGERS, source=source, decide=rules, at_s=NOW_S)


async def test_another_object_is_none_of_them(source):
    with pytest.raises(NotServedError, match="llm/code is none of llm/chat, batch/train"):
        await decide_once("llm/code", TRIGGERS, source=source, decide=rules, at_s=NOW_S)
