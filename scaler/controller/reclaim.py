"""
One reclaim from its first look to the last pod's end, as a state machine.

A ReclaimableJob has had no reclaim, or its last one is under way, or it is over; the status holds
which. Three ways lead on, and no other: one begins where workers hold GPUs that must go, it goes on
until nothing is held whatever is wanted meanwhile, and then it is over. Its start is its identity:
the grace and the seconds of a reclaim count from its own, never from another's.
"""

import dataclasses

from .plan import Event
from .seen import Job, Reclaim, Seen
from .wanted import Wanted


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the last reclaim stands after this look, and what happened to it at this look."""

    reclaim: Reclaim | None
    """None: there has been none yet."""
    events: tuple[Event, ...] = ()
    seconds: float | None = None
    """From its start to the last pod's end, when that was seen just now."""


def advance(seen: Seen, want: Wanted) -> Progress:
    """Return where the reclaim stands after this look."""
    before = seen.borrower.last_reclaim
    if before is not None and before.is_under_way:
        return _ended(seen, before) if not _holds(seen) else Progress(reclaim=_marked(seen, before))
    if want.workers == 0 and _holds(seen):
        return _begun(seen, want)
    return Progress(reclaim=None if before is None else _marked(seen, before))


def is_stopped(job: Job) -> bool:
    """Whether the Job was told to stop, by whoever tells it."""
    return job.workload_active is False if job.queued else job.suspended


def _holds(seen: Seen) -> bool:
    """Whether there is anything to take back: pods, or a Job that may make some at any time."""
    job = seen.job
    runs = job is not None and not (job.finished or job.suspended or is_stopped(job))
    return runs or bool(seen.pods)


def _begun(seen: Seen, want: Wanted) -> Progress:
    reclaim = Reclaim(
        started_s=seen.now_s,
        reason=want.reason,
        workers=len(seen.pods),
        generation=seen.borrower.generation,
    )
    event = Event(reason="Reclaiming", message=f"taking back: {want.detail}")
    return Progress(reclaim=reclaim, events=(event,))


def _ended(seen: Seen, before: Reclaim) -> Progress:
    # Another controller's clock may have begun it: it cannot end before that.
    freed_s = max(seen.now_s, before.started_s)
    seconds = freed_s - before.started_s
    message = f"{before.workers} workers gave their GPUs back in {seconds:.1f} s"
    return Progress(
        reclaim=_marked(seen, dataclasses.replace(before, freed_s=freed_s)),
        events=(Event(reason="Reclaimed", message=message),),
        seconds=seconds,
    )


def _marked(seen: Seen, reclaim: Reclaim) -> Reclaim:
    """At zero replicas, move the mark from which on a higher count is newer than the reclaim."""
    one = seen.borrower
    if one.replicas > 0 or one.generation <= reclaim.generation:
        return reclaim
    return dataclasses.replace(reclaim, generation=one.generation)
