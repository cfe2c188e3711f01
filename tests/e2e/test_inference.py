"""Inference through a real KEDA and a real HPA."""

import contextlib

import pytest
from kubernetes.aio.dynamic.exceptions import ForbiddenError

pytestmark = pytest.mark.cluster

TEN = {"maxConcurrency": "10", "targetUtilization": "1"}


async def test_from_zero_to_many_and_back(cluster, record_property):
    load = await cluster.serve("chat", replicas=0)
    await cluster.scale(
        "chat", metadata={**TEN, "gateway": "e2e", "gatewaySelector": "workload=chat"}
    )
    await cluster.until_replicas("chat", 0)

    load.at_gateway = 1
    record_property("wake_s", await cluster.until_replicas("chat", 1))
    load.running = load.at_gateway = 38
    record_property("scale_up_s", await cluster.until_replicas("chat", 4))
    load.running = load.at_gateway = 0
    record_property("to_zero_s", await cluster.until_replicas("chat", 0))


async def test_a_surge_panics(cluster, record_property):
    load = await cluster.serve("chat", replicas=1)
    load.running = 5
    await cluster.scale("chat", metadata={**TEN, "stableWindow": "60s"}, minReplicaCount=1)
    await cluster.until_decided("chat")

    load.running = 60
    record_property("panic_s", await cluster.until_replicas("chat", 6, 60))


async def test_an_owner_reads_in_events_what_happened(cluster):
    """What ``kubectl describe scaledobject`` shows: of data that is lost and back, too."""
    load = await cluster.serve("chat", replicas=1)
    load.running = 5
    metadata = {**TEN, "stableWindow": "60s", "holdFor": "1m"}
    await cluster.scale("chat", metadata=metadata, minReplicaCount=1, maxReplicaCount=4)
    await cluster.until_decided("chat")

    load.running = 60
    assert "4 replicas wanted" in await cluster.until_told("chat", "PanicBegan", 60)
    assert "4 replicas wanted" in await cluster.until_told("chat", "MaximumReached")
    load.running = 5
    await cluster.until_told("chat", "PanicOver", 180)

    await cluster.prometheus.stop()
    await cluster.until_told("chat", "DataLost")
    await cluster.prometheus.start_again()
    assert "there are readings again" in await cluster.until_told("chat", "DataBack")


async def test_replicas_hold_while_the_scaler_is_away(cluster, record_property):
    load = await cluster.serve("chat", replicas=1)
    load.running = 28
    await cluster.scale("chat", metadata=TEN)
    await cluster.until_replicas("chat", 3)

    await cluster.scaler.stop()
    load.running = 58
    with pytest.raises(TimeoutError):
        await cluster.until_replicas("chat", 6, 20)
    assert await cluster.replicas("chat") == 3
    await cluster.scaler.start(f"http://127.0.0.1:{cluster.http_port}/healthz")
    record_property("back_s", await cluster.until_replicas("chat", 6))


async def test_replicas_hold_while_prometheus_is_away(cluster, record_property):
    load = await cluster.serve("chat", replicas=1)
    load.running = 28
    await cluster.scale("chat", metadata={**TEN, "holdFor": "15s"})
    await cluster.until_replicas("chat", 3)

    before = set(await cluster.events("chat"))
    await cluster.prometheus.stop()
    load.running = 0

    async def held():
        return (await cluster.decision("chat"))["decision"]["reason"] == "Held"

    record_property("held_s", await cluster.until(held))
    assert not any("hold: " in text for text in await said_since(cluster, before))

    async def said():
        new = await said_since(cluster, before)
        return any("no fresh" in text or "hold: " in text for text in new)

    record_property("told_s", await cluster.until(said))
    assert await cluster.replicas("chat") == 3


async def said_since(cluster, before):
    return [text for text in await cluster.events("chat") if text not in before]


async def test_wrong_metadata_is_a_readable_event(cluster):
    await cluster.serve("chat", replicas=2)
    await cluster.scale("chat", metadata={"maxConcurency": "10", "targetUtilization": "7"})

    async def said():
        text = "\n".join(await cluster.events("chat"))
        return "maxConcurency" in text and "maxConcurrency" in text and "targetUtilization" in text

    await cluster.until(said)
    assert await cluster.replicas("chat") == 2


async def test_a_paused_object_stays(cluster):
    load = await cluster.serve("chat", replicas=2)
    load.running = 5
    await cluster.scale("chat", metadata=TEN)
    await cluster.until_replicas("chat", 1)

    annotations = {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}}
    await cluster.patch("keda.sh/v1alpha1", "ScaledObject", "chat", annotations)
    load.running = 45
    with pytest.raises(TimeoutError):
        await cluster.until_replicas("chat", 5, 25)


async def test_an_object_made_anew_under_another_name_takes_over(cluster, record_property):
    load = await cluster.serve("chat", replicas=1)
    load.running = 28
    await cluster.scale("chat", metadata=TEN, minReplicaCount=1)
    await cluster.until_replicas("chat", 3)

    await cluster.delete("keda.sh/v1alpha1", "ScaledObject", "chat")
    load.running = 58

    async def accepted():
        """KEDA's webhook refuses a second ScaledObject until its cache has lost the first."""
        with contextlib.suppress(ForbiddenError):
            await cluster.scale("talk", target={"name": "chat"}, metadata=TEN, minReplicaCount=1)
            return True
        return False

    await cluster.until(accepted)
    record_property("taken_over_s", await cluster.until_replicas("chat", 6))

    assert not [text for text in await cluster.events("talk") if "claims" in text]

    async def forgotten():
        return not await cluster.decision("chat")

    record_property("forgotten_s", await cluster.until(forgotten))
