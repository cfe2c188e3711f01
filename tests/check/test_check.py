import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.check.files import check
from scaler.check.findings import findings_json, findings_text
from scaler.configuration import Configuration, Pool
from scaler.errors import ConfigurationError
from tests.check.check_manifests import (
    ABSENT,
    BEHAVIOR,
    CHAT,
    HOUSE,
    TRAIN,
    changed,
    checked,
    metadata,
)


@pytest.mark.parametrize("document", [CHAT, TRAIN], ids=["inference", "training"])
def test_a_manifest_as_it_should_be_has_no_findings(document):
    assert checked(document, configuration=Configuration()).findings == ()


@pytest.mark.parametrize(
    ("document", "changes", "level", "field", "why"),
    [
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleDown.stabilizationWindowSeconds": ABSENT},
            "warning",
            f"spec.{BEHAVIOR}.scaleDown.stabilizationWindowSeconds",
            "300 s comes after kvtide's own scaleDownDelay",
            id="the HPA's default window comes on top of ours",
        ),
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleDown.stabilizationWindowSeconds": 120},
            "warning",
            f"spec.{BEHAVIOR}.scaleDown.stabilizationWindowSeconds",
            "120 s comes after",
            id="a stated window comes on top of ours",
        ),
        pytest.param(
            CHAT,
            {"advanced": ABSENT},
            "warning",
            f"spec.{BEHAVIOR}",
            "waits 300 s before any scale-down",
            id="no behaviour at all",
        ),
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleUp.stabilizationWindowSeconds": 30},
            "warning",
            f"spec.{BEHAVIOR}.scaleUp.stabilizationWindowSeconds",
            "delays every scale-up",
            id="a window before scaling up",
        ),
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleUp.policies": ABSENT},
            "warning",
            f"spec.{BEHAVIOR}.scaleUp.policies",
            "4 pods or 100 % per 15 s",
            id="no policies: the HPA's default limits",
        ),
        pytest.param(
            CHAT,
            {
                f"{BEHAVIOR}.scaleUp.policies": [
                    {"type": "Pods", "value": 1, "periodSeconds": 60},
                ]
            },
            "warning",
            f"spec.{BEHAVIOR}.scaleUp.policies",
            "narrower than the HPA's default",
            id="one pod a minute",
        ),
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleUp.selectPolicy": "Min"},
            "warning",
            f"spec.{BEHAVIOR}.scaleUp.selectPolicy",
            "a panic cannot scale out",
            id="the narrowest policy rules",
        ),
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleDown.selectPolicy": "Disabled"},
            "warning",
            f"spec.{BEHAVIOR}.scaleDown.selectPolicy",
            "never scales down",
            id="scale-down disabled",
        ),
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleUp.tolerance": ABSENT},
            "warning",
            f"spec.{BEHAVIOR}.scaleUp.tolerance",
            "swallows a step of one",
            id="the HPA's dead band on the way up",
        ),
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleDown.tolerance": "50m"},
            "warning",
            f"spec.{BEHAVIOR}.scaleDown.tolerance",
            "swallows a step of one",
            id="a stated dead band on the way down",
        ),
        pytest.param(
            CHAT,
            {f"{BEHAVIOR}.scaleDown.tolerance": "none"},
            "warning",
            f"spec.{BEHAVIOR}.scaleDown.tolerance",
            "swallows a step of one",
            id="a dead band that is no quantity",
        ),
        pytest.param(
            CHAT,
            metadata(metrics="gpu-memory"),
            "error",
            "spec.triggers.metadata.metrics",
            "allocates its KV cache at start-up",
            id="GPU memory of an engine that takes it all at once",
        ),
        pytest.param(
            CHAT,
            metadata(metrics="gpu-memory", engine="house"),
            "warning",
            "spec.triggers.metadata.metrics",
            "sees load late",
            id="GPU memory of an engine that grows",
        ),
        pytest.param(
            CHAT,
            metadata(metrics="gpu-utilization"),
            "error",
            "spec.triggers.metadata.metrics",
            "alone never scales",
            id="GPU utilisation alone",
        ),
        pytest.param(
            CHAT,
            metadata(burst="absorb", forecast="trend"),
            "warning",
            "spec.triggers.metadata.burst",
            "rests on forecast: rise, and forecast is trend",
            id="a burst that nothing foresees",
        ),
        pytest.param(
            CHAT,
            metadata(engine="llamacpp", itlTarget="100ms@p99"),
            "warning",
            "spec.triggers.metadata.itlTarget",
            "p99 of inter-token latency: llamacpp shows no histogram",
            id="a percentile that the engine does not count",
        ),
        pytest.param(
            CHAT,
            metadata(engine="llamacpp", ttftTarget="2s@p99"),
            "warning",
            "spec.triggers.metadata.ttftTarget",
            "p99 of time to first token: llamacpp shows no histogram",
            id="a percentile of the first token that the engine does not count",
        ),
        pytest.param(
            CHAT,
            metadata(metrics="rps", rpsTarget="5"),
            "warning",
            "spec.triggers.metadata.metrics",
            "differ a thousandfold in cost",
            id="requests per second of a generative engine",
        ),
        pytest.param(
            CHAT,
            {"fallback": {"failureThreshold": 3, "replicas": 0}},
            "error",
            "spec.fallback.replicas",
            "falls through to zero",
            id="fallback to zero on inference",
        ),
        pytest.param(
            CHAT,
            {"fallback": {"failureThreshold": 3, "replicas": 6}},
            "warning",
            "spec.fallback",
            "a larger fleet shrinks to 6",
            id="a static fallback shrinks a fleet that only lost its metrics",
        ),
        pytest.param(
            TRAIN,
            {"fallback": {"failureThreshold": 3, "replicas": 1}},
            "error",
            "spec.fallback",
            "on a training object",
            id="any fallback on training",
        ),
        pytest.param(
            CHAT,
            {"triggers.0.useCachedMetrics": True},
            "warning",
            "spec.triggers.useCachedMetrics",
            "up to 15 s old",
            id="cached metrics",
        ),
        pytest.param(
            CHAT,
            {"triggers.0.metricType": "Value"},
            "error",
            "spec.triggers.metricType",
            "AverageValue",
            id="a metric type that multiplies by ready pods",
        ),
        pytest.param(
            TRAIN,
            {"cooldownPeriod": 600},
            "warning",
            "spec.cooldownPeriod",
            "up to 605 s",
            id="a long wait before GPUs come back",
        ),
        pytest.param(
            TRAIN,
            {"cooldownPeriod": 60},
            "warning",
            "spec.cooldownPeriod",
            "without readings, and without the Kubernetes API, kvtide has no answer for up to",
            id="a wait that an outage outlasts while the controller reclaims",
        ),
        pytest.param(
            TRAIN,
            {"cooldownPeriod": 0},
            "error",
            "spec.cooldownPeriod",
            "0 with minReplicaCount 0: KEDA 2.20 may read one answer without data as inactive",
            id="no wait before zero",
        ),
        pytest.param(
            CHAT,
            {"minReplicaCount": 0, "cooldownPeriod": 0, **metadata(gateway="istio")},
            "error",
            "spec.cooldownPeriod",
            "at once. State cooldownPeriod: 60 or more",
            id="no wait before zero on inference",
        ),
        pytest.param(
            CHAT,
            {
                "minReplicaCount": 0,
                "cooldownPeriod": 0,
                "triggers.0.useCachedMetrics": True,
                **metadata(gateway="istio", holdFor="2m"),
            },
            "warning",
            "spec.triggers.metadata.holdFor",
            "State holdFor: 30m, or minReplicaCount: 1",
            id="a cache alone before zero on inference",
        ),
        pytest.param(
            TRAIN,
            {
                "minReplicaCount": 4,
                "idleReplicaCount": 0,
                "cooldownPeriod": 0,
                **metadata(minWorkers="4"),
            },
            "error",
            "spec.cooldownPeriod",
            "0 with idleReplicaCount 0",
            id="no wait before the idle count",
        ),
        pytest.param(
            TRAIN,
            {"cooldownPeriod": 20},
            "warning",
            "spec.cooldownPeriod",
            "20 with minReplicaCount 0",
            id="a wait before zero that an outage outlasts",
        ),
        pytest.param(
            CHAT,
            {"minReplicaCount": 0, **metadata(gateway="istio", holdFor="5m")},
            "warning",
            "spec.triggers.metadata.holdFor",
            "300 s: once readings are gone for that long and cooldownPeriod (300) besides",
            id="an error while there is something to lose",
        ),
        pytest.param(
            TRAIN,
            {"scaleTargetRef": {"name": "train"}, **metadata(workload="Deployment/train")},
            "warning",
            "spec.cooldownPeriod",
            "up to 305 s (pollingInterval 5 + cooldownPeriod 300) to reach zero, since it ignores "
            "a pushed false. State pollingInterval: 5 and cooldownPeriod: 0 with useCachedMetrics",
            id="a wait before zero that no controller shortens",
        ),
        pytest.param(
            TRAIN,
            {"pollingInterval": 60},
            "warning",
            "spec.cooldownPeriod",
            "pollingInterval 60",
            id="polls too far apart for a reclaim",
        ),
        pytest.param(
            TRAIN,
            {"minReplicaCount": 1},
            "error",
            "spec.minReplicaCount",
            "never all come back",
            id="training that never reaches zero",
        ),
        pytest.param(
            TRAIN,
            {"minReplicaCount": 4, "idleReplicaCount": 0, **metadata(minWorkers="2")},
            "error",
            "spec.triggers.metadata.minWorkers",
            "raises an answer of 2 to 4 workers",
            id="a gang that the HPA fills up",
        ),
        pytest.param(
            TRAIN,
            metadata(poolWorkloads="llm/chat,llm/train"),
            "error",
            "spec.triggers.metadata.poolWorkloads",
            "is the borrower itself",
            id="a pool whose load is the borrower",
        ),
        pytest.param(
            CHAT,
            {
                "triggers": [*CHAT["spec"]["triggers"], *CHAT["spec"]["triggers"]],
            },
            "error",
            "spec.triggers",
            "2 external triggers",
            id="two triggers of ours",
        ),
        pytest.param(
            CHAT,
            {
                "triggers": [
                    *CHAT["spec"]["triggers"],
                    {"type": "cron", "metadata": {"desiredReplicas": "2"}},
                ]
            },
            "warning",
            "spec.triggers",
            "the HPA takes the largest",
            id="another trigger beside ours",
        ),
        pytest.param(
            CHAT,
            {"minReplicaCount": 0},
            "error",
            "spec.minReplicaCount",
            "never sees the request that should wake it",
            id="zero without anything that wakes it",
        ),
        pytest.param(
            CHAT,
            {
                "minReplicaCount": 0,
                **metadata(gateway="dynamo", gatewaySelector="model=m"),
            },
            "error",
            "spec.minReplicaCount",
            "without a worker the frontend answers 404 and counts nothing",
            id="zero behind a gateway that shows no request then",
        ),
        pytest.param(
            CHAT,
            {
                "minReplicaCount": 0,
                "triggers.0.type": "external",
                **metadata(gateway="edge", gatewaySelector="zone=chat"),
            },
            "warning",
            "spec.triggers.type",
            "wakes from zero at the next poll (15 s)",
            id="waking by poll",
        ),
        pytest.param(
            CHAT,
            {
                "minReplicaCount": 3,
                "idleReplicaCount": 0,
                **metadata(gateway="edge", gatewaySelector="zone=chat"),
            },
            "warning",
            "spec.idleReplicaCount",
            "starts minReplicaCount (3) replicas at once",
            id="a jump from zero",
        ),
        pytest.param(
            TRAIN,
            {"idleReplicaCount": 0},
            "error",
            "spec.idleReplicaCount",
            "below minReplicaCount (0)",
            id="idle count that KEDA refuses",
        ),
        pytest.param(
            CHAT,
            {"minReplicaCount": 30},
            "error",
            "spec.minReplicaCount",
            "30 is above maxReplicaCount (20)",
            id="minimum above maximum",
        ),
        pytest.param(
            CHAT,
            {"maxReplicaCount": ABSENT},
            "warning",
            "spec.maxReplicaCount",
            "KEDA's default is 100 replicas",
            id="no maximum",
        ),
        pytest.param(
            CHAT,
            metadata(maxReplicas="40"),
            "warning",
            "spec.triggers.metadata.maxReplicas",
            "40 is above what KEDA allows (maxReplicaCount 20)",
            id="a maximum that KEDA cuts",
        ),
        pytest.param(
            CHAT,
            metadata(maxNumSeqs="256"),
            "warning",
            "spec.triggers.metadata.maxNumSeqs",
            "--max-num-seqs 16",
            id="the engine admits more than is safe",
        ),
        pytest.param(
            CHAT,
            metadata(
                model="meta-llama/Llama-3.1-8B-Instruct",
                gpu="L4",
                promptTokens="1200:3000",
                outputTokens="300",
            ),
            "warning",
            "spec.triggers.metadata.maxNumSeqs",
            "up to 256 requests at once, above the safe concurrency of 10",
            id="the engine's default admits more than is safe",
        ),
        pytest.param(
            CHAT,
            metadata(model="meta-llama/Llama-3.1-70B-Instruct", gpu="L4"),
            "warning",
            "spec.triggers.metadata.model",
            "not one request fits",
            id="a model that the GPU does not hold",
        ),
        pytest.param(
            CHAT,
            {"scaleTargetRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "chat"}},
            "error",
            "spec.scaleTargetRef.kind",
            "never scales it",
            id="a Job as the target",
        ),
        pytest.param(
            CHAT,
            {"scaleTargetRef": {"apiVersion": "x/v1", "kind": "Serving", "name": "chat"}},
            "error",
            "spec.scaleTargetRef.kind",
            "Add a selector",
            id="a target whose pods are not told by name",
        ),
        pytest.param(
            CHAT,
            {"scaleTargetRef": {"kind": "StatefulSet", "name": "llama"}},
            "warning",
            "spec.triggers.metadata.workload",
            "takes Deployment/chat and finds no engine of yours. State workload: StatefulSet/llama",
            id="a target that only the API tells",
        ),
        pytest.param(
            CHAT,
            {"scaleTargetRef.kind": "LeaderWorkerSet", **metadata(workload="LeaderWorkerSet/chat")},
            "error",
            "spec.scaleTargetRef.apiVersion",
            "not stated: KEDA takes apps/v1, which has no LeaderWorkerSet to scale: KEDA refuses "
            "the object. State leaderworkerset.x-k8s.io/v1",
            id="a kind that KEDA looks for in apps/v1",
        ),
        pytest.param(
            CHAT,
            {"scaleTargetRef.kind": "Serving", **metadata(selector="app=chat")},
            "error",
            "spec.scaleTargetRef.apiVersion",
            "has no Serving to scale: KEDA refuses the object. State the group and version",
            id="a kind of somebody's without its group",
        ),
        pytest.param(
            TRAIN,
            {"scaleTargetRef.apiVersion": "batch/v1"},
            "error",
            "spec.scaleTargetRef.apiVersion",
            "batch/v1, which has no ReclaimableJob to scale",
            id="a kind in another group than its own",
        ),
        pytest.param(
            TRAIN,
            {"triggers.0.metadata.workload": ABSENT},
            "warning",
            "spec.triggers.metadata.workload",
            "does not know how many workers run. State workload: ReclaimableJob/train",
            id="a borrower that only the API tells",
        ),
        pytest.param(
            CHAT,
            {"advanced.scalingModifiers": {"formula": "a + 1"}},
            "warning",
            "spec.advanced.scalingModifiers",
            "changes the count",
            id="a formula over our count",
        ),
        pytest.param(
            CHAT,
            {"cooldownperiod": 5},
            "error",
            "spec.cooldownperiod",
            "did you mean cooldownPeriod?",
            id="a misspelt field that the API server would drop",
        ),
        pytest.param(
            CHAT,
            {"pollingInterval": "soon"},
            "error",
            "spec.pollingInterval",
            "a whole number",
            id="a field of the wrong type",
        ),
        pytest.param(
            CHAT,
            metadata(maxReplica="5"),
            "error",
            "spec.triggers.metadata.maxReplica",
            "did you mean maxReplicas?",
            id="wrong metadata",
        ),
        pytest.param(
            CHAT,
            {"triggers.0.metadata.maxConcurrency": 16},
            "error",
            "spec.triggers.metadata.maxConcurrency",
            "Put it in quotes",
            id="metadata that is not quoted",
        ),
        pytest.param(
            CHAT,
            {"triggers.0.metadata.scalerAddress": ABSENT},
            "error",
            "spec.triggers.metadata.scalerAddress",
            "host:port",
            id="no address",
        ),
        pytest.param(
            CHAT,
            {"triggers.0.type": "external_push"},
            "error",
            "spec.triggers.type",
            "did you mean external-push?",
            id="a type with an underscore",
        ),
        pytest.param(
            CHAT,
            {"pollingInterval": 300},
            "warning",
            "spec.pollingInterval",
            "wakes or goes to zero only every 300 s",
            id="a poll that is far too late",
        ),
        pytest.param(
            CHAT,
            {"triggers.0.type": "prometheus"},
            "warning",
            "spec.triggers",
            "no say in this object",
            id="an object of somebody else",
        ),
    ],
)
def test_what_is_wrong_or_unwise_is_found(document, changes, level, field, why):
    # The panic window rule has its own test; here every other finding would be a false alarm.
    found = checked(changed(document, changes), configuration=HOUSE)

    assert [(f.level, f.field) for f in found.findings] == [(level, field)]
    assert why in found.findings[0].why


def test_a_type_that_is_misspelt_hides_nothing_else():
    changes = {
        "triggers.0.type": "external_push",
        "triggers.0.metadata.scalerAddress": "http://kvtide:6000",
        "pollingInterval": 300,
    }

    found = checked(changed(CHAT, changes), configuration=HOUSE).findings

    assert [one.field.rpartition(".")[2] for one in found] == [
        "type",
        "scalerAddress",
        "pollingInterval",
    ]


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        pytest.param({"maxConcurrencyFromEnv": "MOST"}, [], id="a value is not known here"),
        pytest.param(
            {"maxConcurencyFromEnv": "MOST"},
            ["spec.triggers.metadata.maxConcurencyFromEnv"],
            id="a key is",
        ),
        pytest.param(
            {"maxConcurrencyFromEnv": "MOST", "maxConcurrency": "16"},
            ["spec.triggers.metadata.maxConcurrency"],
            id="stated twice",
        ),
        pytest.param(
            {"maxConcurrencyFromEnv": "MOST", "stableWindow": "60"},
            ["spec.triggers.metadata.stableWindow"],
            id="what is wrong beside it",
        ),
    ],
)
def test_values_from_the_environment_are_for_keda_to_resolve(more, fields):
    document = changed(CHAT, {"triggers.0.metadata.maxConcurrency": ABSENT, **metadata(**more)})

    found = checked(document, configuration=Configuration())

    assert [finding.field for finding in found.findings] == fields


def test_a_stated_window_needs_a_scrape_interval():
    (finding,) = checked(CHAT).findings

    assert finding.field == "spec.triggers.metadata.stableWindow"
    assert "panic window of 20s needs a scrape interval of 10s or less; at 15s it is 30s" in (
        finding.why
    )
    assert not checked(changed(CHAT, metadata(stableWindow="91s"))).findings


def test_a_small_fleet_never_meets_the_dead_band():
    small = changed(CHAT, {"maxReplicaCount": 9, f"{BEHAVIOR}.scaleUp.tolerance": ABSENT})

    assert not checked(small, configuration=Configuration()).findings


def test_a_gang_reaches_zero_by_its_idle_count():
    gang = changed(TRAIN, {"minReplicaCount": 4, "idleReplicaCount": 0, **metadata(minWorkers="4")})

    assert not checked(gang, configuration=Configuration()).findings


def test_a_tier_at_zero_is_woken_by_its_groups_demand():
    tier = metadata(tierGroup="chat", tierCost="1")
    sleeping = changed(CHAT, {"minReplicaCount": 0, **tier})
    assert not checked(sleeping, configuration=Configuration()).errors


def test_a_deployment_of_batch_inference_may_borrow():
    target = {"kind": "Deployment", "name": "train"}
    batch = changed(TRAIN, {"scaleTargetRef": target, **metadata(workload="Deployment/train")})

    at_once = changed(batch, {"cooldownPeriod": 0, "triggers.0.useCachedMetrics": True})

    assert not checked(at_once, configuration=Configuration()).findings


def test_a_minimum_in_the_metadata_keeps_one_replica_awake():
    awake = changed(CHAT, {"minReplicaCount": 0, **metadata(minReplicas="1")})

    assert not checked(awake, configuration=Configuration()).findings


@pytest.mark.parametrize(
    ("annotation", "text", "why"),
    [
        ("paused", "true", "nothing scales"),
        ("paused-replicas", "0", "nothing scales"),
        ("paused-scale-in", "", "never scales down"),
        ("paused-scale-out", "True", "never scales up"),
    ],
)
def test_a_paused_object_is_told(annotation, text, why):
    paused = copy.deepcopy(CHAT)
    paused["metadata"]["annotations"] = {f"autoscaling.keda.sh/{annotation}": text}

    (finding,) = checked(paused, configuration=Configuration()).findings

    assert finding.field == f"metadata.annotations.autoscaling.keda.sh/{annotation}"
    assert why in finding.why


def test_a_pause_that_is_switched_off_is_none():
    going = copy.deepcopy(CHAT)
    notes = ("paused", "paused-scale-in", "paused-scale-out")
    going["metadata"]["annotations"] = {f"autoscaling.keda.sh/{one}": "false" for one in notes}

    assert not checked(going, configuration=Configuration()).findings


def test_an_object_with_wrong_metadata_is_still_checked_as_an_object():
    document = changed(
        TRAIN,
        {"fallback": {"replicas": 1}, "scaleTargetRef.kind": "Job", **metadata(poolUnits="x")},
    )

    assert [f.field for f in checked(document).findings] == [
        "spec.triggers.metadata.poolUnits",
        "spec.scaleTargetRef.kind",
        "spec.fallback",
    ]


def test_two_objects_cannot_scale_one_target():
    second = copy.deepcopy(CHAT)
    second["metadata"]["name"] = "chat-too"
    second["spec"]["triggers"][0]["metadata"]["workload"] = "Deployment/chat"

    (finding,) = checked(CHAT, second, configuration=Configuration()).findings

    assert (finding.object, finding.field) == ("llm/chat-too", "spec.scaleTargetRef")
    assert "has 2 ScaledObjects (chat, chat-too)" in finding.why


def test_targets_of_one_name_in_two_groups_are_two():
    second = changed(
        CHAT,
        {
            "scaleTargetRef": {"apiVersion": "x/v1", "kind": "StatefulSet", "name": "chat"},
            **metadata(workload="StatefulSet/chat"),
        },
    )
    second["metadata"]["name"] = "chat-too"
    first = changed(
        CHAT, {"scaleTargetRef.kind": "StatefulSet", **metadata(workload="StatefulSet/chat")}
    )

    assert not checked(first, second, configuration=Configuration()).findings


def test_the_same_object_twice_is_told():
    (finding,) = checked(CHAT, CHAT, configuration=Configuration()).findings

    assert finding.why == "this object is there 2 times: the last one applied wins"


def test_the_silent_ceiling_of_many_objects_is_told():
    many = []
    for number in range(201):
        document = changed(CHAT, {"scaleTargetRef.name": f"chat-{number}"})
        document["metadata"]["name"] = f"chat-{number}"
        many.append(document)

    (finding,) = checked(*many, configuration=Configuration()).findings

    assert "201 ScaledObjects: at default API rates" in finding.why


def test_objects_of_a_list_and_other_kinds_beside_them_are_read():
    objects = {"apiVersion": "v1", "kind": "List", "items": [CHAT, {"kind": "Service"}, TRAIN]}

    assert checked(objects, {"kind": "Deployment"}).objects == ("llm/chat", "llm/train")


def scaled_job(*triggers: Any) -> dict[str, Any]:
    spec = {"jobTargetRef": {"template": {}}, "maxReplicaCount": 4, "triggers": list(triggers)}
    return {"kind": "ScaledJob", "metadata": {"name": "batch", "namespace": "llm"}, "spec": spec}


@pytest.mark.parametrize(
    ("trigger", "why"),
    [
        pytest.param(
            {"type": "external", "metadata": {"role": "training"}},
            "never ends one: GPUs come back only as Jobs end",
            id="training: nothing is given back",
        ),
        pytest.param(
            {"type": "external-push", "metadata": {"maxConcurrency": "16"}},
            "never ends one: the fleet never shrinks",
            id="inference: nothing shrinks",
        ),
        pytest.param({"type": "external"}, "the fleet never shrinks", id="without metadata"),
    ],
)
def test_a_scaled_job_is_refused(trigger, why):
    (finding,) = checked(scaled_job({"type": "cron"}, trigger)).findings

    assert (finding.level, finding.object, finding.field) == ("error", "llm/batch", "kind")
    assert why in finding.why


def test_a_scaled_job_of_somebody_else_is_passed_by():
    found = checked(CHAT, scaled_job({"type": "cron"}, "?"), {"kind": "ScaledJob", "spec": 3})

    assert found.objects == ("llm/chat",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("kind: Service", "objects.yaml: holds no ScaledObject", id="nothing to check"),
        pytest.param(
            "a: {{ .Values.b }}", "objects.yaml: this is no YAML: ", id="a template is no YAML"
        ),
    ],
)
def test_a_file_without_a_scaled_object_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        check({"objects.yaml": text}, Configuration())


def test_findings_read_as_a_list_under_their_object():
    found = checked(
        changed(CHAT, {"triggers.0.metricType": "Value", "maxReplicaCount": ABSENT}),
        TRAIN,
        configuration=Configuration(),
    )

    lines = findings_text(found).splitlines()

    assert lines[0] == "objects.yaml llm/chat"
    error, warning = (line.split(": ", 1) for line in lines[1:3])
    assert error[0].startswith("  error    objects.yaml:")
    assert error[1].startswith("trigger 1 (external-push): spec.triggers.metricType: Value: ")
    assert warning[0].startswith("  warning  objects.yaml:")
    assert warning[1].startswith("spec.maxReplicaCount: not stated: ")
    assert lines[3:] == ["", "1 error, 1 warning in 2 ScaledObjects"]


def test_findings_are_a_document():
    document = findings_json(checked(TRAIN, configuration=Configuration()))

    assert document == {
        "ok": True,
        "errors": 0,
        "warnings": 0,
        "objects": ["llm/train"],
        "findings": [],
    }


NODES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
PATHS = [
    ("metadata",),
    ("metadata", "name"),
    ("metadata", "annotations"),
    ("spec",),
    *(("spec", key) for key in (*CHAT["spec"], "fallback", "idleReplicaCount", "cooldownPeriod")),
    ("spec", "scaleTargetRef", "kind"),
    ("spec", "advanced", "horizontalPodAutoscalerConfig"),
    ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleUp"),
    ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleUp", "tolerance"),
    ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleUp", "policies"),
    ("spec", "triggers", 0),
    ("spec", "triggers", 0, "metadata"),
    ("spec", "triggers", 0, "metadata", "metrics"),
]


@given(st.sampled_from([CHAT, TRAIN]), st.sampled_from(PATHS), NODES)
def test_no_manifest_is_too_strange_to_be_told(document, path, node):
    strange = copy.deepcopy(document)
    within: Any = strange
    for name in path[:-1]:
        within = within[name]
    within[path[-1]] = node

    try:
        found = checked(strange, configuration=Configuration())
    except ConfigurationError as error:
        assert error.problems  # noqa: PT017 - either outcome is fine, a traceback is not
    else:
        assert all(finding.why and finding.object for finding in found.findings)


def test_a_gpu_that_is_not_the_pools_unit_is_told():
    sliced = Pool(units=4, workloads=("llm/chat",), resource="nvidia.com/mig-3g.40gb")
    whole = dataclasses.replace(sliced, resource="nvidia.com/gpu")
    asked = changed(CHAT, metadata(model="Llama-3.1-8B", gpu="H100"))

    (finding,) = checked(asked, configuration=Configuration(pools={"a": sliced})).findings
    assert "computed for H100" in finding.why
    assert "nvidia.com/mig-3g.40gb: MIG 3g.40gb slices" in finding.why
    assert not checked(asked, configuration=Configuration(pools={"a": whole})).findings
    slice_ = changed(CHAT, metadata(model="Llama-3.1-8B", gpu="H100-3g.40gb"))
    assert not checked(slice_, configuration=Configuration(pools={"a": sliced})).findings


@pytest.mark.parametrize(
    ("server", "told"),
    [
        pytest.param({}, None, id="its settings are not there"),
        pytest.param({"directScrape": True}, None, id="on"),
        pytest.param({"pages": True}, "has no directScrape: true", id="not stated"),
        pytest.param({"directScrape": False}, "has no directScrape: true", id="off"),
        pytest.param(
            {"directScrape": True, "kubernetes": "off"}, "says kubernetes: off", id="no API"
        ),
    ],
)
def test_a_port_of_pages_that_the_server_leaves_unread_is_told(server, told):
    asked = changed(CHAT, metadata(directScrapePort="8000"))
    configuration = Configuration(server=server)

    why = [finding.why for finding in checked(asked, configuration=configuration).findings]
    assert (told is None and not why) or (len(why) == 1 and told in why[0])
    assert not checked(CHAT, configuration=configuration).findings
