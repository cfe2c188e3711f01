"""
One reclaim from its first look to the last pod's end, as a state machine.

A ReclaimableJob has had no reclaim, or its last one is under way, or it is over; the status holds
which. Three ways lead on, and no other: one begins where workers hold GPUs that must go, it goes on
until nothing is held whatever is wanted meanwhile, and then it is over. Its start is its identity:
the grace and the seconds of a reclaim count from its own, never from another's.

Its Events are told after the status is written, so that none is told of what was never written.
What keeps one from being told (a Lease lost in between, a busy API server) is made good at a later
look, by whoever looks: the status says what is owed, and each Event is named after its reclaim's
start, so that the API server itself refuses to have it twice.
"""

import dataclasses

from .plan import Event
from .seen import Job, Reclaim, Seen, format_time
from .wanted import Wanted

OWED_S = 600.0
"""How long after it happened an Event is still told; the API server forgets one after an hour."""


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


def owed(reclaim: Reclaim | None, now_s: float) -> tuple[Event, ...]:
    """Return what must have been told of a reclaim by now, if it is not long ago."""
    if reclaim is None:
        return ()
    events = [_reclaiming(reclaim, reclaim.reason)]
    if reclaim.freed_s is not None:
        events.append(_reclaimed(reclaim, reclaim.freed_s))
    return tuple(one for one in events if now_s - (one.at_s or 0.0) < OWED_S)


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
    return Progress(reclaim=reclaim, events=(_reclaiming(reclaim, want.detail),))


def _ended(seen: Seen, before: Reclaim) -> Progress:
    # Another controller's clock may have begun it: it cannot end before that.
    freed_s = max(seen.now_s, before.started_s)
    return Progress(
        reclaim=_marked(seen, dataclasses.replace(before, freed_s=freed_s)),
        events=(_reclaimed(before, freed_s),),
        seconds=freed_s - before.started_s,
    )


def _reclaiming(reclaim: Reclaim, why: str) -> Event:
    return Event(
        reason="Reclaiming",
        message=f"taking back: {why}",
        identity=f"reclaiming-{_identity(reclaim)}",
        at_s=reclaim.started_s,
    )


def _reclaimed(reclaim: Reclaim, freed_s: float) -> Event:
    seconds = freed_s - reclaim.started_s
    return Event(
        reason="Reclaimed",
        message=f"{reclaim.workers} workers gave their GPUs back in {seconds:.1f} s",
        identity=f"reclaimed-{_identity(reclaim)}",
        at_s=freed_s,
    )


def _identity(reclaim: Reclaim) -> str:
    """Return its start as the status keeps it, as a part of a name."""
    return "".join(filter(str.isdigit, format_time(reclaim.started_s)))


def _marked(seen: Seen, reclaim: Reclaim) -> Reclaim:
    """At zero replicas, move the mark from which on a higher count is newer than the reclaim."""
    one = seen.borrower
    if one.replicas > 0 or one.generation <= reclaim.generation:
        return reclaim
    return dataclasses.replace(reclaim, generation=one.generation)
