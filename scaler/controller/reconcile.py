"""
One look at a ReclaimableJob: what is seen in, what is to be done out.

Pure: no clock, no API. A lower count is acted on at once, a higher one only when ``spec.replicas``
was raised too. The Job's ``suspend`` and size are this controller's alone (a Job that Kueue queues
keeps its ``suspend``; there it is the Workload's ``active``); ``spec.replicas`` is only ever set to
0, and only after the scaler said that nothing is lent.
"""

import dataclasses

from .answers import answers, turned
from .plan import (
    Action,
    Activate,
    DeletePods,
    Event,
    Plan,
    RequestCheckpoint,
    ResizeTo,
    Resume,
    Suspend,
    ZeroReplicas,
)
from .reclaim import advance, is_stopped, owed
from .seen import Job, Reclaim, Resize, Seen, parse_time
from .status import status
from .wanted import Wanted, wanted

RESIZE_PAUSE_S = 300.0
"""A Restart resize happens at most once in so long: each one costs a checkpoint and a start."""

WATCHFUL_S = 0.5
"""How often a reclaim under way is looked at, beside what the watches say."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done about the Job at this look."""

    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    resizes: bool = False
    """Whether it gets another size now, or its old one again."""
    resumes: bool = False
    again_s: float | None = None


NOTHING = Step()


def reconcile(seen: Seen, blind_reclaim_after_s: float) -> Plan:
    """Return what to do about one ReclaimableJob."""
    trouble = _trouble(seen)
    want = wanted(seen, blind_reclaim_after_s) if trouble is None else trouble
    progress = advance(seen, want)
    step = _step(seen, want, progress.reclaim)
    answered = answers(seen, blind_reclaim_after_s)
    return Plan(
        actions=step.actions,
        events=(*progress.events, *step.events, *turned(seen, answered)),
        owed=owed(progress.reclaim, seen.now_s),
        status=status(
            seen,
            want,
            progress.reclaim,
            answered,
            resumes=step.resumes,
            resized_s=seen.now_s if step.resizes else seen.borrower.resized_s,
        ),
        again_s=step.again_s,
        reclaim_s=progress.seconds,
    )


def _trouble(seen: Seen) -> Wanted | None:
    """Return why a Job cannot be made to follow."""
    one = seen.borrower
    name = f"{one.job_kind}/{one.job_name}"
    if one.kind is None:
        return Wanted(
            workers=None,
            reason="UnsupportedKind",
            detail=f"jobRef: {one.job_api_version} {one.job_kind} is not supported; batch/v1 Job, "
            "JobSet, TrainJob, PyTorchJob, MPIJob and RayJob are",
            trouble=True,
        )
    if seen.job is None:
        detail = f"there is no {name} in {one.namespace}"
        return Wanted(workers=None, reason="JobNotFound", detail=detail, trouble=True)
    if not seen.job.shuts_down:
        detail = f"{name} needs shutdownAfterJobFinishes: true, else it cannot be suspended"
        return Wanted(workers=None, reason="CannotSuspend", detail=detail, trouble=True)
    return None


def _step(seen: Seen, want: Wanted, reclaim: Reclaim | None) -> Step:
    job = seen.job
    if want.trouble:
        return Step(events=(Event(reason=want.reason, message=want.detail, warning=True),))
    if job is None or want.workers is None or job.finished:
        return NOTHING
    if want.workers == 0:
        return _give_back(seen, job, want, reclaim)
    return _run(seen, job, want, want.workers)


def _give_back(seen: Seen, job: Job, want: Wanted, reclaim: Reclaim | None) -> Step:
    """Take the GPUs back: checkpoint, suspend, and delete what outlives its grace."""
    stopped = is_stopped(job)
    # The stop comes first: a conflict over spec.replicas must not delay it.
    actions = _evict(seen, reclaim) if stopped else _stop(seen, job, reclaim)
    if want.reclaimed and seen.borrower.replicas > 0:
        actions.append(ZeroReplicas())
    return Step(actions=tuple(actions), again_s=None if stopped and not seen.pods else WATCHFUL_S)


def _stop(seen: Seen, job: Job, reclaim: Reclaim | None) -> list[Action]:
    """Return what stops the Job: the checkpoint's signal first, where one is asked for."""
    stop: Action = Activate(active=False) if job.queued else Suspend()
    signal = seen.borrower.signal
    if signal is None or not seen.pods or reclaim is None:
        return [stop]
    requested_s = parse_time(job.checkpoint_requested)
    if requested_s is None or requested_s < reclaim.started_s - 1:
        return [RequestCheckpoint(by=signal, pods=tuple(pod.name for pod in seen.pods))]
    done_s = parse_time(job.checkpoint_done)
    is_done = done_s is not None and done_s >= requested_s
    is_late = seen.now_s - requested_s >= seen.borrower.grace_s
    return [stop] if is_done or is_late else []


def _evict(seen: Seen, reclaim: Reclaim | None) -> list[Action]:
    """Delete what outlived its grace; a checkpoint has had its time."""
    names = tuple(pod.name for pod in seen.pods)
    if not names or reclaim is None or seen.now_s - reclaim.started_s < seen.borrower.grace_s:
        return []
    return [DeletePods(pods=names)]


def _run(seen: Seen, job: Job, want: Wanted, workers: int) -> Step:
    """Let the Job run with these workers; a new size only as its resize rule allows."""
    if job.queued:
        stopped = job.workload_active is False
        return _resumed(want, Activate(active=True), workers) if stopped else NOTHING
    if job.suspended and seen.pods:
        # The old pods are still going: resuming now would let two generations share the GPUs.
        return Step(again_s=WATCHFUL_S)
    if job.suspended:
        resume = Resume(workers=None if job.workers is None else workers)
        return _resumed(want, resume, workers)
    if job.workers is not None and job.workers != workers:
        return _resized(seen, job, want, workers)
    return NOTHING


def _resumed(want: Wanted, action: Action, workers: int) -> Step:
    event = Event(reason="Resuming", message=f"running {workers} workers: {want.detail}")
    return Step(actions=(action,), events=(event,), resumes=True, resizes=True)


def _resized(seen: Seen, job: Job, want: Wanted, workers: int) -> Step:
    """Resize in place, or by a suspend that the next look turns into a resume at the new size."""
    message = f"from {job.workers} to {workers} workers: {want.detail}"
    if seen.borrower.resize is Resize.IN_PLACE:
        event = Event(reason="Resizing", message=message)
        return Step(actions=(ResizeTo(workers=workers),), events=(event,), resizes=True)
    resized_s = seen.borrower.resized_s
    pause_s = 0.0 if resized_s is None else RESIZE_PAUSE_S - (seen.now_s - resized_s)
    shrinks = job.workers is not None and workers < job.workers
    if pause_s > 0 and not shrinks:
        return Step(again_s=pause_s)
    event = Event(reason="Restarting", message=message)
    return Step(actions=(Suspend(),), events=(event,), resizes=True, again_s=WATCHFUL_S)
