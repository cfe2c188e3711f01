"""The status of a ReclaimableJob: the one function that says it, and the patch that writes it."""

from collections.abc import Mapping
from typing import Any

from .answers import Answers
from .reclaim import is_stopped
from .seen import ANSWERED, MOST_RECLAIMS, Borrower, Phase, Reclaim, Seen, format_time
from .wanted import Wanted

Status = Mapping[str, Any]


def status(
    seen: Seen,
    want: Wanted,
    reclaim: Reclaim | None,
    answered: Answers | None = None,
    *,
    resumes: bool = False,
    resized_s: float | None = None,
) -> Status:
    """
    Return the whole status, without conditions' transition times.

    Args:
        seen: what the look rests on.
        want: the workers that may run, or why the Job cannot follow.
        reclaim: the last one as it stands after this look.
        answered: whether the scaler has an answer; None: as was said before.
        resumes: whether this look lets the Job run again.
        resized_s: when it was last given another size, Unix seconds; None: never.
    """
    one = seen.borrower
    label = one.kind.pod_label if one.kind else "kvtide.io/no-such-job"
    return {
        "phase": Phase.RESUMING if resumes else _phase(seen, want),
        "replicas": len(seen.pods),
        # The HPA refuses an object whose selector is empty.
        "selector": f"{label}={one.job_name}",
        "observedGeneration": one.generation,
        **({} if reclaim is None else {"lastReclaim": _last(reclaim)}),
        **_took(one, reclaim),
        **({} if resized_s is None else {"lastResizeTime": format_time(resized_s)}),
        "conditions": [*_conditions(seen, want), *_answered(seen, answered)],
    }


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the JSON merge patch (RFC 7386) that makes one object of another; empty: none is needed.

    What is gone is named with a null: a merge patch leaves alone whatever it does not name.
    """
    patch: dict[str, Any] = dict.fromkeys(before.keys() - after.keys())
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if nested := difference(old, value):
                patch[key] = nested
        elif value != old:
            patch[key] = value
    return patch


def _phase(seen: Seen, want: Wanted) -> Phase:
    job = seen.job
    if job is None or is_stopped(job) or want.workers == 0:
        return Phase.RECLAIMING if seen.pods else Phase.SUSPENDED
    ready = sum(1 for pod in seen.pods if pod.ready)
    return Phase.RUNNING if ready and ready == len(seen.pods) else Phase.RESUMING


def _took(one: Borrower, reclaim: Reclaim | None) -> dict[str, Any]:
    """Return the seconds of the last reclaims, with the one that is over since the last look."""
    took = one.reclaims_took_s
    was_under_way = one.last_reclaim is not None and one.last_reclaim.is_under_way
    if was_under_way and reclaim is not None and reclaim.freed_s is not None:
        took = (*took, round(reclaim.freed_s - reclaim.started_s, 3))
    return {"reclaimSeconds": list(took[-MOST_RECLAIMS:])} if took else {}


def _last(reclaim: Reclaim) -> dict[str, Any]:
    freed = {}
    if reclaim.freed_s is not None:
        freed = {
            "freedTime": format_time(reclaim.freed_s),
            "seconds": round(reclaim.freed_s - reclaim.started_s, 3),
        }
    return {
        "startTime": format_time(reclaim.started_s),
        "reason": reclaim.reason,
        "workers": reclaim.workers,
        "generation": reclaim.generation,
        **freed,
    }


def _conditions(seen: Seen, want: Wanted) -> list[dict[str, Any]]:
    one, job = seen.borrower, seen.job
    if want.trouble:
        return [_condition("Ready", want.reason, want.detail, holds=False)]
    finished = job is not None and job.finished
    conditions = [
        _condition("Ready", "JobFinished", "the Job has finished", holds=False)
        if finished
        else _condition("Ready", "Following", want.detail, holds=True),
        _condition("Lent", want.reason, want.detail, holds=bool(want.workers)),
    ]
    if job is not None and one.grace_s > job.termination_grace_s:
        message = (
            f"checkpointGracePeriodSeconds is {one.grace_s:g}, more than the pods' "
            f"terminationGracePeriodSeconds ({job.termination_grace_s:g}), which ends them first"
        )
        conditions.append(_condition("GraceTooLong", "GraceTooLong", message, holds=True))
    if job is not None and job.queued:
        message = "Kueue admits this Job: its Workload's spec.active follows the lent workers"
        conditions.append(_condition("ManagedByKueue", "QueueName", message, holds=True))
    return conditions


def _answered(seen: Seen, now: Answers | None) -> list[dict[str, Any]]:
    """Return whether the scaler has an answer; what a new controller has not heard yet stands."""
    before = seen.borrower.answered
    if now is not None:
        return [_condition(ANSWERED, now.reason, now.detail, holds=now.there)]
    if before is None or not seen.scaled:
        return []
    return [_condition(ANSWERED, "NotHeard", "the scaler has said nothing yet", holds=before)]


def _condition(name: str, reason: str, message: str, *, holds: bool) -> dict[str, Any]:
    return {
        "type": name,
        "status": "True" if holds else "False",
        "reason": reason,
        "message": message,
    }
