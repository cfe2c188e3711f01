"""Which ScaledObjects ask for the fast path, and what forbids it."""

from typing import Any

import pytest

from scaler.controller.fast.target import Target, target
from tests.controller.fast.scaled import scaled_object


def asked(manifest: dict[str, Any]) -> Target:
    found = target(manifest)
    assert found is not None
    return found


def test_what_keda_assumes_is_assumed():
    found = asked(scaled_object())
    assert (found.api_version, found.kind, found.name) == ("apps/v1", "Deployment", "chat")
    assert (found.min_replicas, found.max_replicas) == (0, 100)
    assert found.hindrance is None


def test_what_is_stated_is_taken():
    ref = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "engine"}
    found = asked(scaled_object(scaleTargetRef=ref, minReplicaCount=2, maxReplicaCount=7))
    assert (found.kind, found.name) == ("StatefulSet", "engine")
    assert (found.min_replicas, found.max_replicas) == (2, 7)


@pytest.mark.parametrize(
    "trigger",
    [
        {"type": "external-push", "metadata": {}},
        {"type": "external-push"},
        {"type": "external", "metadata": {"fastPath": "false"}},
        {"type": "prometheus", "metadata": {"fastPath": "true"}},
    ],
    ids=["not said", "no metadata", "said no", "another scaler's"],
)
def test_who_does_not_ask_is_left_alone(trigger):
    assert target(scaled_object(triggers=[trigger])) is None


@pytest.mark.parametrize(
    "metadata", [{"fastPath": "true"}, {"fastPathFromEnv": "FAST"}], ids=["stated", "from env"]
)
def test_who_may_ask_is_followed(metadata):
    triggers = [{"type": "cpu"}, {"type": "external", "metadata": metadata}]
    assert target(scaled_object(triggers=triggers)) is not None


HPA = {"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}}


@pytest.mark.parametrize(
    ("why", "manifest"),
    [
        ("annotation autoscaling.keda.sh/paused", scaled_object(notes={"paused": "true"})),
        ("annotation autoscaling.keda.sh/paused", scaled_object(notes={"paused": "yes"})),
        (
            "annotation autoscaling.keda.sh/paused-replicas",
            scaled_object(notes={"paused-replicas": "0"}),
        ),
        (
            "annotation autoscaling.keda.sh/paused-scale-out",
            scaled_object(notes={"paused-scale-out": "true"}),
        ),
        ("it is not Ready", scaled_object(ready="False")),
        ("it is not Ready", scaled_object(ready="Unknown")),
        ("it is not Ready", {**scaled_object(), "status": {}}),
        ("scaleUp.selectPolicy Disabled", scaled_object(advanced=HPA)),
        ("scalingModifiers", scaled_object(advanced={"scalingModifiers": {"formula": "a + b"}})),
        ("metricType Value", scaled_object(metricType="Value")),
    ],
    ids=[
        "paused",
        "paused in other words",
        "paused at a count",
        "paused on the way out",
        "not ready",
        "perhaps ready",
        "new",
        "may not scale up",
        "a formula decides",
        "another count",
    ],
)
def test_what_forbids_it(why, manifest):
    assert why in (asked(manifest).hindrance or "")


def test_a_deleted_object_is_left_alone():
    manifest = scaled_object()
    manifest["metadata"]["deletionTimestamp"] = "2026-09-01T00:00:00Z"
    assert asked(manifest).hindrance == "it is being deleted"


@pytest.mark.parametrize("note", ["paused", "paused-scale-out"])
def test_a_pause_that_was_switched_off_does_not_forbid_it(note):
    assert asked(scaled_object(notes={note: "false"})).hindrance is None


def test_a_pause_on_the_way_in_does_not_forbid_it():
    assert asked(scaled_object(notes={"paused-scale-in": "true"})).hindrance is None
