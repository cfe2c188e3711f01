"""
The way to zero, as the repository's own manifests tell KEDA to take it.

KEDA 2.20 may take two failures that meet for "inactive". So what is recommended is tried where it
could go wrong: many objects, and no readings for two minutes.
"""

import asyncio
import contextlib

import pytest

from tests.e2e import recommended
from tests.e2e.conftest import deployment
from tests.e2e.stage import Intervals, Load
from tests.e2e.test_lending import job, reclaimable

pytestmark = pytest.mark.cluster

TEN = {"maxConcurrency": "10", "targetUtilization": "1"}
MANY = 24
AWAY_S = 120.0
BACK_S = 30.0
"""How long is looked at once Prometheus is there again."""
WORKERS = 4
PATIENCE_S = 240.0
"""
KEDA makes about one HPA a second at its default API rates, and from 20 polls a second on none: more
than 48 objects that are polled every 5 s would take minutes to be there.
"""
POOL = {
    "role": "training",
    "poolUnits": "10",
    "reservedUnits": "2",
    "headroomUnits": "0",
    "lendDelay": "1s",
    "minRuntime": "0s",
    "maxWorkers": str(WORKERS),
}
STEADY = {"stableWindow": "15s"}
"""Three scrapes of the many."""
many = pytest.mark.parametrize(
    "cluster", [Intervals(engine="5s", cluster="5s", gateway="5s")], indirect=True
)


def names(setting):
    """Return the names of a setting's objects."""
    return [f"{setting}-{number:02}" for number in range(MANY)]


@many
async def test_inference_is_never_at_zero_without_prometheus(cluster, record_property):
    found = recommended.inference()
    assert found["readme"] == found["example"]
    wanted = {}
    for setting, where in (("warm", "readme"), ("zero", "chart, to zero")):
        spec = dict(found[where])
        metadata = {**TEN, **STEADY, **spec.pop("metadata"), "gateway": "e2e"}
        for name in names(setting):
            cluster.stage.loads[name] = Load(running=28, at_gateway=28)
            await cluster.create(deployment(name, 1))
            own = {**metadata, "gatewaySelector": f"workload={name}"}
            await cluster.scale(name, metadata=own, **spec)
            wanted[name] = 3

    await stays_without_prometheus(cluster, cluster.counts, wanted, record_property)


BORROWERS = {"job": "readme", "gang": "chart, a Job", "batch": "example"}
"""What borrows, and where it is recommended."""


@many
@pytest.mark.parametrize("setting", BORROWERS)
async def test_training_is_never_at_zero_without_prometheus(
    cluster, follower, setting, record_property
):
    load = await cluster.serve("chat", replicas=1)
    load.running = 1
    service = {**TEN, **STEADY, "unitsPerReplica": "1"}
    await cluster.scale("chat", metadata=service, minReplicaCount=1)
    wanted = {}
    kind, spec = recommended.training()[BORROWERS[setting]]
    del spec["metadata"]
    for name in names(setting):
        if kind == "Deployment":
            await cluster.create(deployment(name, 0))
            await borrow(cluster, name, {"name": name}, spec)
        else:
            await borrow_with_a_job(cluster, name, spec)
        wanted[name] = WORKERS

    async def counts():
        listed = await cluster.stage.objects("kvtide.io/v1alpha1", "ReclaimableJob")
        counted = {one["metadata"]["name"]: one["spec"].get("replicas", 0) for one in listed}
        jobs = await cluster.stage.objects("batch/v1", "Job")
        counted |= {one["metadata"]["name"]: 0 for one in jobs if one["spec"].get("suspend")}
        return counted | await cluster.counts()

    await stays_without_prometheus(cluster, counts, wanted, record_property)


async def borrow_with_a_job(cluster, name, spec):
    await cluster.create(job(name))
    rjob = reclaimable(name)
    rjob["spec"] |= {"maxReplicas": WORKERS, "resize": "Never"}
    rjob["spec"] |= {} if spec["minReplicaCount"] else {"minReplicas": 1}
    await cluster.create(rjob)
    target = {"apiVersion": "kvtide.io/v1alpha1", "kind": "ReclaimableJob", "name": name}
    await borrow(cluster, name, target, spec)


async def borrow(cluster, name, target, spec):
    metadata = {**POOL, **STEADY, "poolWorkloads": f"{cluster.namespace}/chat"}
    if spec["minReplicaCount"]:
        metadata |= {"minWorkers": str(spec["minReplicaCount"]), "resizable": "false"}
    kind = target.get("kind", "Deployment")
    metadata["workload"] = f"{kind}/{name}"
    await cluster.scale(name, target=target, metadata=metadata, **spec)


async def stays_without_prometheus(cluster, counts, wanted, record_property):
    """Kill Prometheus where all have what they want; expect that none ever has less."""
    last = {}

    async def there():
        now = await counts()
        last.update({name: now.get(name) for name in wanted})
        return last == wanted

    try:
        record_property("up_s", await cluster.until(there, PATIENCE_S, every_s=2.0))
    except TimeoutError:
        pytest.fail(
            f"not up: { ({name: last[name] for name in wanted if last[name] != wanted[name]}) }"
        )
    await cluster.prometheus.stop(kill=True)
    fallen = await fallen_of(cluster, counts, wanted, AWAY_S)
    await cluster.prometheus.start(f"http://127.0.0.1:{cluster.prometheus_port}/-/ready")
    after = await fallen_of(cluster, counts, wanted, BACK_S)
    for when, found in (("fallen", fallen), ("fallen_after", after)):
        record_property(when, " ".join(f"{name}:{told}" for name, told in sorted(found.items())))
    assert {**fallen, **after} == {}


async def fallen_of(cluster, counts, wanted, seconds):
    """Return who had less than it wanted while time passed, and what kvtide said of it then."""
    fallen = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                for name, count in (await counts()).items():
                    if count < wanted.get(name, 0) and name not in fallen:
                        decided = (await cluster.decision(name)).get("decision") or {}
                        fallen[name] = decided.get("reason", "NoDecision")
                await asyncio.sleep(0.5)
    return fallen


async def least_of(counts, seconds):
    """Return the least that each had while time passed."""
    least = await counts()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                least = {name: min(least[name], now) for name, now in (await counts()).items()}
                await asyncio.sleep(0.25)
    return least


CHOICES = {
    "one": {"minReplicaCount": 1, "cooldownPeriod": 60},
    "both": {"minReplicaCount": 0, "cooldownPeriod": 60, "cached": True},
    "minute": {"minReplicaCount": 0, "cooldownPeriod": 60},
    "five": {"minReplicaCount": 0, "cooldownPeriod": 300},
    "cached": {"minReplicaCount": 0, "cooldownPeriod": 0, "cached": True},
}


@many
async def test_the_seconds_to_zero_that_each_choice_costs(cluster, record_property):
    busy = {name: Load(running=5, at_gateway=5) for name in CHOICES}
    await asyncio.gather(*(cluster.serve(name, replicas=1, load=busy[name]) for name in CHOICES))
    for name, spec in CHOICES.items():
        gateway = {"gateway": "e2e", "gatewaySelector": f"workload={name}"}
        metadata = {**TEN, **gateway, "forecast": "off"}
        await cluster.scale(name, metadata=metadata, pollingInterval=5, **spec)
    for name in CHOICES:
        await cluster.until(lambda name=name: decides(cluster, name, 1))
    await asyncio.sleep(15)
    seconds = await asyncio.gather(*(to_zero(cluster, name) for name in CHOICES))
    took = dict(zip(CHOICES, seconds, strict=True))

    assert took.pop("one") is None
    for name, seconds in took.items():
        record_property(f"{name}_s", seconds)
    assert all(took.values()), took
    for name, seconds in took.items():
        cooldown_s = CHOICES[name]["cooldownPeriod"]
        # A poll before kvtide's zero was the last active one, the first after the wait acts.
        assert cooldown_s - 6 <= seconds <= cooldown_s + 12


async def to_zero(cluster, name):
    """Return the seconds from kvtide's zero to none; None: it stays at one."""
    load = cluster.stage.loads[name]
    load.running = load.at_gateway = 0
    if not CHOICES[name]["minReplicaCount"]:
        await cluster.until(lambda: decides(cluster, name, 0))
    try:
        return await cluster.until_replicas(name, 0, 330)
    except TimeoutError:
        assert await cluster.replicas(name) == 1
        return None


async def decides(cluster, name, replicas):
    decided = (await cluster.decision(name)).get("decision") or {}
    return decided.get("replicas") == replicas


async def test_a_wake_does_not_fall_back_while_its_pod_loads(cluster, record_property):
    """The first pod takes 20 s; until then nothing but the gateway says that it is needed."""
    spec = dict(recommended.inference()["chart, to zero"])
    metadata = {**TEN, **spec.pop("metadata")}
    woken = names("wake")[:8]
    for name in woken:
        cluster.stage.loads[name] = Load()
        slow = deployment(name, 0)
        slow["spec"]["template"]["metadata"]["annotations"] = {"e2e/ready-s": "20"}
        await cluster.create(slow)
        gateway = {"gateway": "e2e", "gatewaySelector": f"workload={name}"}
        await cluster.scale(name, metadata={**metadata, **gateway}, **spec)
    for name in woken:
        await cluster.until(lambda name=name: decides(cluster, name, 0))

    for name in woken:
        cluster.stage.loads[name].at_gateway = 1
        record_property(f"wake_{name}_s", await cluster.until_replicas(name, 1))

    assert await least_of(cluster.counts, 60.0) == dict.fromkeys(woken, 1)
