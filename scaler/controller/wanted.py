"""
How many workers may run, from the two counts there are: the scaler's word, and spec.replicas.

The word is fast and only takes away; ``spec.replicas``, which KEDA, its HPA or a person writes, is
slow and only gives. So the smaller of the two counts, and nobody fights.
"""

import dataclasses

from .seen import Resize, Seen, Word, format_time


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Workers that may run, and why."""

    workers: int | None
    """None: hold what is."""
    reason: str
    detail: str
    reclaimed: bool = False
    """The scaler's word is 0: whatever spec.replicas still says is of before."""
    trouble: bool = False
    """Whether the Job cannot follow at all; then no count is wanted."""


def wanted(seen: Seen, blind_reclaim_after_s: float) -> Wanted:
    """Return the workers that may run now; none until a reclaim that has begun is over."""
    want = _asked(seen, blind_reclaim_after_s)
    reclaim = seen.borrower.last_reclaim
    if want.workers == 0 or reclaim is None or not reclaim.is_under_way:
        return want
    since, left = format_time(reclaim.started_s), len(seen.pods)
    detail = f"the reclaim of {since} goes on, {left} pods are left; then: {want.detail}"
    return Wanted(workers=0, reason="Reclaiming", detail=detail)


def _asked(seen: Seen, blind_reclaim_after_s: float) -> Wanted:
    allowed = _whole(seen, min(seen.borrower.replicas, seen.borrower.max_replicas))
    if not seen.scaled:
        return Wanted(workers=allowed, reason="Replicas", detail=f"spec.replicas allows {allowed}")
    word = seen.word
    silent_s = seen.now_s - (seen.listening_since_s if word is None else word.heard_s)
    if silent_s >= blind_reclaim_after_s:
        detail = f"the scaler has said nothing for {silent_s:.0f} s"
        return Wanted(workers=0, reason="BlindReclaim", detail=detail)
    if word is None:
        return Wanted(workers=None, reason="NotHeard", detail="the scaler has said nothing yet")
    if not word.workers:
        return _without_workers(word)
    return _with_workers(seen, allowed, word, word.workers)


def _without_workers(word: Word) -> Wanted:
    if word.workers is None:
        detail = f"the scaler has no answer now ({word.reason})"
        return Wanted(workers=None, reason=word.reason, detail=detail)
    detail = f"the scaler lends nothing ({word.reason})"
    return Wanted(workers=0, reason=word.reason, detail=detail, reclaimed=True)


def _with_workers(seen: Seen, allowed: int, word: Word, lent: int) -> Wanted:
    reclaim = seen.borrower.last_reclaim
    if reclaim is not None and seen.borrower.generation <= reclaim.generation:
        detail = "spec.replicas was not written since the last reclaim"
        return Wanted(workers=0, reason="AwaitsReplicas", detail=detail)
    detail = f"the scaler lends {lent}, spec.replicas allows {allowed}"
    return Wanted(workers=_whole(seen, min(allowed, lent)), reason=word.reason, detail=detail)


def _whole(seen: Seen, workers: int) -> int:
    """Return the count if the Job can take it, else 0."""
    borrower = seen.borrower
    fixed = borrower.resize is Resize.NEVER or borrower.kind is None or not borrower.kind.workers
    least = borrower.max_replicas if fixed else borrower.min_replicas
    return workers if workers >= least else 0
