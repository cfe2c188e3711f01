"""What is kept of objects as a real API server holds them."""

import datetime as dt

import pytest

from scaler.readings.attribution import Owner
from scaler.readings.kubernetes import objects
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.manifest import Refusal
from tests.readings.kubernetes.recorded import recorded


def seconds(text):
    return dt.datetime.fromisoformat(text).timestamp()


def test_a_ready_pod():
    found = objects.pod(recorded("Pod"))
    assert found.created_s == seconds("2026-11-24T18:39:59Z")
    assert found.ready_since_s == seconds("2026-11-24T18:40:00Z")
    assert (found.unschedulable, found.leaving, found.ended) == (False, False, False)
    assert found.owner == Owner(kind="ReplicaSet", name="llm-585bbb6795")
    assert (found.node, found.units) == ("fake-0", {"nvidia.com/gpu": 2})


def test_a_pod_without_a_node_and_one_on_its_way_out():
    waiting, leaving = recorded("Pod"), recorded("Pod")
    waiting["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    ]
    leaving["metadata"]["deletionTimestamp"] = "2026-11-24T18:50:00Z"
    assert objects.pod(waiting).unschedulable
    assert objects.pod(waiting).ready_since_s is None
    assert objects.pod(leaving).leaving


def test_a_deployments_replicas_and_what_its_pods_will_ask_for():
    found = objects.counts(recorded("Deployment"))
    assert (found.spec, found.exist, found.ready) == (2, 2, 2)
    assert found.units == {"nvidia.com/gpu": 2}


def test_a_status_that_leaves_replicas_out_says_none():
    at_zero = recorded("Deployment")
    at_zero["spec"]["replicas"], at_zero["status"] = 0, {"observedGeneration": 3}
    found = objects.counts(at_zero)
    assert (found.spec, found.exist, found.ready) == (0, 0, 0)


def test_a_rollout_is_counted_as_a_deployment_is():
    status = {"replicas": 3, "readyReplicas": 2, "HPAReplicas": 3}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llm"}
    rollout = {"spec": {"replicas": 4, "workloadRef": reference}, "status": status}
    assert objects.counts(rollout) == objects.Counts(spec=4, exist=3, ready=2)


def test_a_worker_that_exists_holds_its_gpus():
    found = objects.workers({"spec": {"replicas": 8}, "status": {"replicas": 3}})
    assert (found.spec, found.exist, found.ready) == (8, 3, 3)


def test_a_scaled_object_that_is_being_deleted_is_not_there():
    """KEDA holds it by a finalizer for a while."""
    known, manifest = KnownCluster(), recorded("ScaledObject")
    named, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
    address = manifest["spec"]["triggers"][0]["metadata"]["scalerAddress"]
    for leaving in (False, True):
        if leaving:
            manifest["metadata"]["deletionTimestamp"] = "2026-11-24T18:50:00Z"
        known.scaled_objects.take({(namespace, named): objects.scaled_object(manifest)})
        assert known.there(namespace, named) is not leaving
        assert [one[1] for one in known.triggers_of({address})] == [named] * (not leaving)
        assert [one[1] for one in known.triggers_elsewhere(set())] == [named] * (not leaving)


def test_a_scaled_object():
    found = objects.scaled_object(recorded("ScaledObject"))
    assert (found.kind, found.name, found.hpa) == ("Deployment", "llm", "keda-hpa-chat")
    assert (found.min_replicas, found.max_replicas, found.paused) == (2, 6, False)
    assert found.triggers == ({"scalerAddress": "kvtide:6000", "maxConcurrency": "10"},)


@pytest.mark.parametrize(
    ("note", "paused"),
    [
        ({"autoscaling.keda.sh/paused": "true"}, True),
        ({"autoscaling.keda.sh/paused": ""}, True),
        ({"autoscaling.keda.sh/paused": "false"}, False),
        ({"autoscaling.keda.sh/paused-replicas": "0"}, True),
        ({"autoscaling.keda.sh/paused-scale-out": "true"}, False),
    ],
    ids=["paused", "no false is a pause", "not paused", "held at a count", "one way only"],
)
def test_a_pause_is_an_annotation(note, paused):
    manifest = recorded("ScaledObject")
    manifest["metadata"]["annotations"] = note
    assert objects.scaled_object(manifest).paused is paused


@pytest.mark.parametrize(("text", "switched"), [("true", True), ("", True), ("false", False)])
def test_scale_in_and_scale_out_are_paused_each_for_itself(text, switched):
    manifest = recorded("ScaledObject")
    for way, other in (("in", "out"), ("out", "in")):
        manifest["metadata"]["annotations"] = {f"autoscaling.keda.sh/paused-scale-{way}": text}
        found = objects.scaled_object(manifest)
        assert getattr(found, f"scale_{way}_paused") is switched
        assert getattr(found, f"scale_{other}_paused") is False
        assert found.paused is False


@pytest.mark.parametrize(
    ("behavior", "tolerance"),
    [
        ({"scaleUp": {"tolerance": "0"}, "scaleDown": {"tolerance": "0"}}, 0.0),
        ({"scaleUp": {"tolerance": "50m"}, "scaleDown": {"tolerance": "0"}}, 0.05),
        ({"scaleUp": {"tolerance": "0"}}, 0.1),
        (None, 0.1),
    ],
    ids=["ours", "the larger of the two", "one direction without", "dropped by an old Kubernetes"],
)
def test_the_dead_band_is_the_one_that_the_api_kept(behavior, tolerance):
    manifest = recorded("HorizontalPodAutoscaler")
    assert objects.autoscaler(manifest).tolerance == 0
    manifest["spec"]["behavior"] = behavior
    assert objects.autoscaler(manifest).tolerance == tolerance


@pytest.mark.parametrize(
    ("spec", "status", "seconds"),
    [
        ({}, {}, None),
        ({"checkpointGracePeriodSeconds": 45}, {}, 45.0),
        ({"checkpointGracePeriodSeconds": 45}, {"reclaimSeconds": [0.6, 12.5, 9]}, 12.5),
    ],
    ids=["nothing is known", "before the first: its grace", "the longest of the last"],
)
def test_a_borrower_is_reclaimed_as_fast_as_before(spec, status, seconds):
    found = objects.workers({"spec": {"replicas": 2, **spec}, "status": {"replicas": 2, **status}})
    assert found.reclaim_s == seconds


def test_a_node_has_whole_extended_resources():
    found = objects.node(recorded("Node"))
    assert found.units == {"nvidia.com/gpu": 8}
    assert (found.cordoned, found.ready, found.leaving) == (False, True, None)


def test_a_node_that_its_autoscaler_takes_away():
    manifest = recorded("Node")
    manifest["spec"] = {
        "unschedulable": True,
        "taints": [
            {"key": "nvidia.com/gpu", "effect": "NoSchedule"},
            {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"},
        ],
    }
    found = objects.node(manifest)
    assert (found.cordoned, found.leaving) == (True, "ToBeDeletedByClusterAutoscaler")


@pytest.mark.parametrize(
    ("text", "value"),
    [("8", 8), ("100m", 0.1), ("2k", 2000), ("4Gi", 4 * 2**30), (3, 3), ("0", 0)],
)
def test_quantities(text, value):
    assert objects.quantity(text) == pytest.approx(value)


WRITTEN = {"scalerAddress": "kvtide:6000", "workload": "llm"}
RESOLVED = {"scalerAddress": "kvtide:6000", "workloadFromEnv": "TARGET"}


@pytest.mark.parametrize(
    ("triggers", "asked_with", "counts"),
    [
        pytest.param([WRITTEN], WRITTEN, WRITTEN, id="as it is written"),
        pytest.param([WRITTEN], {"workload": "other"}, WRITTEN, id="somebody's"),
        pytest.param([WRITTEN], {**WRITTEN, "workload": "other"}, WRITTEN, id="of another day"),
        pytest.param(
            [{"scalerAddress": "a:1"}, WRITTEN],
            {**WRITTEN, "workload": "other"},
            WRITTEN,
            id="of several the one with its address",
        ),
        pytest.param([{"scalerAddress": "a:1"}, WRITTEN], {"workload": "x"}, None, id="of none"),
        pytest.param(
            [RESOLVED],
            {**RESOLVED, "workloadFromEnv": "llm"},
            {**RESOLVED, "workloadFromEnv": "llm"},
            id="resolved",
        ),
        pytest.param(
            [RESOLVED],
            {"scalerAddress": "kvtide:6000"},
            {"scalerAddress": "kvtide:6000"},
            id="a variable that is not set",
        ),
        pytest.param([RESOLVED], WRITTEN, None, id="not what is resolved"),
    ],
)
def test_of_a_trigger_what_the_cluster_has_counts(triggers, asked_with, counts):
    known, manifest = KnownCluster(), recorded("ScaledObject")
    manifest["spec"]["triggers"] = [{"type": "external", "metadata": one} for one in triggers]
    assert known.metadata_of("serve", "chat", asked_with) == asked_with  # not heard yet
    known.scaled_objects.take({("serve", "chat"): objects.scaled_object(manifest)})
    assert known.metadata_of("serve", "chat", asked_with) == counts
    known.scaled_objects.lose(Refusal(status=None, message="gone"))
    assert known.metadata_of("serve", "chat", asked_with) == asked_with


def test_of_other_namespaces_than_the_one_that_is_watched_nothing_is_said():
    for namespace, there in ((None, False), ("serve", False), ("other", None)):
        known = KnownCluster(namespace)
        known.scaled_objects.take({})
        assert known.there("serve", "chat") is there


def test_a_scaled_object_without_an_external_trigger_asks_nobody():
    known, manifest = KnownCluster(), recorded("ScaledObject")
    manifest["spec"]["triggers"] = [{"type": "cron", "metadata": {"start": "0 6 * * *"}}]
    known.scaled_objects.take({("serve", "chat"): objects.scaled_object(manifest)})
    assert known.there("serve", "chat") is False
