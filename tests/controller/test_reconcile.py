"""What the controller does about one ReclaimableJob, for everything that it can see."""

import dataclasses

import pytest

from scaler.controller.plan import (
    Activate,
    DeletePods,
    RequestCheckpoint,
    ResizeTo,
    Resume,
    Suspend,
    ZeroReplicas,
)
from scaler.controller.reconcile import reconcile
from scaler.controller.seen import Borrower, Job, Pod, Reclaim, Resize, Seen, Word, format_time

NOW_S = 1_000_000.0
BLIND_S = 300.0

BORROWER = Borrower(
    namespace="research",
    name="pretrain",
    generation=5,
    job_api_version="batch/v1",
    job_kind="Job",
    job_name="pretrain",
    replicas=3,
    min_replicas=1,
    max_replicas=3,
    resize=Resize.IN_PLACE,
    grace_s=20.0,
    signal=None,
)
RUNNING = Job(
    suspended=False,
    workers=3,
    finished=False,
    queued=False,
    workload_active=None,
    termination_grace_s=30.0,
)
SUSPENDED = dataclasses.replace(RUNNING, suspended=True)
QUEUED = dataclasses.replace(RUNNING, queued=True, workload_active=True)
PODS = tuple(Pod(name=f"pretrain-{k}", ready=True) for k in range(3))
RECLAIM = Reclaim(started_s=NOW_S - 5, reason="Reclaimed", workers=3, generation=5)


def word(workers, *, age_s=1.0, reason="Lent"):
    return Word(workers=workers, reason=reason, heard_s=NOW_S - age_s)


def seen(job=RUNNING, *, pods=PODS, lent=3, last=None, **borrower):
    return Seen(
        now_s=NOW_S,
        borrower=dataclasses.replace(BORROWER, last_reclaim=last, **borrower),
        job=job,
        pods=pods,
        word=lent if isinstance(lent, Word) or lent is None else word(lent),
        listening_since_s=NOW_S - 10,
    )


def actions(one):
    return list(reconcile(one, BLIND_S).actions)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(seen(), [], id="running with what is lent: nothing"),
        pytest.param(seen(lent=2), [ResizeTo(workers=2)], id="fewer lent: at once"),
        pytest.param(seen(lent=9), [], id="more lent than asked for: nothing"),
        pytest.param(seen(replicas=2), [ResizeTo(workers=2)], id="fewer asked for"),
        pytest.param(seen(lent=0), [Suspend(), ZeroReplicas()], id="reclaimed while KEDA says 3"),
        pytest.param(seen(lent=0, replicas=0), [Suspend()], id="reclaimed, KEDA says 0 too"),
        pytest.param(seen(replicas=0), [Suspend()], id="KEDA alone says 0"),
        pytest.param(
            seen(replicas=1, min_replicas=2, lent=2), [Suspend()], id="less than the gang is none"
        ),
        pytest.param(
            seen(SUSPENDED, pods=()), [Resume(workers=3)], id="lent and asked for: resume"
        ),
        pytest.param(seen(SUSPENDED, pods=(), lent=2), [Resume(workers=2)], id="at the lent size"),
        pytest.param(seen(SUSPENDED), [], id="not beside the old pods"),
        pytest.param(
            seen(SUSPENDED, pods=(), lent=0, last=RECLAIM),
            [ZeroReplicas()],
            id="whatever is written while the word is 0 is set back",
        ),
        pytest.param(
            seen(SUSPENDED, pods=(), last=dataclasses.replace(RECLAIM, freed_s=NOW_S)),
            [],
            id="a count of before the reclaim resumes nothing",
        ),
        pytest.param(
            seen(
                SUSPENDED,
                pods=(),
                last=dataclasses.replace(RECLAIM, freed_s=NOW_S),
                generation=6,
            ),
            [Resume(workers=3)],
            id="one written after it does",
        ),
        pytest.param(seen(lent=None), [], id="not heard yet: hold"),
        pytest.param(seen(lent=word(None)), [], id="no answer: hold"),
        pytest.param(seen(lent=word(3, age_s=299)), [], id="silent for a while: hold"),
        pytest.param(seen(lent=word(3, age_s=301)), [Suspend()], id="silent for too long: back"),
        pytest.param(
            seen(dataclasses.replace(RUNNING, finished=True), lent=0),
            [],
            id="a finished Job is over",
        ),
        pytest.param(seen(None, pods=()), [], id="there is no such Job"),
        pytest.param(seen(job_kind="CronJob"), [], id="a kind that cannot borrow"),
        pytest.param(
            seen(dataclasses.replace(RUNNING, shuts_down=False), job_kind="RayJob"),
            [],
            id="a RayJob that cannot be suspended",
        ),
    ],
)
def test_what_is_done(one, expected):
    assert actions(one) == expected


def test_a_person_may_scale_what_no_scaled_object_drives():
    alone = dataclasses.replace(seen(replicas=2, lent=None), scaled=False)

    assert actions(alone) == [ResizeTo(workers=2)]
    assert actions(dataclasses.replace(alone, now_s=NOW_S + 9_999)) == [ResizeTo(workers=2)]


@pytest.mark.parametrize(
    ("resize", "lent", "expected"),
    [
        pytest.param(Resize.NEVER, 2, [Suspend()], id="never: all or nothing"),
        pytest.param(Resize.NEVER, 3, [], id="never: all"),
        pytest.param(Resize.RESTART, 2, [Suspend()], id="restart: a suspend first"),
        pytest.param(Resize.IN_PLACE, 2, [ResizeTo(workers=2)], id="in place"),
    ],
)
def test_resize_rules(resize, lent, expected):
    assert actions(seen(resize=resize, lent=lent)) == expected


def test_a_restart_for_more_waits_for_its_pause_and_one_for_less_does_not():
    small = dataclasses.replace(RUNNING, workers=2)
    young = {"resize": Resize.RESTART, "resized_s": NOW_S - 100}

    plan = reconcile(seen(small, **young), BLIND_S)

    assert (plan.actions, plan.again_s) == ((), 200.0)
    assert actions(seen(lent=2, **young)) == [Suspend()]


@pytest.mark.parametrize(
    ("job", "lent", "expected"),
    [
        pytest.param(QUEUED, 0, [Activate(active=False), ZeroReplicas()], id="reclaim"),
        pytest.param(
            dataclasses.replace(QUEUED, workload_active=False),
            3,
            [Activate(active=True)],
            id="lend",
        ),
        pytest.param(
            dataclasses.replace(QUEUED, suspended=True), 3, [], id="admission is Kueue's to give"
        ),
    ],
)
def test_kueue_owns_suspend(job, lent, expected):
    plan = reconcile(seen(job, lent=lent), BLIND_S)

    assert list(plan.actions) == expected
    assert any(one["type"] == "ManagedByKueue" for one in plan.status["conditions"])


def test_a_checkpoint_is_asked_for_before_the_suspend():
    names = tuple(pod.name for pod in PODS)
    signalled = seen(lent=0, signal="annotation", replicas=0)
    asked = dataclasses.replace(RUNNING, checkpoint_requested=format_time(NOW_S - 5))
    done = dataclasses.replace(asked, checkpoint_done=format_time(NOW_S - 1))
    stale = dataclasses.replace(asked, checkpoint_done=format_time(NOW_S - 99))
    waits = {"lent": 0, "signal": "annotation", "replicas": 0, "last": RECLAIM}

    assert actions(signalled) == [RequestCheckpoint(by="annotation", pods=names)]
    assert actions(seen(asked, **waits)) == []
    assert actions(seen(stale, **waits)) == []
    assert actions(seen(done, **waits)) == [Suspend()]
    assert actions(seen(asked, **waits, grace_s=4.0)) == [Suspend()]


def test_pods_that_outlive_their_grace_are_deleted():
    late = dataclasses.replace(RECLAIM, started_s=NOW_S - 21)
    names = tuple(pod.name for pod in PODS)

    assert actions(seen(SUSPENDED, lent=0, replicas=0, last=RECLAIM)) == []
    assert actions(seen(SUSPENDED, lent=0, replicas=0, last=late)) == [DeletePods(pods=names)]


def test_a_reclaim_is_measured_from_the_word_to_the_last_pod():
    begun = reconcile(seen(lent=word(0, reason="Reclaimed")), BLIND_S)
    over = reconcile(seen(SUSPENDED, pods=(), lent=0, replicas=0, last=RECLAIM), BLIND_S)

    assert begun.status["lastReclaim"]["startTime"] == format_time(NOW_S)
    assert begun.status["lastReclaim"]["workers"] == 3
    assert begun.status["phase"] == "Reclaiming"
    assert begun.again_s == 0.5
    assert [event.reason for event in begun.events] == ["Reclaiming"]
    assert over.reclaim_s == 5.0
    assert over.status["lastReclaim"]["seconds"] == 5.0
    assert over.status["phase"] == "Suspended"
    assert [event.reason for event in over.events] == ["Reclaimed"]


def test_a_reclaim_is_told_once():
    going = reconcile(seen(SUSPENDED, lent=0, replicas=0, last=RECLAIM), BLIND_S)
    over = dataclasses.replace(RECLAIM, freed_s=NOW_S - 2)
    rest = reconcile(seen(SUSPENDED, pods=(), lent=0, replicas=0, last=over), BLIND_S)

    assert not going.events
    assert not rest.events
    assert rest.reclaim_s is None


@pytest.mark.parametrize(
    ("ago_s", "freed_ago_s", "owed"),
    [
        pytest.param(5, None, ["Reclaiming"], id="under way"),
        pytest.param(5, 2, ["Reclaiming", "Reclaimed"], id="over"),
        pytest.param(700, 2, ["Reclaimed"], id="begun long ago"),
        pytest.param(5_000, 4_000, [], id="long over"),
    ],
)
def test_what_a_reclaim_owes_is_in_its_status(ago_s, freed_ago_s, owed):
    freed_s = None if freed_ago_s is None else NOW_S - freed_ago_s
    last = dataclasses.replace(RECLAIM, started_s=NOW_S - ago_s, freed_s=freed_s)
    pods = PODS if freed_s is None else ()
    plan = reconcile(seen(SUSPENDED, pods=pods, lent=0, replicas=0, last=last), BLIND_S)

    assert [event.reason for event in plan.owed] == owed
    assert all(event.identity for event in plan.owed)


def test_zero_seen_makes_later_counts_newer_than_the_reclaim():
    rest = reconcile(
        seen(SUSPENDED, pods=(), lent=0, replicas=0, generation=9, last=RECLAIM), BLIND_S
    )

    assert rest.status["lastReclaim"]["generation"] == 9


@pytest.mark.parametrize(
    ("one", "phase"),
    [
        pytest.param(seen(), "Running", id="every pod is ready"),
        pytest.param(
            seen(pods=(*PODS[:2], dataclasses.replace(PODS[2], ready=False))),
            "Resuming",
            id="one is not yet",
        ),
        pytest.param(seen(pods=()), "Resuming", id="none is there yet"),
        pytest.param(seen(SUSPENDED, lent=0), "Reclaiming", id="pods are going"),
        pytest.param(seen(SUSPENDED, pods=(), replicas=0), "Suspended", id="nothing runs"),
    ],
)
def test_phases(one, phase):
    assert reconcile(one, BLIND_S).status["phase"] == phase


@pytest.mark.parametrize(
    ("one", "condition", "says"),
    [
        pytest.param(seen(None), ("Ready", "False", "JobNotFound"), "no Job/pretrain", id="gone"),
        pytest.param(
            seen(job_kind="CronJob"), ("Ready", "False", "UnsupportedKind"), "CronJob", id="kind"
        ),
        pytest.param(
            seen(dataclasses.replace(RUNNING, finished=True)),
            ("Ready", "False", "JobFinished"),
            "finished",
            id="finished",
        ),
        pytest.param(
            seen(grace_s=60.0),
            ("GraceTooLong", "True", "GraceTooLong"),
            "is 60, more than the pods",
            id="grace",
        ),
        pytest.param(seen(), ("Ready", "True", "Following"), "lends 3", id="well"),
        pytest.param(seen(lent=0), ("Lent", "False", "Lent"), "lends nothing", id="not lent"),
    ],
)
def test_conditions_say_what_is_wrong(one, condition, says):
    conditions = reconcile(one, BLIND_S).status["conditions"]

    (found,) = [one for one in conditions if one["type"] == condition[0]]
    assert (found["type"], found["status"], found["reason"]) == condition
    assert says in found["message"]


def test_the_selector_is_never_empty():
    for one in (seen(), seen(None), seen(job_kind="CronJob")):
        assert reconcile(one, BLIND_S).status["selector"].endswith("=pretrain")


def test_trouble_is_an_event():
    assert reconcile(seen(None), BLIND_S).events[0].warning


@pytest.mark.parametrize(
    ("before", "one", "told"),
    [
        (True, seen(lent=word(None, reason="BlindHold")), ["DataLost"]),
        (True, seen(lent=word(3, age_s=301)), ["DataLost"]),
        (True, seen(lent=word(0, reason="BlindReclaim")), ["DataLost"]),
        (False, seen(lent=word(None, reason="BlindHold")), []),
        (False, seen(lent=3), ["DataBack"]),
        (False, seen(lent=word(0, reason="NotLending")), ["DataBack"]),
        (True, seen(lent=3), []),
        (None, seen(lent=word(None, reason="NoData")), []),
        (True, seen(lent=None), []),
    ],
    ids=[
        "no answer",
        "silent for too long",
        "blind for too long",
        "still none",
        "one again",
        "an answer that lends nothing",
        "still one",
        "nothing was said before",
        "a new controller that heard nothing yet",
    ],
)
def test_an_answer_that_is_lost_or_back_is_told_where_it_turns(before, one, told):
    turned = dataclasses.replace(one, borrower=dataclasses.replace(one.borrower, answered=before))

    events = reconcile(turned, BLIND_S).events

    assert [event.reason for event in events if event.reason.startswith("Data")] == told


def test_what_a_new_controller_has_not_heard_yet_stands_as_it_was_said():
    one = seen(lent=None)
    known = dataclasses.replace(one, borrower=dataclasses.replace(one.borrower, answered=False))

    for before, expected in ((known, ["False"]), (one, [])):
        conditions = reconcile(before, BLIND_S).status["conditions"]
        assert [c["status"] for c in conditions if c["type"] == "Answered"] == expected
