"""Training on borrowed GPUs: a plain Job behind a ReclaimableJob, KEDA and the controller."""

import asyncio
import re

import pytest

from scaler.check.zero import SAFE_COOLDOWN_S
from tests.e2e import recommended

pytestmark = pytest.mark.cluster

BOUND_S = 10.0
"""Seconds from the load, or from when a new controller answers its probe, to the Job's suspend."""
OWN = ("trigger", "metadata")
"""Of what is recommended, what the tests state themselves."""
SERVICE = {
    "maxConcurrency": "10",
    "targetUtilization": "1",
    "unitsPerReplica": "1",
    # One burst after another is what a forecast learns: it would keep units for the next one.
    "forecast": "off",
}
POOL = {
    "role": "training",
    "poolUnits": "10",
    "reservedUnits": "2",
    "headroomUnits": "0",
    "lendDelay": "1s",
    "minRuntime": "0s",
}


def job(name, late_s=2):
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "suspend": True,
            "parallelism": 1,
            "backoffLimit": 1000,
            "template": {
                "metadata": {"annotations": {"e2e/run-s": "100000", "e2e/term-s": str(late_s)}},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 30,
                    "containers": [{"name": "trainer", "image": "registry.k8s.io/pause:3.10"}],
                },
            },
        },
    }


def reclaimable(name, grace_s=10):
    return {
        "apiVersion": "kvtide.io/v1alpha1",
        "kind": "ReclaimableJob",
        "metadata": {"name": name},
        "spec": {
            "jobRef": {"apiVersion": "batch/v1", "kind": "Job", "name": name},
            "maxReplicas": 8,
            "resize": "InPlace",
            "checkpointGracePeriodSeconds": grace_s,
        },
    }


async def start(cluster, late_s=2, **spec):
    """Install a service with a small load, and a Job whose pods take a while to end."""
    load = await cluster.serve("chat", replicas=1)
    load.running = 5
    await cluster.scale(
        "chat",
        metadata=SERVICE,
        minReplicaCount=1,
    )
    await cluster.create(job("train", late_s))
    await cluster.create(reclaimable("train"))
    target = {"apiVersion": "kvtide.io/v1alpha1", "kind": "ReclaimableJob", "name": "train"}
    await cluster.scale(
        "train",
        target=target,
        trigger="external",
        metadata={**POOL, "poolWorkloads": f"{cluster.namespace}/chat"},
        **spec,
    )
    return load


def suspended(cluster, wanted):
    async def holds():
        found = await cluster.get("batch/v1", "Job", "train")
        return bool(found["spec"].get("suspend")) is wanted

    return holds


def workers(cluster, count):
    async def holds():
        pods = await cluster.stage.objects("v1", "Pod")
        mine = [one for one in pods if one["metadata"]["name"].startswith("train-")]
        return len(mine) == count

    return holds


async def test_lends_reclaims_at_once_and_lends_again(cluster, follower, record_property):
    load = await start(cluster)
    record_property("lent_s", await cluster.until(suspended(cluster, wanted=False)))
    record_property("grown_s", await cluster.until(workers(cluster, 8)))

    load.running = 90
    record_property("suspended_s", await cluster.until(suspended(cluster, wanted=True)))
    record_property("freed_s", await cluster.until(workers(cluster, 0)))

    async def told():
        found = await cluster.get("kvtide.io/v1alpha1", "ReclaimableJob", "train")
        return "seconds" in (found.get("status") or {}).get("lastReclaim", {})

    await cluster.until(told)
    load.running = 5
    record_property("lent_again_s", await cluster.until(suspended(cluster, wanted=False)))


async def test_three_reclaims_in_a_row_of_pods_that_end_late(cluster, follower, record_property):
    load = await start(cluster, late_s=25)
    for number in (1, 2, 3):
        load.running = 5
        await cluster.until(workers(cluster, 8))
        load.running = 90
        await cluster.until(suspended(cluster, wanted=True))
        record_property(f"freed_{number}_s", await cluster.until(workers(cluster, 0)))

        async def told(n=number):
            return len(await of_reason(cluster, "Reclaimed")) == n

        await cluster.until(told)
        last = await last_reclaim(cluster)
        record_property(f"reclaim_{number}_s", last["seconds"])
        assert last["startTime"] < last["freedTime"]
        # The grace, and a look or two (or more, on a busy machine): the pods would have taken 25 s.
        assert 10 <= last["seconds"] < 20
        assert len(await of_reason(cluster, "Reclaiming")) == number


async def test_the_controller_takes_back_at_once_where_keda_would_wait(
    cluster, follower, record_property
):
    """With what is recommended KEDA alone needs a minute, and here it has not that long."""
    kind, spec = recommended.training()["readme"]
    assert kind == "ReclaimableJob"
    assert spec["cooldownPeriod"] >= SAFE_COOLDOWN_S
    load = await start(cluster, **{key: one for key, one in spec.items() if key not in OWN})
    await cluster.until(workers(cluster, 8))

    load.running = 90
    record_property("suspended_s", seconds := await cluster.until(suspended(cluster, wanted=True)))
    record_property("freed_s", await cluster.until(workers(cluster, 0)))
    assert seconds < BOUND_S


async def test_a_controller_that_was_killed_before_a_reclaim_is_back_in_time(
    cluster, follower, record_property
):
    """The old one's Lease runs out, the new one reads the cluster and hears the scaler."""
    load = await start(cluster)
    await cluster.until(workers(cluster, 8))
    await follower.stop(kill=True)
    load.running = 90
    await follower.start_again()
    record_property("suspended_s", seconds := await cluster.until(suspended(cluster, wanted=True)))
    assert seconds < BOUND_S


async def last_reclaim(cluster):
    found = await cluster.get("kvtide.io/v1alpha1", "ReclaimableJob", "train")
    return (found.get("status") or {}).get("lastReclaim", {})


async def of_reason(cluster, reason):
    """Return the Events of the ReclaimableJob; the scaler tells of its own on the ScaledObject."""
    events = await cluster.stage.objects("events.k8s.io/v1", "Event")
    mine = [one for one in events if one["regarding"]["kind"] == "ReclaimableJob"]
    return [one for one in mine if one.get("reason") == reason]


async def test_stays_suspended_in_the_band(cluster, follower):
    load = await start(cluster)
    await cluster.until(suspended(cluster, wanted=False))
    load.running = 90
    await cluster.until(suspended(cluster, wanted=True))

    load.running = 69
    await asyncio.sleep(20)

    assert await suspended(cluster, wanted=True)()


async def test_a_person_cannot_resume_what_is_reclaimed(cluster, follower):
    load = await start(cluster)
    await cluster.until(suspended(cluster, wanted=False))
    load.running = 90
    await cluster.until(suspended(cluster, wanted=True))

    await cluster.patch("batch/v1", "Job", "train", {"spec": {"suspend": False}})

    await cluster.until(suspended(cluster, wanted=True))


async def test_an_owner_reads_in_events_what_happened(cluster, follower):
    """What ``kubectl describe`` shows of the ReclaimableJob, and of its ScaledObject."""
    load = await start(cluster)
    await cluster.until(workers(cluster, 8))
    load.running = 90
    await cluster.until(workers(cluster, 0))
    await cluster.until(told(cluster, "ReclaimableJob", "Reclaimed"))
    assert "gave their GPUs back in" in await notes(cluster, "ReclaimableJob", "Reclaimed")

    assert "8 workers" in await cluster.until_told("train", "Reclaiming")
    assert re.search(r"gone after \d+\.\d s", await cluster.until_told("train", "Reclaimed"))
    load.running = 5
    assert "8 workers" in await cluster.until_told("train", "LendingBegan")


def told(cluster, kind, reason):
    async def holds():
        return bool(await notes(cluster, kind, reason))

    return holds


async def notes(cluster, kind, reason):
    """Return what the Events of a reason say of the training workload's objects."""
    found = [one for one in await of_reason(cluster, reason) if one["regarding"]["kind"] == kind]
    return " ".join(one["note"] for one in found if one["regarding"]["name"] == "train")
