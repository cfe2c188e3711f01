"""Where the API's word and kube-state-metrics' meet in one window: whoever spoke last is right."""

import asyncio
import dataclasses

import pytest

from scaler.decision.pool import Node, Units
from scaler.decision.window import ScaleBounds
from scaler.readings.accelerators import Device
from scaler.readings.assemble import Assembly
from scaler.readings.attribution import Owner
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.kubernetes import claims, objects
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.manifest import Refusal, key_of
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload
from tests.readings.kubernetes.recorded import RECORDED, recorded
from tests.readings.worlds import NOW_S, STEP_S, Observer, busy, row

CHAT = Workload(namespace="serve", scaled_object="chat", name="llm")
POD = recorded("Pod")["metadata"]["name"]
TARGET = {"namespace": "serve", "deployment": "llm"}
AWAY = Refusal(status=None, message="connection refused")


def known_cluster(**changed):
    """Return what was recorded, with lists in place of some of it."""
    known = KnownCluster()
    known.pods.take(parsed("Pod", objects.pod))
    known.nodes.take(parsed("Node", objects.node))
    known.scaled_objects.take(parsed("ScaledObject", objects.scaled_object))
    known.autoscalers.take(parsed("HorizontalPodAutoscaler", objects.autoscaler))
    known.counts["Deployment"].take(parsed("Deployment", objects.counts))
    for kind, listed in changed.items():
        getattr(known, kind).take(listed)
    return known


def parsed(kind, parse):
    return {key_of(one): parse(one) for one in RECORDED[kind]}


class Listener(Observer):
    """An observer that hears the API too."""

    def __init__(self, known, workload=CHAT):
        timing = Timing(interval_s={Exporter.ENGINE: STEP_S, Exporter.CLUSTER: 30.0})
        assembly = Assembly(profiles=shipped_profiles(), timing=timing, known=known)
        super().__init__(workload, assembly=assembly)

    def at(self, at_s, *exported):
        asyncio.run(self.assembly.hear(self.workloads, at_s))
        self.round(at_s, {POD: busy()}, *exported)
        return self.window(at_s)


def replicas(spec, exist, ready):
    return (
        row("kube_deployment_spec_replicas", spec, **TARGET)
        + row("kube_deployment_status_replicas", exist, **TARGET)
        + row("kube_deployment_status_replicas_ready", ready, **TARGET)
    )


def scale(sample):
    return (sample.spec_replicas, sample.ready_replicas, sample.loading_replicas)


def test_without_kube_state_metrics_the_api_alone_tells():
    latest = Listener(known_cluster()).at(NOW_S).latest
    assert scale(latest) == (2, 2, 0)
    assert latest.terminating_replicas == 0


def test_of_a_rollout_the_api_alone_tells():
    known = known_cluster()
    known.counts["Deployment"].take({})
    known.counts["Rollout"].take({("serve", "llm"): objects.Counts(spec=3, exist=3, ready=2)})
    rollout = dataclasses.replace(CHAT, kind="Rollout")
    latest = Listener(known, rollout).at(NOW_S).latest
    assert scale(latest) == (3, 2, 1)
    assert [one.name for one in latest.replicas] == [POD]


def test_a_ready_replica_that_the_api_knows_first_counts():
    listener = Listener(known_cluster())
    listener.at(NOW_S - STEP_S, replicas(2, 2, 1))
    assert scale(listener.at(NOW_S).latest) == (2, 2, 0)


def test_a_replica_that_the_api_misses_first_counts_no_more():
    known = known_cluster()
    known.counts["Deployment"].take({("serve", "llm"): objects.Counts(spec=2, exist=1, ready=1)})
    listener = Listener(known)
    listener.at(NOW_S - STEP_S, replicas(2, 2, 2))
    assert scale(listener.at(NOW_S).latest) == (2, 1, 0)


def test_what_happened_before_the_api_was_heard_stays_kube_state_metrics_word():
    listener = Listener(known_cluster())
    listener.round(NOW_S - STEP_S, {POD: busy()}, replicas(2, 2, 1))
    window = listener.at(NOW_S)
    assert [sample.ready_replicas for sample in window.samples[-2:]] == [1, 2]


def test_an_api_that_is_not_heard_any_more_leaves_it_to_kube_state_metrics():
    known = known_cluster()
    listener = Listener(known)
    listener.at(NOW_S - STEP_S)
    known.counts["Deployment"].lose(AWAY)
    assert scale(listener.at(NOW_S, replicas(3, 3, 1)).latest) == (3, 1, 2)


def test_an_api_that_is_not_heard_any_more_is_silence_and_not_zero():
    known = known_cluster()
    listener = Listener(known)
    listener.at(NOW_S - 120)
    known.counts["Deployment"].lose(AWAY)
    assert listener.at(NOW_S).latest.spec_replicas is None


def test_a_pod_on_its_way_out_and_one_that_is_gone():
    leaving = recorded("Pod")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-24T18:50:00Z"
    known = known_cluster(pods={("serve", POD): objects.pod(leaving)})
    listener = Listener(known)
    seen_there = row("kube_pod_deletion_timestamp", 1.0, namespace="serve", pod=POD)
    assert listener.at(NOW_S - STEP_S, seen_there).latest.terminating_replicas == 1
    known.pods.take({})
    assert listener.at(NOW_S).latest.terminating_replicas == 0


def test_a_pod_that_found_its_node_waits_no_more():
    known = known_cluster()
    listener = Listener(known)
    about = {"namespace": "serve", "pod": POD}
    created = row("kube_pod_created", NOW_S - 600, **about)
    waits = row("kube_pod_status_unschedulable", 1.0, **about)
    known.pods.lose(AWAY)
    before = listener.at(NOW_S - STEP_S, created + waits).latest
    assert before.unschedulable_since_s == NOW_S - 600
    known.pods.take(parsed("Pod", objects.pod))
    assert listener.at(NOW_S).latest.unschedulable_since_s is None


def test_cold_starts_are_the_pods_own_times():
    assert Listener(known_cluster()).at(NOW_S).startup_s == (1.0, 1.0)


def test_gpus_of_a_replica_are_what_its_pods_ask_for():
    listener = Listener(known_cluster())
    listener.at(NOW_S)
    units = listener.assembly.units("nvidia.com/gpu", CHAT, NOW_S)
    assert units == Units(per_replica=2, in_use=4)


def test_at_zero_they_are_what_its_template_asks_for():
    listener = Listener(known_cluster(pods={}))
    listener.at(NOW_S)
    assert listener.assembly.units("nvidia.com/gpu", CHAT, NOW_S) == Units(per_replica=2)


def test_nodes_and_what_is_held_on_them():
    listener = Listener(known_cluster())
    listener.at(NOW_S)
    found = listener.assembly.nodes("nvidia.com/gpu", [CHAT], NOW_S)
    assert found == (Node(name="fake-0", units=8, schedulable=True, units_in_use=4),)


def test_bounds_are_the_scaled_objects_and_the_hpas_own():
    assert Listener(known_cluster()).at(NOW_S).bounds == ScaleBounds(
        min_replicas=2, max_replicas=6, tolerance=0.0, paused=False
    )


def test_the_interval_of_the_exporters_is_not_the_apis():
    assembly = Assembly(profiles=shipped_profiles(), timing=Timing(), known=known_cluster())
    listener = Observer(CHAT, assembly=assembly)
    for age in range(8, 0, -1):
        asyncio.run(assembly.hear(listener.workloads, NOW_S - 5 * age))
        exported = (replicas(2, 2, 2),) if age % 4 == 0 else ()
        listener.round(NOW_S - 5 * age, {POD: busy()}, *exported)
    assert assembly.intervals.interval_s(Exporter.CLUSTER) == 20


@pytest.mark.parametrize(
    ("stated", "target"),
    [(False, ("Deployment", "llm")), (True, ("Deployment", "chat"))],
    ids=["the ScaledObject says, where the metadata does not", "what is stated counts"],
)
def test_the_target_of_a_workload(stated, target):
    guessed = Workload(namespace="serve", scaled_object="chat", name="chat", target_stated=stated)
    found = known_cluster().resolved(guessed)
    assert (found.kind, found.name) == target
    assert found.key == guessed.key


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"scalerAddress": "kvtide:6000", "maxConcurrency": "10"}, True),
        ({"scalerAddress": "other:6000"}, False),
        ({"scalerAddress": "kvtide:6000", "modelFromEnv": "MODEL"}, False),
    ],
    ids=["names this scaler", "names another", "KEDA resolves a part of it"],
)
def test_scaled_objects_that_name_this_scaler(metadata, named):
    known = known_cluster()
    (key, one) = next(iter(known.scaled_objects.listed.items()))
    known.scaled_objects.take({key: dataclasses.replace(one, triggers=(metadata,))})
    found = list(known.triggers_of({"kvtide:6000"}))
    assert found == ([("serve", "chat", metadata)] if named else [])


@pytest.mark.parametrize(
    ("metadata", "apart"),
    [
        ({"scalerAddress": "kvtide:6000"}, False),
        ({"scalerAddress": "kvtide-1:6000"}, True),
        ({}, False),
    ],
    ids=["names this scaler", "names another", "names none"],
)
def test_scaled_objects_that_name_another_scaler(metadata, apart):
    known = known_cluster()
    (key, one) = next(iter(known.scaled_objects.listed.items()))
    known.scaled_objects.take({key: dataclasses.replace(one, triggers=(metadata,))})
    found = list(known.triggers_elsewhere({"kvtide:6000"}))
    assert found == ([("serve", "chat", metadata)] if apart else [])


DEVICES = {"devices": {"results": [
    {"driver": "gpu.nvidia.com", "pool": "fake-0", "device": f"gpu-{number}", "request": "gpus"}
    for number in range(3)
]}}  # fmt: skip


def by_claim(kind):
    """Return an object whose pod asks for GPUs by claim and in no other way."""
    changed = recorded(kind)
    spec = changed["spec"] if kind == "Pod" else changed["spec"]["template"]["spec"]
    for container in spec["containers"]:
        container["resources"] = {}
    spec["resourceClaims"] = [{"name": "gpus", "resourceClaimTemplateName": "three"}]
    if kind == "Pod":
        made = [{"name": "gpus", "resourceClaimName": "llm-gpus-x"}]
        changed["status"]["resourceClaimStatuses"] = made
    return changed


def test_gpus_by_claim_are_what_the_api_says_was_allocated():
    known = known_cluster(pods={("serve", POD): objects.pod(by_claim("Pod"))})
    reserved = [{"resource": "pods", "name": POD, "uid": "1"}]
    claim = {"spec": {}, "status": {"allocation": DEVICES, "reservedFor": reserved}}
    known.claims.take({("serve", "llm-gpus-x"): claims.resource_claim(claim)})
    listener = Listener(known)
    listener.at(NOW_S)
    for resource in ("nvidia.com/gpu", None):
        units = listener.assembly.units(resource, CHAT, NOW_S)
        assert units == Units(per_replica=3, in_use=3)


def test_gpus_by_claim_of_a_workload_at_zero_are_what_the_template_asks_for():
    known = known_cluster(pods={})
    deployment = objects.counts(by_claim("Deployment"))
    known.counts["Deployment"].take({("serve", "llm"): deployment})
    listener = Listener(known)
    listener.at(NOW_S)
    assert listener.assembly.units(None, CHAT, NOW_S).per_replica is None
    request = {"name": "a", "exactly": {"deviceClassName": "gpu.nvidia.com", "count": 3}}
    template = {"spec": {"spec": {"devices": {"requests": [request]}}}}
    known.claim_templates.take({("serve", "three"): claims.resource_claim_template(template)})
    assert listener.assembly.units(None, CHAT, NOW_S) == Units(per_replica=3)


def test_the_hpa_is_the_one_that_the_scaled_object_owns():
    known = known_cluster()
    owner = Owner(kind="ScaledObject", name="chat")
    band = objects.Autoscaler(tolerance=0.05, owner=owner)
    others = objects.Autoscaler(tolerance=0.3, owner=Owner(kind="ScaledObject", name="other"))
    known.autoscalers.take({("serve", "keda-hpa-chat"): others, ("serve", "renamed"): band})
    assert Listener(known).at(NOW_S).bounds.tolerance == 0.05


@pytest.mark.parametrize(
    ("hpas", "desired"),
    [
        pytest.param({"keda-hpa-chat": ("ScaledObject", "chat", "llm")}, None, id="ours alone"),
        pytest.param({"llm": (None, None, "llm")}, 4, id="one that somebody made"),
        pytest.param({"keda-hpa-x": ("ScaledObject", "x", "llm")}, 4, id="of another ScaledObject"),
        pytest.param({"llm": (None, None, "other")}, None, id="of another target"),
        pytest.param(
            {"keda-hpa-chat": ("ScaledObject", "chat", "llm"), "llm": (None, None, "llm")},
            None,
            id="beside ours",
        ),
    ],
)
def test_another_autoscaler_of_the_target_is_known_by_its_owner(hpas, desired):
    known = known_cluster(
        autoscalers={
            ("serve", name): objects.Autoscaler(
                tolerance=0.1,
                owner=kind and Owner(kind=kind, name=owner),
                target=Owner(kind="Deployment", name=target),
                desired=4,
            )
            for name, (kind, owner, target) in hpas.items()
        }
    )
    listener = Listener(known)
    assert listener.at(NOW_S).bounds.others_desired == desired
    known.autoscalers.lose(AWAY)
    assert listener.at(NOW_S + STEP_S).bounds.others_desired is None


def offer(device, node="gpu-a", pool="gpu-a", generation=1, **more):
    """Return a ResourceSlice with one device."""
    spec = {"driver": "gpu.nvidia.com", "pool": {"name": pool, "generation": generation}}
    return claims.resource_slice(
        {"spec": {**spec, "nodeName": node, "devices": [{"name": device, **more}]}}
    )


def gpu_node(name, *, cordoned=False):
    state = objects.NodeState(units={}, cordoned=cordoned, ready=True, leaving=None)
    return {("", name): state}


def test_a_node_whose_gpus_a_driver_offers_is_one_of_the_pool():
    slices = {
        ("", "a-0"): offer("gpu-0", generation=1),
        ("", "a-1"): offer("gpu-0", generation=2),
        ("", "a-2"): offer("gpu-1", generation=2),
        ("", "a-3"): offer(
            "gpu-2", generation=2, taints=[{"key": "broken", "effect": "NoExecute"}]
        ),
        ("", "b-0"): offer("gpu-0", node="gpu-b", pool="gpu-b"),
        ("", "net"): claims.resource_slice(
            {
                "spec": {
                    "driver": "dra.net",
                    "pool": {"name": "x"},
                    "allNodes": True,
                    "devices": [{"name": "eth0"}],
                }
            }
        ),
    }
    holder = dataclasses.replace(
        next(iter(parsed("Pod", objects.pod).values())),
        units={},
        claims=(claims.PodClaim(name="gpus", claim="c", template=None),),
    )
    claim = claims.ResourceClaim(
        devices=(Device("gpu.nvidia.com", "gpu-a", "gpu-1"),), pods=(POD,), accelerators=1
    )
    known = known_cluster(
        slices=slices,
        nodes={**gpu_node("gpu-a"), **gpu_node("gpu-b", cordoned=True)},
        claims={("serve", "c"): claim},
        pods={("serve", POD): holder},
    )
    listener = Listener(known)
    listener.at(NOW_S)
    assert listener.assembly.nodes("nvidia.com/gpu", (CHAT,), NOW_S) == (
        Node(name="gpu-a", units=2, units_in_use=1),
        Node(name="gpu-b", units=1, schedulable=False),
    )


def test_a_device_may_say_itself_which_node_it_is_on():
    spec = {"driver": "gpu.nvidia.com", "pool": {"name": "rack"}, "perDeviceNodeSelection": True}
    found = claims.resource_slice(
        {"spec": {**spec, "devices": [{"name": "gpu-0", "nodeName": "n"}, {"name": "gpu-1"}]}}
    )
    assert found.devices == (("n", Device("gpu.nvidia.com", "rack", "gpu-0")),)
