"""``check`` of more than people write: what it costs grows with the text, and no faster."""

import json
from typing import Any

import pytest

from scaler.check.files import check
from scaler.configuration import Configuration

SPEC: dict[str, Any] = {
    "scaleTargetRef": {"name": "chat"},
    "minReplicaCount": 1,
    "maxReplicaCount": 8,
    "triggers": [{"type": "external-push", "metadata": {"scalerAddress": "kvtide:6000"}}],
}
WELL = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "chat", "namespace": "llm"},
    "spec": SPEC,
}


def text(**more: object) -> str:
    return json.dumps({**WELL, **more})  # JSON is YAML


def named(number: int) -> str:
    return text(
        metadata={"name": f"chat-{number}", "namespace": "llm"},
        spec={**SPEC, "scaleTargetRef": {"name": f"chat-{number}"}},
    )


def test_a_thousand_documents_are_all_looked_at():
    checked = check({"x.yaml": "\n---\n".join(map(named, range(1000)))}, Configuration())

    assert len(checked.objects) == 1000
    assert checked.errors == 0


def test_thousands_of_wrong_keys_are_told_in_bounded_time_and_each_once():
    spec = {**SPEC, **{f"minReplicaCoun{number}": 1 for number in range(20_000)}}

    checked = check({"x.yaml": text(spec=spec)}, Configuration())

    assert checked.errors == 20_000
    guessed = [finding for finding in checked.findings if "did you mean" in finding.why]
    assert 0 < len(guessed) <= 100


def test_thousands_of_keys_of_metadata_are_one_problem():
    metadata = {f"maxReplica{number}": "1" for number in range(20_000)}
    spec = {**SPEC, "triggers": [{"type": "external-push", "metadata": metadata}]}

    checked = check({"x.yaml": text(spec=spec)}, Configuration())

    assert "got 20000 keys; allowed: at most 256" in {found.why for found in checked.findings}


@pytest.mark.parametrize("items", [5, "x", {"a": 1}, [5, None, "x"], None])
def test_a_list_of_anything_is_looked_through(items):
    texts = {"x.yaml": json.dumps({"kind": "List", "items": items}) + "\n---\n" + text()}

    assert check(texts, Configuration()).objects == ("llm/chat",)


@pytest.mark.parametrize("name", [{"a": ["x"] * 1000}, "n" * 10_000, "a\nb", 5, None])
def test_an_object_of_any_name_is_named_on_one_short_line(name):
    checked = check({"x.yaml": text(metadata={"name": name})}, Configuration())

    assert all("\n" not in finding.object for finding in checked.findings)
    assert all(len(finding.object) < 200 for finding in checked.findings)
