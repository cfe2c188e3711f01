"""One service on two kinds of GPU: two Deployments behind one demand."""

import pytest

pytestmark = pytest.mark.cluster

TIER = {"maxConcurrency": "10", "targetUtilization": "1", "tierGroup": "chat"}


async def test_the_dear_tier_serves_what_the_cheap_one_cannot(cluster, record_property):
    cheap = await cluster.serve("cheap", replicas=1)
    dear = await cluster.serve("dear", replicas=0)
    cheap.running = 5
    await cluster.scale(
        "cheap",
        metadata={**TIER, "tierCost": "0.4", "maxReplicas": "3"},
        minReplicaCount=1,
        maxReplicaCount=3,
    )
    await cluster.scale(
        "dear", metadata={**TIER, "tierCost": "1", "maxReplicas": "4"}, maxReplicaCount=4
    )
    await cluster.until_decided("dear")

    cheap.running = 25
    record_property("cheap_s", await cluster.until_replicas("cheap", 3))
    assert await cluster.replicas("dear") == 0

    cheap.running = 55
    record_property("dear_s", await cluster.until_replicas("dear", 3))
    cheap.running, dear.running = 30, 25
    assert await cluster.replicas("cheap") == 3

    cheap.running, dear.running = 15, 0
    record_property("dear_gone_s", await cluster.until_replicas("dear", 0))
    await cluster.until_replicas("cheap", 2)
