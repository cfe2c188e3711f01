"""
One look at a ReclaimableJob: what is seen in, what is to be done out.

Pure: no clock, no API. A lower count is acted on at once, a higher one only when ``spec.replicas``
was raised too. The Job's ``suspend`` and size are this controller's alone (a Job that Kueue queues
keeps its ``suspend``; there it is the Workload's ``active``); ``spec.replicas`` is only ever set to
0, and only after the scaler said that nothing is lent.
"""

import dataclasses
from typing import Any

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
from .seen import Job, Phase, Reclaim, Resize, Seen, format_time, parse_time
from .wanted import Wanted, wanted

RESIZE_PAUSE_S = 300.0
"""A Restart resize happens at most once in so long: each one costs a checkpoint and a start."""

WATCHFUL_S = 0.5
"""How often a reclaim under way is looked at, beside what the watches say."""


def reconcile(seen: Seen, blind_reclaim_after_s: float) -> Plan:
    """Return what to do about one ReclaimableJob."""
    if (trouble := _trouble(seen)) is not None:
        return _unusable(seen, trouble)
    job = seen.job
    want = wanted(seen, blind_reclaim_after_s)
    if job is None or want.workers is None or job.finished:
        return Plan(status=_status(seen, want, seen.borrower.last_reclaim))
    if want.workers == 0:
        return _give_back(seen, job, want)
    return _run(seen, job, want, want.workers)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a Job cannot be made to follow."""

    reason: str
    message: str


def _trouble(seen: Seen) -> Trouble | None:
    one = seen.borrower
    name = f"{one.job_kind}/{one.job_name}"
    if one.kind is None:
        return Trouble(
            reason="UnsupportedKind",
            message=f"jobRef: got {one.job_api_version} {one.job_kind}; allowed: batch/v1 Job, "
            "JobSet, TrainJob, PyTorchJob, MPIJob, RayJob",
        )
    if seen.job is None:
        return Trouble(reason="JobNotFound", message=f"there is no {name} in {one.namespace}")
    if not seen.job.shuts_down:
        message = f"{name} needs shutdownAfterJobFinishes: true, else it cannot be suspended"
        return Trouble(reason="CannotSuspend", message=message)
    return None


def _unusable(seen: Seen, trouble: Trouble) -> Plan:
    return Plan(
        events=(Event(reason=trouble.reason, message=trouble.message, warning=True),),
        status={
            **_counts(seen, Phase.SUSPENDED),
            **_reclaim_status(seen.borrower.last_reclaim),
            "conditions": [_condition("Ready", trouble.reason, trouble.message, holds=False)],
        },
    )


def _give_back(seen: Seen, job: Job, want: Wanted) -> Plan:
    """Take the GPUs back: checkpoint, suspend, wait for the pods, and count the seconds."""
    stopped = _is_stopped(job)
    reclaim = _reclaim(seen, want, stopped=stopped)
    # The stop comes first: a conflict over spec.replicas must not delay it.
    actions = [] if stopped else _stop(seen, job, reclaim)
    events: list[Event] = []
    if want.reclaimed and seen.borrower.replicas > 0:
        actions.append(ZeroReplicas())
    if reclaim is not None and _begins(seen, reclaim):
        events.append(Event(reason="Reclaiming", message=f"taking back: {want.detail}"))
    elif stopped and seen.pods:
        actions += _evict(seen, reclaim)
    freed = None
    if reclaim is not None and stopped and not seen.pods and reclaim.freed_s is None:
        reclaim = dataclasses.replace(reclaim, freed_s=seen.now_s)
        freed = seen.now_s - reclaim.started_s
        message = f"{reclaim.workers} workers gave their GPUs back in {freed:.1f} s"
        events.append(Event(reason="Reclaimed", message=message))
    return Plan(
        actions=tuple(actions),
        events=tuple(events),
        status=_status(seen, want, reclaim),
        again_s=None if stopped and not seen.pods else WATCHFUL_S,
        reclaim_s=freed,
    )


def _is_stopped(job: Job) -> bool:
    """Whether the Job was told to stop, by whoever tells it."""
    return job.workload_active is False if job.queued else job.suspended


def _begins(seen: Seen, reclaim: Reclaim) -> bool:
    before = seen.borrower.last_reclaim
    return before is None or before.started_s != reclaim.started_s


def _reclaim(seen: Seen, want: Wanted, *, stopped: bool) -> Reclaim | None:
    """Return the reclaim under way: the one in the status, or one that begins now."""
    before, one = seen.borrower.last_reclaim, seen.borrower
    begins = (not stopped or seen.pods) and (before is None or before.freed_s is not None)
    if begins:
        return Reclaim(
            started_s=seen.now_s,
            reason=want.reason,
            workers=len(seen.pods),
            generation=one.generation,
        )
    if before is not None and one.replicas == 0:
        # From here on a higher count is newer than the reclaim.
        return dataclasses.replace(before, generation=max(before.generation, one.generation))
    return before


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
    if reclaim is None or seen.now_s - reclaim.started_s < seen.borrower.grace_s:
        return []
    return [DeletePods(pods=tuple(pod.name for pod in seen.pods))]


def _run(seen: Seen, job: Job, want: Wanted, workers: int) -> Plan:
    """Let the Job run with these workers; a new size only as its resize rule allows."""
    if job.queued and job.workload_active is False:
        return _resumed(seen, want, Activate(active=True), workers)
    if job.queued:
        return Plan(status=_status(seen, want, seen.borrower.last_reclaim))
    if job.suspended and not seen.pods:
        resume = Resume(workers=None if job.workers is None else workers)
        return _resumed(seen, want, resume, workers)
    if job.suspended:
        # The old pods are still going: resuming now would let two generations share the GPUs.
        return Plan(status=_status(seen, want, seen.borrower.last_reclaim), again_s=WATCHFUL_S)
    if job.workers is not None and job.workers != workers:
        return _resized(seen, job, want, workers)
    return Plan(status=_status(seen, want, seen.borrower.last_reclaim))


def _resumed(seen: Seen, want: Wanted, action: Action, workers: int) -> Plan:
    event = Event(reason="Resuming", message=f"running {workers} workers: {want.detail}")
    status = _status(seen, want, seen.borrower.last_reclaim, resized_s=seen.now_s)
    return Plan(actions=(action,), events=(event,), status={**status, "phase": Phase.RESUMING})


def _resized(seen: Seen, job: Job, want: Wanted, workers: int) -> Plan:
    """Resize in place, or by a suspend that the next look turns into a resume at the new size."""
    message = f"from {job.workers} to {workers} workers: {want.detail}"
    status = _status(seen, want, seen.borrower.last_reclaim, resized_s=seen.now_s)
    if seen.borrower.resize is Resize.IN_PLACE:
        event = Event(reason="Resizing", message=message)
        return Plan(actions=(ResizeTo(workers=workers),), events=(event,), status=status)
    resized_s = seen.borrower.resized_s
    pause_s = 0.0 if resized_s is None else RESIZE_PAUSE_S - (seen.now_s - resized_s)
    shrinks = job.workers is not None and workers < job.workers
    if pause_s > 0 and not shrinks:
        return Plan(status=_status(seen, want, seen.borrower.last_reclaim), again_s=pause_s)
    event = Event(reason="Restarting", message=message)
    return Plan(actions=(Suspend(),), events=(event,), status=status, again_s=WATCHFUL_S)


def _status(
    seen: Seen, want: Wanted, reclaim: Reclaim | None, resized_s: float | None = None
) -> dict[str, Any]:
    changed_s = seen.borrower.resized_s if resized_s is None else resized_s
    return {
        **_counts(seen, _phase(seen, want)),
        **_reclaim_status(reclaim),
        **({} if changed_s is None else {"lastResizeTime": format_time(changed_s)}),
        "conditions": _conditions(seen, want),
    }


def _phase(seen: Seen, want: Wanted) -> Phase:
    job = seen.job
    if job is None or _is_stopped(job) or want.workers == 0:
        return Phase.RECLAIMING if seen.pods else Phase.SUSPENDED
    ready = sum(1 for pod in seen.pods if pod.ready)
    return Phase.RUNNING if ready and ready == len(seen.pods) else Phase.RESUMING


def _counts(seen: Seen, phase: Phase) -> dict[str, Any]:
    one = seen.borrower
    label = one.kind.pod_label if one.kind else "kvtide.io/no-such-job"
    return {
        "phase": phase,
        "replicas": len(seen.pods),
        # The HPA refuses an object whose selector is empty.
        "selector": f"{label}={one.job_name}",
        "observedGeneration": one.generation,
    }


def _reclaim_status(reclaim: Reclaim | None) -> dict[str, Any]:
    if reclaim is None:
        return {}
    freed = {}
    if reclaim.freed_s is not None:
        freed = {
            "freedTime": format_time(reclaim.freed_s),
            "seconds": round(reclaim.freed_s - reclaim.started_s, 3),
        }
    return {
        "lastReclaim": {
            "startTime": format_time(reclaim.started_s),
            "reason": reclaim.reason,
            "workers": reclaim.workers,
            "generation": reclaim.generation,
            **freed,
        }
    }


def _conditions(seen: Seen, want: Wanted) -> list[dict[str, Any]]:
    one, job = seen.borrower, seen.job
    finished = job is not None and job.finished
    conditions = [
        _condition("Ready", "JobFinished", "the Job has finished", holds=False)
        if finished
        else _condition("Ready", "Following", want.detail, holds=True),
        _condition("Lent", want.reason, want.detail, holds=bool(want.workers)),
    ]
    if job is not None and one.grace_s > job.termination_grace_s:
        message = (
            f"checkpointGracePeriodSeconds: got {one.grace_s:g}; allowed: at most the pods' "
            f"terminationGracePeriodSeconds ({job.termination_grace_s:g}), which ends them first"
        )
        conditions.append(_condition("GraceTooLong", "GraceTooLong", message, holds=True))
    if job is not None and job.queued:
        message = "Kueue admits this Job: its Workload's spec.active follows the lent workers"
        conditions.append(_condition("ManagedByKueue", "QueueName", message, holds=True))
    return conditions


def _condition(name: str, reason: str, message: str, *, holds: bool) -> dict[str, Any]:
    return {
        "type": name,
        "status": "True" if holds else "False",
        "reason": reason,
        "message": message,
    }
