"""
What could have been lent beside a given inference schedule, by one who knows it all.

The schedule is that of a run without any lending: the units that inference held at each instant.
*Unbound* lends every unit that was not held, at that instant, with no start-up and no notice. No
lender that leaves the schedule as it was can do more, so it bounds them from above. *Bound* does
the same under the 30/70 rule: lending begins at the first instant below ``lend_below`` (a decision
waits for a whole stable window of them), ends where the decision's own panic window lies above
``reclaim_above``, and in between a count may shrink and never grow. To take all that is free
whenever it may grow leaves no later instant with less, so it is the most that the rule allows.

What must stay true: 0 <= bound <= unbound, and lent + held never exceed the pool.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from scaler.decision.policy import LendingPolicy


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """A run without lending at one instant."""

    at_s: float
    """Since scoring began; before it the latch is set and nothing is counted."""
    load: float | None
    """Online load of the pool; None: not known."""
    panic_load: float | None
    """The same over the panic window that ends here."""
    held_units: int


def unbound(instants: Sequence[Instant], policy: LendingPolicy) -> tuple[int, ...]:
    """Return at each instant the workers that fit beside inference."""
    return tuple(_free(instant, policy) for instant in instants)


def bound(instants: Sequence[Instant], policy: LendingPolicy) -> tuple[int, ...]:
    """Return at each instant the most workers that the two thresholds allow."""
    counts, on, workers = [], False, 0
    for instant in instants:
        low = instant.load is not None and instant.load < policy.lend_below
        if instant.panic_load is not None and instant.panic_load > policy.reclaim_above:
            on = False
        elif low:
            on = True
        free = _free(instant, policy)
        workers = (free if low else min(workers, free)) if on else 0
        counts.append(workers)
    return tuple(counts)


def _free(instant: Instant, policy: LendingPolicy) -> int:
    kept = max(policy.reserved_units, instant.held_units)
    fits = max(0, policy.pool_units - kept) // policy.units_per_worker
    return min(fits, policy.most_workers)


def trained_hours(
    instants: Sequence[Instant],
    workers: Sequence[int],
    policy: LendingPolicy,
    *,
    startup_s: float,
    checkpoint_s: float,
) -> float:
    """
    Return the most unit-hours that a trainer could compute while ``workers`` may run.

    A worker computes nothing while it starts, nor while it writes the checkpoint with which it
    goes; one that is there when scoring begins has started, one that is there at the end need not
    go. Exact for whoever knows the future: level n of the counts is one worker's place, and each
    span in which it lasts longer than that is worth taking.
    """
    scored = [
        (instant.at_s, count)
        for instant, count in zip(instants, workers, strict=True)
        if instant.at_s >= 0
    ]
    computed_s = 0.0
    for level in range(1, max((count for _, count in scored), default=0) + 1):
        for since_s, until_s in _spans(scored, level):
            idle_s = startup_s if since_s > scored[0][0] else 0.0
            idle_s += checkpoint_s if until_s < scored[-1][0] else 0.0
            computed_s += max(0.0, until_s - since_s - idle_s)
    return computed_s * policy.units_per_worker / 3600


def _spans(counts: Sequence[tuple[float, int]], level: int) -> Iterator[tuple[float, float]]:
    """Yield from when to when the counts were at least so high; the last instant ends them."""
    since_s: float | None = None
    for at_s, count in (*counts[:-1], (counts[-1][0], 0)):
        if count >= level and since_s is None:
            since_s = at_s
        elif count < level and since_s is not None:
            yield since_s, at_s
            since_s = None


def gpu_hours(instants: Sequence[Instant], workers: Sequence[int], policy: LendingPolicy) -> float:
    """Return the unit-hours lent in the scored part; a count stands until the next instant."""
    unit_s = sum(
        count * policy.units_per_worker * (after.at_s - now.at_s)
        for now, after, count in zip(instants, instants[1:], workers, strict=False)
        if now.at_s >= 0
    )
    return unit_s / 3600
