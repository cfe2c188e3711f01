"""What an object's page holds its load against."""

import dataclasses

import pytest

from scaler.decision.foresight import with_outlook
from scaler.decision.policy import InferencePolicy
from scaler.source import Role, Trigger, Workload
from scaler.wiring.gathering import limits_of
from tests.golden.histories import samples, window

POLICY = InferencePolicy(max_concurrency=10, lead_time_s=60.0)
WORKLOAD = Workload(namespace="prod", scaled_object="llm", name="llm")


@pytest.mark.parametrize("stated", [None, 0.6])
def test_the_lines_of_a_plot_are_where_the_target_is_now(stated):
    policy = dataclasses.replace(POLICY, target_utilization=stated)
    known = with_outlook(window(samples(14, 400), 260), policy, 60.0)
    trigger = Trigger(role=Role.INFERENCE, workload=WORKLOAD, policy=policy)

    limits = limits_of(trigger, known)

    assert known.foreseen is not None
    acts = known.foreseen.policy.effective_target_utilization
    assert limits.target == acts == (stated or pytest.approx(0.8))
    assert limits.panic_from == pytest.approx(2 * acts)
    assert limits_of(trigger, None).target == (stated or 0.7)
