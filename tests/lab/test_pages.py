"""The pages of the GPU exporter and of kube-state-metrics."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scaler.lab.cluster_page import HpaBounds, cluster_page
from scaler.lab.gateway_page import gateway_page, host_of
from scaler.lab.gpus import GpuModel, Gpus

STARTED_S = 1_800_000_000.0


def rows(text, name):
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def by(text, name, *labels):
    return {
        tuple(dict(row).get(label, "") for label in labels): value
        for row, value in rows(text, name).items()
    }


@pytest.fixture
def gpus(world):
    return Gpus(world, GpuModel())


def test_a_gpu_names_the_pod_that_holds_it_and_a_free_one_names_none(world, gpus):
    world.start_ready("chat", 1)
    world.set_workers("finetune", 2)
    world.advance(30.0)
    gpus.collect()
    memory = by(gpus.page(), "DCGM_FI_DEV_FB_USED", "Hostname", "gpu", "namespace")
    assert sorted(namespace for _, _, namespace in memory) == ["", "batch", "batch", "online"]
    (free,) = [used for (_, _, namespace), used in memory.items() if not namespace]
    assert free == 0


def test_used_and_free_add_up_and_utilization_is_percent(world, gpus):
    world.start_ready("chat", 2)
    for at_s in (10.0, 20.0):
        world.advance(at_s)
        gpus.collect()
    page = gpus.page()
    used, free = (by(page, f"DCGM_FI_DEV_FB_{what}", "UUID") for what in ("USED", "FREE"))
    assert {used[gpu] + free[gpu] for gpu in used} == {GpuModel().memory_mib}
    percent = by(page, "DCGM_FI_DEV_GPU_UTIL", "UUID")
    ratio = by(page, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "UUID")
    assert all(percent[gpu] == pytest.approx(100 * ratio[gpu], abs=0.51) for gpu in ratio)
    assert max(ratio.values()) > 0.5


def test_a_pod_keeps_its_gpu_while_others_come_and_go(world, gpus):
    def holders():
        gpus.collect()
        return {pod: gpu for gpu, pod in by(gpus.page(), "DCGM_FI_DEV_FB_USED", "UUID", "pod")}

    world.start_ready("chat", 1)
    before = holders()
    world.set_replicas("chat", 4)
    world.advance(5.0)
    during = holders()
    world.set_replicas("chat", 1)
    world.advance(200.0)
    after = holders()
    (pod,) = world.fleets["chat"].replicas
    assert before[pod] == during[pod] == after[pod]


def state(world):
    hpa = HpaBounds(namespace="online", name="keda-hpa-chat", min_replicas=1, max_replicas=4)
    return cluster_page(world, [hpa], started_s=STARTED_S)


def test_a_deployments_replicas_leave_out_pods_that_are_deleted(world):
    world.start_ready("chat", 3)
    world.advance(10.0)
    world.set_replicas("chat", 2)
    world.advance(10.1)
    page = state(world)
    assert by(page, "kube_deployment_spec_replicas", "deployment") == {
        ("chat",): 2,
        ("finetune",): 0,
    }
    assert by(page, "kube_deployment_status_replicas", "deployment")["chat",] == 2
    assert by(page, "kube_deployment_status_replicas_ready", "deployment")["chat",] == 2
    assert len(by(page, "kube_pod_deletion_timestamp", "pod")) == 1
    assert len(by(page, "kube_pod_created", "pod")) == 3


def test_pod_times_are_unix_times_and_only_ready_pods_have_a_ready_time(world):
    world.set_replicas("chat", 1)
    world.advance(5.0)
    page = state(world)
    assert by(page, "kube_pod_status_ready_time", "pod") == {}
    assert by(page, "kube_pod_status_ready", "condition") == {("true",): 0, ("false",): 1}
    world.advance(40.0)
    page = state(world)
    assert by(page, "kube_pod_status_ready", "condition") == {("true",): 1, ("false",): 0}
    assert list(by(page, "kube_pod_created", "pod").values()) == [STARTED_S]
    assert list(by(page, "kube_pod_status_ready_time", "pod").values()) == [STARTED_S + 20]


def test_a_pod_without_a_node_is_unschedulable(world):
    world.set_replicas("chat", 5)
    world.advance(5.0)
    page = state(world)
    assert list(by(page, "kube_pod_status_unschedulable", "pod").values()) == [1]
    nodes = by(page, "kube_pod_container_resource_requests", "node")
    assert set(nodes) == {("gpu-a",), ("gpu-b",), ("",)}


def test_pods_lead_to_their_deployment_by_owner(world):
    world.start_ready("chat", 1)
    page = state(world)
    owners = by(page, "kube_pod_owner", "owner_kind", "owner_name")
    ((kind, replica_set),) = owners
    assert kind == "ReplicaSet"
    above = by(page, "kube_replicaset_owner", "replicaset", "owner_kind", "owner_name")
    assert (replica_set, "Deployment", "chat") in above


def test_nodes_have_their_gpus_and_hpas_their_bounds(world):
    page = state(world)
    assert by(page, "kube_node_status_allocatable", "node", "resource") == {
        ("gpu-a", "nvidia_com_gpu"): 2,
        ("gpu-b", "nvidia_com_gpu"): 2,
    }
    bounds = by(page, "kube_horizontalpodautoscaler_spec_max_replicas", "horizontalpodautoscaler")
    assert bounds == {("keda-hpa-chat",): 4}


def test_the_gateway_counts_what_it_holds_and_what_is_answered(world):
    world.advance(5.0)
    held = by(gateway_page(world), "interceptor_pending_request_count", "host")
    assert held == {(host_of("chat"),): len(world.gateways["chat"].held)}
    assert held[host_of("chat"),] > 10
    world.start_ready("chat", 4)
    world.advance(300.0)
    page = gateway_page(world)
    assert by(page, "interceptor_pending_request_count", "host") == {(host_of("chat"),): 0}
    answered = by(page, "interceptor_request_count_total", "host", "code")
    assert answered == {(host_of("chat"), "200"): world.gateways["chat"].arrived_total}
