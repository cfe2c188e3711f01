import pytest

from scaler.check.triggers import triggers_in
from scaler.configuration import Configuration
from scaler.decision.policy import InferencePolicy
from scaler.errors import ConfigurationError

GOOD = """
kind: ScaledObject
metadata: {name: chat, namespace: llm}
spec:
  scaleTargetRef: {name: chat}
  triggers: [{type: external-push, metadata: {maxConcurrency: "10"}}]
"""
WRONG = """
kind: ScaledObject
metadata: {name: code}
spec:
  scaleTargetRef: {name: code}
  cooldownperiod: 3
  triggers: [{type: external, metadata: {maxConcurency: "10"}}]
"""
FOREIGN = """
kind: ScaledObject
metadata: {name: cron}
spec: {scaleTargetRef: {name: cron}, triggers: [{type: cron, metadata: {}}]}
"""


def test_the_triggers_of_all_files_are_read():
    triggers = triggers_in({"a.yaml": GOOD, "b.yaml": FOREIGN}, Configuration())

    assert list(triggers) == ["llm/chat"]
    assert triggers["llm/chat"].policy == InferencePolicy(max_concurrency=10)


def test_every_problem_of_every_file_comes_at_once():
    with pytest.raises(ConfigurationError) as caught:
        triggers_in({"a.yaml": GOOD, "b.yaml": WRONG}, Configuration())

    assert {problem.field: problem.allowed for problem in caught.value.problems} == {
        "default/code: spec.cooldownperiod": "did you mean cooldownPeriod?",
        "default/code: spec.triggers.metadata.maxConcurency": "did you mean maxConcurrency?",
    }


def test_nothing_of_ours_is_a_mistake():
    with pytest.raises(ConfigurationError, match=r"b\.yaml: holds no ScaledObject"):
        triggers_in({"b.yaml": FOREIGN}, Configuration())


def test_what_only_the_cluster_knows_cannot_be_decided_on():
    text = GOOD.replace('maxConcurrency: "10"', "maxConcurrencyFromEnv: MOST")

    with pytest.raises(ConfigurationError, match="maxConcurrencyFromEnv: got a value that only"):
        triggers_in({"a.yaml": text}, Configuration())


TARGET = "{apiVersion: apps/v1, kind: StatefulSet, name: llama}"


@pytest.mark.parametrize(
    ("more", "target"),
    [
        pytest.param("", ("StatefulSet", "llama"), id="the object's own target"),
        pytest.param('workload: "Deployment/x", ', ("Deployment", "x"), id="unless it is stated"),
    ],
)
def test_the_target_of_the_object_is_what_is_scaled(more, target):
    text = GOOD.replace("{name: chat}", TARGET, 1).replace(
        "maxConcurrency", f"{more}maxConcurrency"
    )

    workload = triggers_in({"a.yaml": text}, Configuration())["llm/chat"].workload

    assert (workload.kind, workload.name, workload.target_stated) == (*target, True)


SERVING = GOOD.replace("{name: chat}", "{apiVersion: x/v1, kind: Serving, name: chat}", 1)


def test_pods_of_a_kind_that_nobody_knows_are_told_by_a_selector():
    text = SERVING.replace("maxConcurrency", "selector: app=chat, maxConcurrency")

    assert triggers_in({"a.yaml": text}, Configuration())["llm/chat"].workload.kind == "Serving"


def test_without_one_the_target_is_what_is_wrong():
    with pytest.raises(ConfigurationError, match=r"llm/chat: spec\.scaleTargetRef: got 'Serving/"):
        triggers_in({"a.yaml": SERVING}, Configuration())
