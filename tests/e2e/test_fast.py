"""The fast path: scaled out ahead of a real HPA, and the idlest replica goes first."""

import pytest

pytestmark = pytest.mark.cluster

FAST = {"maxConcurrency": "10", "targetUtilization": "1", "fastPath": "true"}
SURGE = {**FAST, "stableWindow": "60s", "panicWindowPercentage": "10"}
AT_THE_GATEWAY = {"gateway": "e2e", "gatewaySelector": "workload=chat"}
SOON_S = 5.0
"""A scrape, a tick and a write on a busy machine; the HPA looks every fifteen."""
ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"

fast = pytest.mark.parametrize("follower", [("--fast-path",)], indirect=True)


@fast
async def test_from_zero_to_all_it_needs_at_once(cluster, follower, record_property):
    load = await cluster.serve("chat", replicas=0)
    await cluster.scale("chat", metadata={**FAST, **AT_THE_GATEWAY})
    await cluster.until_seen("chat")
    await until_ready(cluster)

    load.at_gateway = 38
    record_property("zero_to_four_s", await cluster.until_replicas("chat", 4, SOON_S))

    async def told():
        return any("ahead of the HPA" in text for text in await cluster.events("chat"))

    await cluster.until(told, SOON_S)
    load.running = 38
    await stays(cluster, 4, 20)


@fast
async def test_a_surge_is_there_before_the_hpa_looks(cluster, follower, record_property):
    load = await cluster.serve("chat", replicas=1)
    load.running = 5
    await cluster.scale("chat", metadata=SURGE, minReplicaCount=1)
    await cluster.until_seen("chat")
    await until_ready(cluster)
    await until_read(cluster)

    load.running = 60
    record_property("panic_s", await cluster.until(lambda: differs(cluster, 1), SOON_S))
    record_property("all_s", await cluster.until_replicas("chat", 6, 15))

    await stays(cluster, 6, 20)


@fast
async def test_what_is_paused_on_the_way_out_is_not_scaled_out(cluster, follower):
    load = await cluster.serve("chat", replicas=1)
    load.running = 5
    await cluster.scale("chat", metadata=SURGE, minReplicaCount=1)
    await cluster.until_seen("chat")
    await until_ready(cluster)
    notes = {"metadata": {"annotations": {"autoscaling.keda.sh/paused-scale-out": "true"}}}
    await cluster.patch("keda.sh/v1alpha1", "ScaledObject", "chat", notes)

    load.running = 60
    await until_panic(cluster)

    await stays(cluster, 1, 20)


@pytest.mark.parametrize("follower", [("--pod-deletion-cost",)], indirect=True)
async def test_the_idlest_replica_goes_first(cluster, follower, record_property):
    load = await cluster.serve("chat", replicas=3)
    load.running = 27
    await cluster.scale("chat", metadata=FAST, minReplicaCount=1)
    await cluster.until(lambda: pods_ready(cluster, 3))
    idlest, *others = sorted(await costs(cluster))
    load.pods = {idlest: 1.0, **dict.fromkeys(others, 9.0)}

    async def priced():
        return await costs(cluster) == {idlest: "1", **dict.fromkeys(others, "9")}

    record_property("priced_s", await cluster.until(priced))
    await cluster.until_replicas("chat", 2)

    async def gone():
        return set(await costs(cluster)) == set(others)

    await cluster.until(gone)


@pytest.mark.parametrize("follower", [("--pod-deletion-cost",)], indirect=True)
async def test_no_request_is_cut_by_a_scale_down(cluster, follower, record_property):
    load = await cluster.serve("chat", replicas=4)
    load.running = 36
    await cluster.scale("chat", metadata=FAST, minReplicaCount=1)
    await cluster.until(lambda: pods_ready(cluster, 4))
    busy, *idle = sorted(await costs(cluster))
    load.pods = {busy: 27.0, **dict.fromkeys(idle, 3.0)}

    async def priced():
        return await costs(cluster) == {busy: "27", **dict.fromkeys(idle, "3")}

    await cluster.until(priced)
    load.pods = {busy: 9.0, **dict.fromkeys(idle, 0.0)}
    record_property("to_one_s", await cluster.until_replicas("chat", 1))

    async def alone():
        return set(await costs(cluster)) == {busy}

    await cluster.until(alone)


async def stays(cluster, count, seconds):
    """Expect no other count for a time: the HPA finds what it would have set."""
    with pytest.raises(TimeoutError):
        await cluster.until(lambda: differs(cluster, count), seconds)


async def differs(cluster, count):
    return await cluster.replicas("chat") != count


async def until_ready(cluster):
    async def ready():
        found = await cluster.get("keda.sh/v1alpha1", "ScaledObject", "chat")
        conditions = (found.get("status") or {}).get("conditions") or ()
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    await cluster.until(ready)


async def until_read(cluster):
    async def read():
        decided = (await cluster.decision("chat")).get("decision") or {}
        return decided.get("load") is not None

    await cluster.until(read)


async def until_panic(cluster):
    async def panics():
        return bool(((await cluster.decision("chat")).get("decision") or {}).get("panic"))

    await cluster.until(panics)


async def pods_ready(cluster, count):
    pods = await cluster.stage.objects("v1", "Pod")
    conditions = [(pod.get("status") or {}).get("conditions") or () for pod in pods]
    ready = [any(one["type"] == "Ready" for one in listed) for listed in conditions]
    return sum(ready) == count


async def costs(cluster):
    """Return the deletion cost of each pod that stays."""
    return {
        pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get(ANNOTATION)
        for pod in await cluster.stage.objects("v1", "Pod")
        if "deletionTimestamp" not in pod["metadata"]
    }
