"""The controller over a real HTTP API and a real gRPC stream."""

import copy

import pytest

from tests.controller.conftest import running

NAMESPACE = "research"


def rjob(**spec):
    return {
        "apiVersion": "kvtide.io/v1alpha1",
        "kind": "ReclaimableJob",
        "metadata": {"name": "pretrain", "namespace": NAMESPACE},
        "spec": {
            "jobRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "pretrain"},
            "replicas": 0,
            "minReplicas": 1,
            "maxReplicas": 4,
            "resize": "InPlace",
            "checkpointGracePeriodSeconds": 20,
            **spec,
        },
    }


def job(*, suspend=True, parallelism=1, **spec):
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "pretrain", "namespace": NAMESPACE},
        "spec": {
            "suspend": suspend,
            "parallelism": parallelism,
            "template": {"spec": {"terminationGracePeriodSeconds": 30}},
            **spec,
        },
    }


def scaled_object():
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "training", "namespace": NAMESPACE},
        "spec": {"scaleTargetRef": {"kind": "ReclaimableJob", "name": "pretrain"}},
    }


def pod(number):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"pretrain-{number}",
            "namespace": NAMESPACE,
            "labels": {"batch.kubernetes.io/job-name": "pretrain"},
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def install(api, *, replicas=0, driven=True, **job_spec):
    api.put("jobs", job(**job_spec))
    api.put("reclaimablejobs", rjob(replicas=replicas))
    if driven:
        api.put("scaledobjects", scaled_object())


def the(api, plural):
    (one,) = api.of(plural)
    return one


def scale(api, replicas):
    """Write spec.replicas as KEDA would."""
    written = copy.deepcopy(the(api, "reclaimablejobs"))
    written["spec"]["replicas"] = replicas
    api.put("reclaimablejobs", written)


def status(api):
    return the(api, "reclaimablejobs").get("status") or {}


def condition_reasons(api):
    return [one["reason"] for one in status(api).get("conditions", ())]


def told(api):
    """Return how often an Event was offered, taken or not."""
    return sum(path.endswith("/events") for _, path, _ in api.writes)


def event_reasons(api):
    return [one["reason"] for one in api.of("events")]


async def test_lends_and_takes_back(api, bench):
    install(api, replicas=3)
    bench.speaker.say(3)
    await bench.until(lambda: not the(api, "jobs")["spec"]["suspend"])
    assert the(api, "jobs")["spec"]["parallelism"] == 3
    for number in range(3):
        api.put("pods", pod(number))

    bench.speaker.say(0, "Reclaimed")
    await bench.until(lambda: the(api, "jobs")["spec"]["suspend"])
    assert status(api).get("phase") != "Suspended"
    for number in range(3):
        api.drop("pods", NAMESPACE, f"pretrain-{number}")
    await bench.until(lambda: status(api).get("phase") == "Suspended")
    await bench.until(lambda: "Reclaimed" in event_reasons(api))

    assert the(api, "reclaimablejobs")["spec"]["replicas"] == 0
    assert status(api)["lastReclaim"]["reason"] == "Reclaimed"
    assert status(api)["lastReclaim"]["workers"] == 3
    assert event_reasons(api) == ["Resuming", "Reclaiming", "Reclaimed"]
    assert bench.reclaimed[0][:2] == (NAMESPACE, "training")
    assert bench.speaker.watched == ["research/training"]


async def test_a_second_reclaim_is_told_and_measured_like_the_first(api, bench):
    install(api, replicas=3)
    for number in (1, 2):
        bench.speaker.say(3)
        if number > 1:
            await bench.until(lambda: "AwaitsReplicas" in condition_reasons(api))
            scale(api, 3)
        await bench.until(lambda: not the(api, "jobs")["spec"]["suspend"])
        api.put("pods", pod(0))
        bench.speaker.say(0, "Reclaimed")
        await bench.until(lambda: status(api).get("phase") == "Reclaiming")
        assert "freedTime" not in status(api)["lastReclaim"]

        api.drop("pods", NAMESPACE, "pretrain-0")
        await bench.until(lambda n=number: event_reasons(api).count("Reclaimed") == n)

        assert event_reasons(api).count("Reclaiming") == len(bench.reclaimed) == number
        assert status(api)["lastReclaim"]["seconds"] >= 0
        await bench.until(lambda: the(api, "reclaimablejobs")["spec"]["replicas"] == 0)


async def test_an_end_that_was_written_too_late_is_told_once(api, bench):
    install(api, replicas=3, suspend=False, parallelism=3)
    api.put("pods", pod(0))
    bench.speaker.say(0, "Reclaimed")
    await bench.until(lambda: the(api, "reclaimablejobs")["spec"]["replicas"] == 0)
    await bench.until(lambda: status(api).get("phase") == "Reclaiming")

    # Somebody writes between the look that sees the end and its status.
    api.interfere["/reclaimablejobs/pretrain/status"] = lambda: scale(api, 1)
    api.drop("pods", NAMESPACE, "pretrain-0")
    await bench.until(lambda: "Reclaimed" in event_reasons(api))
    await bench.until(lambda: the(api, "reclaimablejobs")["spec"]["replicas"] == 0)

    assert not api.interfere
    assert event_reasons(api).count("Reclaimed") == len(bench.reclaimed) == 1


async def test_what_could_not_be_told_is_made_good_by_whoever_follows_next(api):
    """An Event is lost with the Lease, or to a busy API server; the status says that it is owed."""
    install(api, replicas=3, suspend=False, parallelism=3)
    api.put("pods", pod(0))
    api.refuse["/events"] = 500
    async with running(api) as bench:
        bench.speaker.say(0, "Reclaimed")
        await bench.until(lambda: status(api).get("phase") == "Reclaiming")
        api.drop("pods", NAMESPACE, "pretrain-0")
        await bench.until(lambda: "freedTime" in status(api).get("lastReclaim", {}))
    assert not event_reasons(api)
    before = told(api)

    api.refuse.clear()
    for tries in (before + 2, before + 4):
        async with running(api) as bench:
            bench.speaker.say(0, "Reclaimed")
            await bench.until(lambda n=tries: told(api) >= n)

    assert event_reasons(api) == ["Reclaiming", "Reclaimed"]
    first, second = api.of("events")
    assert first["eventTime"] == status(api)["lastReclaim"]["startTime"]
    assert second["eventTime"] == status(api)["lastReclaim"]["freedTime"]


async def test_an_answer_that_is_lost_and_back_is_told_once_each(api, bench):
    install(api, replicas=3)
    bench.speaker.say(3)
    await bench.until(lambda: "Answered" in condition_reasons(api))

    bench.speaker.say(None, "BlindHold")
    await bench.until(lambda: "BlindHold" in condition_reasons(api))
    bench.speaker.say(3)
    await bench.until(lambda: "DataBack" in event_reasons(api))

    assert event_reasons(api) == ["Resuming", "DataLost", "DataBack"]


async def test_a_count_is_nobodys_before_it_is_known_who_drives_it(api):
    """KEDA's count would pass for a person's, and resume what the scaler has taken back."""
    install(api, replicas=3)
    api.refuse["/scaledobjects"] = 500
    async with running(api) as bench:
        await bench.until_read("reclaimablejobs")
        bench.speaker.say(2)
        api.refuse.clear()
        await bench.until(lambda: not the(api, "jobs")["spec"]["suspend"])

    resumed = [body for _, path, body in api.writes if path.endswith("/jobs/pretrain")]
    assert [body["spec"]["parallelism"] for body in resumed] == [2]


async def test_without_keda_a_count_is_a_persons(api):
    api.absent.add("scaledobjects")
    install(api, replicas=2, driven=False)
    async with running(api) as bench:
        await bench.until(lambda: not the(api, "jobs")["spec"]["suspend"])

    assert the(api, "jobs")["spec"]["parallelism"] == 2


async def test_stays_suspended_whatever_is_written_while_nothing_is_lent(api, bench):
    install(api, replicas=3, suspend=False, parallelism=3)
    bench.speaker.say(0, "Reclaimed")
    await bench.until(lambda: the(api, "reclaimablejobs")["spec"]["replicas"] == 0)

    for count in (3, 1, 4):
        scale(api, count)
        await bench.until(lambda: the(api, "reclaimablejobs")["spec"]["replicas"] == 0)

    assert the(api, "jobs")["spec"]["suspend"]
    resumed = [body for _, path, body in api.writes if path.endswith("/jobs/pretrain")]
    assert all(body["spec"]["suspend"] for body in resumed)


async def test_resumes_only_on_a_count_that_is_newer_than_the_reclaim(api, bench):
    install(api, replicas=3, suspend=False, parallelism=3)
    bench.speaker.say(0, "Reclaimed")
    await bench.until(lambda: the(api, "reclaimablejobs")["spec"]["replicas"] == 0)
    await bench.until(lambda: status(api).get("lastReclaim", {}).get("freedTime"))

    bench.speaker.say(2)
    await bench.until(lambda: "AwaitsReplicas" in condition_reasons(api))
    scale(api, 2)
    await bench.until(lambda: not the(api, "jobs")["spec"]["suspend"])

    assert the(api, "jobs")["spec"]["parallelism"] == 2


async def test_a_person_scales_what_nothing_drives(api, bench):
    install(api, replicas=2, driven=False)

    await bench.until(lambda: not the(api, "jobs")["spec"]["suspend"])

    assert the(api, "jobs")["spec"]["parallelism"] == 2
    assert bench.speaker.watched == []


async def test_an_elastic_indexed_job_keeps_its_completions_in_step(api, bench):
    indexed = {"completionMode": "Indexed", "completions": 4}
    install(api, replicas=4, suspend=False, parallelism=4, **indexed)
    bench.speaker.say(2)

    await bench.until(lambda: the(api, "jobs")["spec"]["parallelism"] == 2)

    assert the(api, "jobs")["spec"]["completions"] == 2


async def test_silence_holds_and_then_takes_back(api):
    async with running(api, blind_reclaim_after_s=1.0) as bench:
        install(api, replicas=3, suspend=False, parallelism=3)
        await bench.until(lambda: the(api, "jobs")["spec"]["suspend"])

    # A blind reclaim leaves spec.replicas to KEDA: it may be well.
    assert the(api, "reclaimablejobs")["spec"]["replicas"] == 3


async def test_a_watch_that_expired_starts_over(api, bench):
    install(api, replicas=2)
    bench.speaker.say(2)
    await bench.until(lambda: not the(api, "jobs")["spec"]["suspend"])

    api.expire()
    scale(api, 1)

    await bench.until(lambda: the(api, "jobs")["spec"]["parallelism"] == 1)


@pytest.mark.parametrize("code", [403, 500], ids=["RBAC", "server error"])
async def test_a_refused_suspend_is_told_and_tried_again(api, bench, code):
    install(api, replicas=3, suspend=False, parallelism=3)
    api.refuse["/jobs/pretrain"] = code
    bench.speaker.say(0, "Reclaimed")
    await bench.until(lambda: "ApiRefused" in event_reasons(api))

    api.refuse.clear()
    await bench.until(lambda: the(api, "jobs")["spec"]["suspend"])


async def test_a_job_that_is_gone_is_said_once(api, bench):
    api.put("reclaimablejobs", rjob(replicas=1))
    await bench.until(lambda: status(api).get("conditions"))
    scale(api, 2)
    await bench.until(lambda: status(api).get("observedGeneration") == 2)

    assert event_reasons(api) == ["JobNotFound"]
    assert status(api)["selector"] == "batch.kubernetes.io/job-name=pretrain"


async def test_kueue_keeps_suspend(api, bench):
    queued = job(suspend=False, parallelism=3)
    queued["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "research"}
    api.put("jobs", queued)
    api.put(
        "workloads",
        {
            "apiVersion": "kueue.x-k8s.io/v1beta1",
            "kind": "Workload",
            "metadata": {
                "name": "job-pretrain",
                "namespace": NAMESPACE,
                "labels": {"kueue.x-k8s.io/job-uid": "uid-pretrain"},
            },
            "spec": {"active": True},
        },
    )
    api.put("reclaimablejobs", rjob(replicas=3))
    api.put("scaledobjects", scaled_object())
    bench.speaker.say(0, "Reclaimed")

    await bench.until(lambda: the(api, "workloads")["spec"]["active"] is False)

    assert not the(api, "jobs")["spec"]["suspend"]
