"""Nodes of a pool: their units, whether they take pods, and what pods of online workloads hold."""

import pytest

from scaler.decision.pool import Node
from scaler.source import Workload
from tests.readings.worlds import LLM, NOW_S, Observer, busy, row

CHAT = Workload(namespace="serve", scaled_object="chat", kind="StatefulSet", name="chat")


def node(name, units=8, *, resource="nvidia_com_gpu", cordoned=0, ready=1, taint=None):
    return (
        row("kube_node_status_allocatable", units, node=name, resource=resource, unit="integer")
        + row("kube_node_status_allocatable", 64, node=name, resource="cpu", unit="core")
        + row("kube_node_spec_unschedulable", cordoned, node=name)
        + row("kube_node_status_condition", ready, node=name, condition="Ready", status="true")
        + (row("kube_node_spec_taint", 1, node=name, key=taint) if taint else "")
    )


def holds(pod, units, on="a", container="engine", resource="nvidia_com_gpu"):
    return row(
        "kube_pod_container_resource_requests",
        units,
        namespace="serve",
        pod=pod,
        container=container,
        node=on,
        resource=resource,
    )


def nodes_of(page, resource="nvidia.com/gpu", online=(LLM,)):
    observer = Observer(LLM, CHAT)
    observer.round(NOW_S, {"llm-0": busy()}, page)
    return observer.assembly.nodes(resource, online, NOW_S)


def test_nodes_come_with_their_units_in_order_of_name():
    assert nodes_of(node("b", 4) + node("a", 8) + node("c", 0)) == (
        Node(name="a", units=8),
        Node(name="b", units=4),
    )


@pytest.mark.parametrize(
    "why",
    [
        pytest.param({"cordoned": 1}, id="cordoned"),
        pytest.param({"ready": 0}, id="not ready"),
        pytest.param({"taint": "aws-node-termination-handler/spot-itn"}, id="spot, reclaimed"),
        pytest.param({"taint": "ToBeDeletedByClusterAutoscaler"}, id="scaled away"),
    ],
)
def test_a_node_that_takes_no_pods_is_told(why):
    assert nodes_of(node("a", **why)) == (Node(name="a", units=8, schedulable=False),)


def test_a_taint_of_another_kind_is_the_workloads_business():
    assert nodes_of(node("a", taint="nvidia.com/gpu"))[0].schedulable


def test_slices_are_a_resource_of_their_own():
    page = node("a", 7, resource="nvidia_com_mig_1g_5gb") + node("b", 8)
    assert nodes_of(page, "nvidia.com/mig-1g.5gb") == (Node(name="a", units=7),)


def test_what_pods_of_the_online_workloads_hold_is_in_use():
    page = (
        node("a")
        + node("b")
        + holds("llm-0", 2)
        + holds("llm-0", 1, container="sidecar")
        + holds("llm-1", 4, on="b")
        + holds("chat-0", 1)
        + holds("other-0", 8)
        + holds("llm-0", 2, resource="nvidia_com_mig_1g_5gb")
    )
    assert [one.units_in_use for one in nodes_of(page)] == [3, 4]
    assert [one.units_in_use for one in nodes_of(page, online=(LLM, CHAT))] == [4, 4]


def test_a_pod_on_its_way_out_still_holds_and_one_that_failed_does_not():
    page = node("a") + holds("llm-0", 2) + holds("llm-1", 1)
    page += row("kube_pod_deletion_timestamp", 1, namespace="serve", pod="llm-0")
    page += row("kube_pod_status_phase", 1, namespace="serve", pod="llm-1", phase="Failed")
    assert nodes_of(page)[0].units_in_use == 2


def test_of_what_is_held_what_starts_and_what_ends_is_told_node_by_node():
    page = node("a") + node("b") + holds("llm-0", 4) + holds("llm-1", 2) + holds("llm-2", 1, on="b")
    page += row("kube_pod_deletion_timestamp", 1, namespace="serve", pod="llm-1")
    for pod, ready in (("llm-0", 1), ("llm-1", 0), ("llm-2", 0)):
        page += row("kube_pod_status_ready", ready, namespace="serve", pod=pod, condition="true")

    held = [(one.units_in_use, one.units_starting, one.units_ending) for one in nodes_of(page)]

    assert held == [(6, 0, 2), (1, 1, 0)]


def test_copies_of_a_row_hold_once():
    observer = Observer(LLM)
    observer.round(NOW_S, {"llm-0": busy()})
    for replica in ("a", "b"):
        observer.scrape(NOW_S, node("a") + holds("llm-0", 2), prometheus_replica=replica)
    observer.round(NOW_S, {})
    assert observer.assembly.nodes("nvidia.com/gpu", (LLM,), NOW_S) == (
        Node(name="a", units=8, units_in_use=2),
    )


def test_without_the_exporter_there_are_no_nodes():
    assert nodes_of("") == ()
