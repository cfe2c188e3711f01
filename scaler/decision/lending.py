"""
Reverse elastic scaling: who works on a fixed pool of GPUs, MIG slices or shares.

Below ``lendBelow`` online load for a stable window (:mod:`.latch`), training borrows what inference
does not need; above ``reclaimAbove`` everything goes back at once. Inference is owed its units
first, pending replicas included: workers × units + what inference needs never exceeds the pool.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from scaler.said import Said, joined

from .decision import Decision, Reason, Signal, Step
from .headroom import headroom_units
from .hindsight import latch_as_seen
from .inference import Basis, decided
from .latch import Latch
from .online import Online, held_replicas, most_needed, online_load
from .policy import LendingPolicy, LoadBase
from .pool import Member, PoolWindow, unheard
from .sleepers import asleep


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Units of the pool that inference holds or is owed, and what is kept free beside them."""

    units: int
    """In use or wanted, whichever is more, over all workloads whose units are known."""
    headroom: int
    kept: int
    """Units out of reach of workers: the reserved ones, or need and headroom if that is more."""


def decide_workers(pool: PoolWindow, policy: LendingPolicy) -> Decision:
    """Return the training workers that may run on the pool now."""
    bases = tuple(map(_basis, pool.members))
    online = online_load(pool, policy, [None if one is None else one.series for one in bases])
    state = latch_as_seen(pool, online, policy)
    units = tuple(map(_member_units, pool.members, bases))
    need = _need(pool, units, online, policy)
    step = (
        _unknown_units(pool, units)
        or _blind(pool, online, policy)
        or _off(pool, online, state, policy)
    )
    steps = (step,) if step else _lent(pool, online, need, policy)
    return _decision(pool, online, steps, need, policy)


def _unknown_units(pool: PoolWindow, units: Sequence[int | None]) -> Step | None:
    """Lend nothing while it is not known what some workload's replicas hold."""
    unknown = [one for one, held in zip(pool.members, units, strict=True) if held is None]
    if not unknown:
        return None
    told = joined(
        "; ",
        (
            Said("{name}: {why}", name=one.name, why=one.units.why or Said("nothing tells"))
            for one in unknown
        ),
    )
    detail = Said(
        "the units of a replica are not known ({told}); unitsPerReplica states them", told=told
    )
    return Step(0, Reason.UNITS_UNKNOWN, detail)


def _blind(pool: PoolWindow, online: Online, policy: LendingPolicy) -> Step | None:
    """Keep what is lent while a load is unknown; take everything back when that lasts."""
    newest = online.newest
    if newest is not None and newest.load is not None:
        return None
    least = 0.0 if newest is None else newest.least
    if least > policy.reclaim_above:
        return Step(
            0,
            Reason.RECLAIMED,
            Said("online load is at least {load:.0f} %, over {limit:g} %", **_past(least, policy)),
        )
    unknown = [member for member in pool.members if member.policy is None]
    silent = [member for member in pool.members if member.policy and member.window is None]
    names = joined(", ", (one.name for one in silent)) or Said("the pool's workloads")
    stopped = [m.silent_since_s for m in silent if m.silent_since_s is not None]
    # Ready replicas that do not report are silence as well, since the last instant that was known.
    stopped += online.at_s[~np.isnan(online.load)][-1:].tolist()
    if stopped and pool.at_s - min(stopped) >= policy.blind_reclaim_after_s:
        silent_s = pool.at_s - min(stopped)
        detail = Said("no reading of {names} for {silent_s:.0f} s", names=names, silent_s=silent_s)
        return Step(0, Reason.BLIND_RECLAIM, detail)
    if unknown:
        detail = Said("{names}: not heard of so far", names=unheard(unknown))
        return _kept(pool, Step(None, Reason.MEMBER_UNKNOWN, detail), policy)
    detail = Said("the load of {names} is not known", names=names)
    step = Step(None, Reason.BLIND_HOLD, detail)
    return _kept(pool, step, policy) if stopped else step


def _kept(pool: PoolWindow, unknown: Step, policy: LendingPolicy) -> Step:
    """
    Say in a count what an error says: what is asked for stays, and none stays none.

    KEDA may take an error that meets another one for "inactive", and a borrower that it drives
    alone is at zero then. So where the count is known it is the answer, until everything is taken
    back; nothing is ever lent by it.
    """
    if not pool.asked:
        return unknown
    detail = Said(
        "{why}: the {asked} that are asked for stay, and no more",
        why=unknown.detail,
        asked=pool.asked,
    )
    kept = min(pool.asked, policy.most_workers)
    return dataclasses.replace(unknown, replicas=kept, detail=detail)


def _past(load: float, policy: LendingPolicy) -> dict[str, float]:
    """Return the online load and the line that it is over, in percent."""
    return {"load": 100 * load, "limit": 100 * policy.reclaim_above}


def _off(pool: PoolWindow, online: Online, state: Latch, policy: LendingPolicy) -> Step | None:
    """Say why the latch is off; None: it is on."""
    if state.panic_load is not None and state.panic_load > policy.reclaim_above:
        past = _past(state.panic_load, policy)
        detail = Said("online load is {load:.0f} %, over {limit:g} %", **past)
        return Step(0, Reason.RECLAIMED, detail)
    if state.on:
        return None
    load = _newest_load(online) or 0.0
    if state.reclaimed_s is not None and pool.at_s - state.reclaimed_s < policy.lend_delay_s:
        detail = Said(
            "{passed_s:.0f} s of the {delay_s:g} s after a reclaim have passed",
            passed_s=pool.at_s - state.reclaimed_s,
            delay_s=policy.lend_delay_s,
        )
        return Step(0, Reason.LEND_DELAY, detail)
    detail = Said(
        "online load is {load:.0f} %: lending begins after {window_s:g} s below {limit:g} %",
        load=100 * load,
        window_s=policy.stable_window_s,
        limit=100 * policy.lend_below,
    )
    return Step(0, Reason.NOT_LENDING, detail)


def _lent(pool: PoolWindow, online: Online, need: Need, policy: LendingPolicy) -> tuple[Step, ...]:
    """Return the steps from free units to a count that the borrower can take."""
    free = max(0, _free_workers(pool, need.kept, policy))
    detail = Said(
        "{units} units − {kept} kept (reserved {reserved}, inference {needed} + headroom"
        " {headroom}), {each} per worker",
        units=policy.pool_units,
        kept=need.kept,
        reserved=policy.reserved_units,
        needed=need.units,
        headroom=need.headroom,
        each=policy.units_per_worker,
    )
    steps: tuple[Step, ...] = (Step(free, Reason.LENT if free else Reason.NO_ROOM, detail),)
    for rule in (
        functools.partial(_in_band, pool, online),
        functools.partial(_free_for_long, pool, online, need),
        functools.partial(_min_runtime, pool, need),
        _whole,
    ):
        step = rule(steps[-1].replicas or 0, policy)
        steps = (*steps, step) if step else steps
    return steps


def _free_workers(pool: PoolWindow, kept: int, policy: LendingPolicy) -> int:
    """
    Return the workers that fit beside what is kept, on single nodes where nodes are known.

    What inference is owed and does not hold yet may land on any node, and each unit of it can cost
    one worker's place there.
    """
    if not pool.nodes:
        return (policy.pool_units - kept) // policy.units_per_worker
    usable = [node for node in pool.nodes if node.schedulable]
    in_use = sum(node.units_in_use for node in usable)
    places = sum((n.units - n.units_in_use) // policy.units_per_worker for n in usable)
    owed = max(0, kept - in_use)
    fits = places - -(-owed // policy.units_per_worker)
    return min(fits, (policy.pool_units - kept) // policy.units_per_worker)


def _in_band(pool: PoolWindow, online: Online, count: int, policy: LendingPolicy) -> Step | None:
    """Between the thresholds workers may shrink, never grow."""
    load, workers = _newest_load(online) or 0.0, pool.workers
    if load < policy.lend_below or workers is None or count <= workers:
        return None
    detail = Said(
        "online load is {load:.0f} %: no more than the {workers} workers there are",
        load=100 * load,
        workers=workers,
    )
    return Step(workers, Reason.BAND, detail)


def _free_for_long(
    pool: PoolWindow,
    online: Online,
    need: Need,
    count: int,
    policy: LendingPolicy,
) -> Step | None:
    """
    Lend a further worker only once its units would have been free for a whole ``min_runtime_s``.

    What was needed a minute ago is often needed again in a minute, and a worker that goes before
    it has written a checkpoint was of no use.
    """
    there = pool.workers or 0
    if count <= there:
        return None
    lately = most_needed(online, pool.at_s - policy.min_runtime_s)
    if lately is None:
        detail = Said(
            "what inference needed within the last {runtime_s:g} s is not known: no further worker"
            " yet",
            runtime_s=policy.min_runtime_s,
        )
        return Step(there, Reason.MIN_RUNTIME, detail)
    kept = max(policy.reserved_units, max(lately, need.units) + need.headroom)
    steady = max(there, _free_workers(pool, kept, policy))
    detail = Said(
        "inference needed {lately} units within the last {runtime_s:g} s: no further worker yet",
        lately=lately,
        runtime_s=policy.min_runtime_s,
    )
    return Step(steady, Reason.MIN_RUNTIME, detail) if steady < count else None


def _min_runtime(pool: PoolWindow, need: Need, count: int, policy: LendingPolicy) -> Step | None:
    """Let young workers run on while a shrink would only restore headroom, never against need."""
    workers, since_s = pool.workers, pool.workers_since_s
    if workers is None or since_s is None or count >= workers:
        return None
    ran_s = pool.at_s - since_s
    if ran_s >= policy.min_runtime_s:
        return None
    if workers > _free_workers(pool, max(policy.reserved_units, need.units), policy):
        return None
    detail = Said(
        "the {workers} workers have run {ran_s:.0f} s of at least {runtime_s:g} s",
        workers=workers,
        ran_s=ran_s,
        runtime_s=policy.min_runtime_s,
    )
    return Step(workers, Reason.MIN_RUNTIME, detail)


def _whole(count: int, policy: LendingPolicy) -> Step | None:
    """Round down to a count that the borrower can take: 0, or min to max, or all or nothing."""
    most = policy.most_workers
    least = policy.min_workers if policy.resizable else most
    taken = 0 if count < least else min(count, most)
    if taken == count:
        return None
    detail = Said("the borrower takes 0 or {most} workers", most=most)
    if policy.resizable:
        detail = Said("the borrower takes 0 or {least} to {most} workers", least=least, most=most)
    return Step(taken, Reason.WHOLE_GANG, detail)


def _newest_load(online: Online) -> float | None:
    newest = online.newest
    return None if newest is None else newest.load


def _need(
    pool: PoolWindow, each: Sequence[int | None], online: Online, policy: LendingPolicy
) -> Need:
    units = sum(held or 0 for held in each)
    headroom = policy.headroom_units
    if headroom is None:
        headroom = headroom_units(
            online, policy.effective_reclaim_time_s(pool.reclaim_s), policy.forecast_quantile
        )
    kept = max(policy.reserved_units, units + headroom)
    return Need(units=units, headroom=headroom, kept=kept)


def _basis(member: Member) -> Basis | None:
    """Return what a decision on a workload rests on; None: none is needed, or it is not known."""
    window, policy = member.window, member.policy
    if window is None or policy is None or window.bounds.others_desired is not None:
        return None
    return Basis.of(window, policy)


def _member_units(member: Member, basis: Basis | None) -> int | None:
    """
    Return the units a workload holds (starting, surging and terminating pods too) or is owed.

    Where another autoscaler owns the workload, what that wants is owed: ours would come to nothing.
    None: what a replica of it holds is not known.
    """
    if member.window is None or member.policy is None:
        return member.units.in_use
    latest = member.window.latest
    held = max(held_replicas(latest) or 0, len(latest.replicas))
    wanted = member.window.bounds.others_desired or 0
    if basis is not None:
        wanted = decided(basis).replicas or 0
    owed = member.units_of(max(held, wanted))
    return None if owed is None else max(owed, member.units.in_use)


def _decision(
    pool: PoolWindow,
    online: Online,
    steps: tuple[Step, ...],
    need: Need,
    policy: LendingPolicy,
) -> Decision:
    load = _newest_load(online)
    share = Said("share of the pool that the online workloads would fill")
    if policy.load_base is LoadBase.SERVICE:
        share = Said("share of what is ready that the online workloads would fill")
    signal = Signal(
        name="online-load",
        load=load,
        target=policy.reclaim_above,
        detail=share,
    )
    return Decision(
        at_s=pool.at_s if pool.read_s is None else pool.read_s,
        steps=steps,
        signals=(signal,),
        load=load,
        ready_replicas=pool.workers,
        spec_replicas=pool.workers,
        notes=_notes(pool, steps, need, policy),
    )


def _notes(
    pool: PoolWindow, steps: tuple[Step, ...], need: Need, policy: LendingPolicy
) -> tuple[str, ...]:
    """Say what stays idle, and what rests for want of what."""
    notes = []
    idle = policy.pool_units - need.kept
    idle -= (steps[-1].replicas or 0) * policy.units_per_worker
    if idle > 0 and steps[-1].replicas is not None:
        told = {"idle": idle, "units": policy.pool_units, "why": steps[-1].detail}
        notes.append(Said("{idle} of {units} units are idle: {why}.", **told))
    for member in pool.members:
        others = None if member.window is None else member.window.bounds.others_desired
        if others is not None:
            told = {"name": member.name, "replicas": others}
            notes.append(Said("Another autoscaler scales {name}: its {replicas} count.", **told))
        if (note := _held_asleep(member)) is not None:
            notes.append(note)
    if not pool.nodes:
        notes.append(Said("The pool's nodes are not known: its units count as one heap."))
    if pool.workers is None:
        notes.append(Said("The borrower's workers are not known: the band and minRuntime rest."))
    return tuple(notes)


def _held_asleep(member: Member) -> Said | None:
    """Say what units the replicas of a workload hold that sleep; None: none does, or unknown."""
    sleeping = 0 if member.window is None else len(asleep(member.window.latest))
    units = member.units_of(sleeping)
    if not units:
        return None
    return Said(
        "{units} units are held by replicas of {name} that sleep: they can be lent once those pods"
        " are gone.",
        units=units,
        name=member.name,
    )
