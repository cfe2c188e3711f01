"""What the Kubernetes API tells before kube-state-metrics does, or in its place."""

import pytest

from tests.e2e.stage import Intervals

pytestmark = pytest.mark.cluster

TEN = {"maxConcurrency": "10", "targetUtilization": "1"}


async def test_without_kube_state_metrics_zero_is_known_and_left(cluster, record_property):
    cluster.stage.unexported = True
    load = await cluster.serve("chat", replicas=0)
    await cluster.scale(
        "chat", metadata={**TEN, "gateway": "e2e", "gatewaySelector": "workload=chat"}
    )
    await cluster.until_seen("chat")
    assert (await cluster.decision("chat"))["decision"]["replicas"] == 0
    load.at_gateway = 1
    record_property("wake_s", await cluster.until_replicas("chat", 1))
    load.running, load.at_gateway = 8, 8
    load.running = load.at_gateway = 0
    record_property("to_zero_s", await cluster.until_replicas("chat", 0))


@pytest.mark.parametrize("cluster", [Intervals(cluster="30s")], indirect=True)
async def test_a_ready_replica_counts_before_kube_state_metrics_tells(cluster, record_property):
    load = await cluster.serve("chat", replicas=1)
    load.running = 28
    await cluster.scale("chat", metadata=TEN, minReplicaCount=1)
    await cluster.until_replicas("chat", 3)

    async def ready():
        found = await cluster.get("apps/v1", "Deployment", "chat")
        return found["status"].get("readyReplicas") == 3

    async def known():
        return (await cluster.decision("chat"))["decision"]["ready_replicas"] == 3

    await cluster.until(ready)
    seconds = await cluster.until(known)
    record_property("known_s", seconds)
    assert seconds < 15  # long before it is scraped; a machine that is busy takes its time


async def test_a_target_that_no_metadata_states(cluster, record_property):
    load = await cluster.serve("model-server", replicas=1)
    load.running = 28
    await cluster.scale("chat", target={"name": "model-server"}, metadata=TEN, minReplicaCount=1)
    record_property("scale_up_s", await cluster.until_replicas("model-server", 3))


async def test_how_the_cluster_is_heard_is_said(cluster):
    await cluster.serve("chat", replicas=1)
    await cluster.scale("chat", metadata=TEN, minReplicaCount=1)
    await cluster.until_decided("chat")
    assert (await cluster.decision("chat"))["cluster"] == "Kubernetes API: watched."
