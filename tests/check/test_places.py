"""Where a finding stands: the line of the field, or of what it would stand in."""

from scaler.check.files import check
from scaler.check.findings import findings_json, findings_text
from scaler.configuration import Configuration

TEXT = """\
apiVersion: v1
kind: List
items:
- apiVersion: keda.sh/v1alpha1
  kind: ScaledObject
  metadata:
    name: chat
    namespace: llm
  spec:
    scaleTargetRef:
      name: chat
    minReplicaCount: 1
    maxReplicaCount: 4
    cooldownPerod: 60
    triggers:
    - type: prometheus
      metadata: {query: x}
    - type: external-push
      metadata:
        scalerAddress: kvtide:6000
        maxConcurency: "16"
"""


def found():
    return check({"chat.yaml": TEXT}, Configuration())


def lines() -> dict[str, tuple[int | None, str]]:
    return {one.field: (one.line, one.trigger) for one in found().findings}


def test_a_field_has_the_line_of_its_key():
    assert lines()["spec.triggers.metadata.maxConcurency"] == (21, "2 (external-push)")


def test_a_misspelt_key_of_the_object_has_its_line():
    assert lines()["spec.cooldownPerod"] == (14, "")


def test_what_is_not_there_has_the_line_of_what_it_would_stand_in():
    absent = [line for field, (line, _) in lines().items() if field.startswith("spec.advanced")]
    assert absent
    assert set(absent) == {9}


def test_the_text_can_be_clicked_and_the_json_has_it_too():
    text = findings_text(found())
    assert "chat.yaml:21: trigger 2 (external-push): spec.triggers.metadata.maxConcurency" in text
    wrong = next(
        one for one in findings_json(found())["findings"] if one["field"].endswith("maxConcurency")
    )
    assert (wrong["file"], wrong["line"], wrong["trigger"]) == (
        "chat.yaml",
        21,
        "2 (external-push)",
    )
