"""
Replicas from load over time, by the rules of Knative's pod autoscaler (KPA).

A stable window says what the load is, a short panic window sees a surge before it, rates limit the
change, and a delay holds a scale-down back. The rules are Knative's (``pkg/autoscaler/scaling``),
with ``load / target`` in the place of concurrency / target; ``docs/knative.md`` lists what differs.

The answer is the fold of :func:`step` over the points. It forgets: nothing older than
``Pace.lookback_s`` can matter, so whoever folds over that much agrees with whoever keeps a state.
"""

import collections.abc
import dataclasses
import math
from typing import NamedTuple

from .decision import Reason, Step
from .pace import Pace, pace_of
from .point import LoadPoint
from .policy import InferencePolicy
from .sliding import GapRule, SlidingAverage, SlidingMaximum, bucket_of

# Less than a millionth of a replica is a float's error, not demand: 2.1 / 0.7 is 3.
_MILLIONTH = 1e-6


class Proposal(NamedTuple):
    """What one point led to, rule by rule; each count is what was left after its rule."""

    stable_load: float
    panic_load: float
    replicas: int
    """Ready and loading, at least 1: what rates are measured against."""
    met: int
    """Those that a surge met, at least 1: what the panic threshold is measured against."""
    stable_desired: int
    """Replicas for the stable window's load, before any limit."""
    panic_desired: int
    """The same for the panic window."""
    demanded: int
    limited: int
    activated: int
    panicked: int
    stabilized: int
    surging: bool
    """The panic window is past the threshold at this very point."""
    panic_age: int | None
    """Buckets since the last surge (or start); None: no panic."""


class RuleState(NamedTuple):
    """What the rules need to know of the points before, averages aside."""

    panic_maximum: SlidingMaximum
    delay_maximum: SlidingMaximum
    decided: int | None = None
    """Bucket of the newest point that led to a proposal."""
    surged: int | None = None
    """Bucket of the last surge, or of the start with several replicas; None: no panic."""
    proposal: Proposal | None = None
    """What the newest point that said enough led to."""


class KpaState(NamedTuple):
    """Everything the next step needs to know of the points before it."""

    stable: SlidingAverage
    panic: SlidingAverage
    rules: RuleState
    loading: int | None = None
    """Replicas that were loading at the newest point; None before the first."""
    missing: str = "there are no points"
    """What the newest point did not say, as a sentence; empty where it led to a proposal."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KpaAnswer:
    """The count, rule by rule, and the averages that it rests on."""

    steps: tuple[Step, ...]
    """At least one; a single step with None replicas where the newest point says too little."""
    panic: bool = False
    stable_load: float | None = None
    """Load in replicas over the stable window."""
    panic_load: float | None = None
    """Load in replicas over the panic window."""

    @property
    def desired(self) -> int | None:
        """The count at the end of the chain; None: hold."""
        return self.steps[-1].replicas


def recommend(
    points: collections.abc.Sequence[LoadPoint],
    policy: InferencePolicy,
    *,
    lead_time_s: float | None,
    gap_rule: GapRule = GapRule.CARRY,
    bucket_s: float,
) -> KpaAnswer:
    """Return what ``policy`` wants at the newest of ``points`` (oldest first, in time order)."""
    pace = pace_of(policy, lead_time_s=lead_time_s, bucket_s=bucket_s, gap_rule=gap_rule)
    state = start(pace)
    for point in points:
        state = step(state, point, pace)
    return answer(state, pace)


def start(pace: Pace) -> KpaState:
    """Return the state before the first point."""
    return KpaState(
        stable=SlidingAverage(pace.stable_buckets, pace.gap_rule),
        panic=SlidingAverage(pace.panic_buckets, pace.gap_rule),
        rules=RuleState(
            panic_maximum=SlidingMaximum(pace.horizon_buckets),
            delay_maximum=SlidingMaximum(pace.delay_buckets),
        ),
    )


def step(state: KpaState, point: LoadPoint, pace: Pace) -> KpaState:
    """
    Advance by one point, which is later than the ones before it.

    A point without load or without a count of replicas proposes nothing and changes neither panic
    nor delay: an error keeps what was wanted, it is never zero.
    """
    bucket = bucket_of(point.at_s, pace.bucket_s)
    stable, panic, rules = state.stable, state.panic, state.rules
    if point.load is not None:
        stable, panic = stable.record(bucket, point.load), panic.record(bucket, point.load)
    missing = _missing(point, pace, silent=stable.is_empty(bucket))
    if point.ready is not None and not missing:
        loads = (stable.at(bucket), panic.at(bucket))
        # The newest bucket is read until it is over. A panic would not outlive its own answer if
        # the replicas that it asked for counted in the very bucket that it began in.
        before = point.loading if state.loading is None else min(point.loading, state.loading)
        rules = settle(
            rules,
            bucket=bucket,
            replicas=point.ready + point.loading,
            met=point.ready + before,
            loads=loads,
            pace=pace,
        )
    return KpaState(stable=stable, panic=panic, rules=rules, loading=point.loading, missing=missing)


def _missing(point: LoadPoint, pace: Pace, *, silent: bool) -> str:
    # Knative decides on what is left of the window; here a reading that went missing is no news.
    if point.load is None and (silent or pace.gap_rule is GapRule.CARRY):
        return "the load is not known"
    return "the number of ready replicas is not known" if point.ready is None else ""


def settle(
    rules: RuleState,
    *,
    bucket: int,
    replicas: int,
    met: int,
    loads: tuple[float, float],
    pace: Pace,
) -> RuleState:
    """
    Apply the rules to the averages of one point.

    Args:
        rules: what the points before came to.
        bucket: of the point.
        replicas: ready and loading.
        met: those of them that a surge met: ready, or loading at the point before as well.
        loads: averages over the stable and over the panic window, in replicas.
        pace: the rules' numbers.
    """
    held, met = max(1, replicas), max(1, met)
    stable_load, panic_load = loads
    stable_desired, panic_desired = (
        whole(stable_load / pace.target),
        whole(panic_load / pace.target),
    )
    surging = panic_desired / met >= pace.panic_threshold
    maximum, surged = _panic(rules, bucket, replicas, pace, surging=surging)

    demanded = stable_desired if surged is None else max(stable_desired, panic_desired)
    limited = _within_rates(demanded, held, pace)
    activated = max(limited, pace.activation_scale) if demanded else limited
    if surged is not None:
        maximum = maximum.record(bucket, activated)
    panicked = activated if surged is None else maximum.count
    delay_maximum = rules.delay_maximum.record(bucket, panicked)
    return RuleState(
        panic_maximum=maximum,
        delay_maximum=delay_maximum,
        decided=bucket,
        surged=surged,
        proposal=Proposal(
            stable_load=stable_load,
            panic_load=panic_load,
            replicas=held,
            met=met,
            stable_desired=stable_desired,
            panic_desired=panic_desired,
            demanded=demanded,
            limited=limited,
            activated=activated,
            panicked=panicked,
            stabilized=delay_maximum.count,
            surging=surging,
            panic_age=None if surged is None else bucket - surged,
        ),
    )


def _panic(
    rules: RuleState, bucket: int, replicas: int, pace: Pace, *, surging: bool
) -> tuple[SlidingMaximum, int | None]:
    """Return the panic's maximum so far and the bucket that latched it; None: no panic."""
    maximum, surged = rules.panic_maximum, rules.surged
    if surging:
        surged = bucket
    elif surged is not None and bucket - surged > pace.latch_buckets:
        maximum, surged = SlidingMaximum(pace.horizon_buckets), None
    # Without a stable window of history several replicas may be there for a reason that is not
    # seen yet: as if they had been wanted just now, nothing is taken away for one stable window.
    starting = rules.decided is None or bucket - rules.decided >= pace.stable_buckets
    if starting and replicas > 1:
        return maximum.record(bucket, replicas), bucket
    return maximum, surged


def _within_rates(count: int, replicas: int, pace: Pace) -> int:
    """Clamp as Knative does: raised to the floor first, cut to the ceiling last."""
    most = whole(pace.max_scale_up_rate * replicas)
    least = math.floor(replicas / pace.max_scale_down_rate + _MILLIONTH)
    return min(max(count, least), most)


def whole(count: float) -> int:
    """Return the whole replicas that a fraction of them needs."""
    return math.ceil(count - _MILLIONTH)


def answer(state: KpaState, pace: Pace) -> KpaAnswer:
    """Return the answer of the newest point, in sentences."""
    proposal = state.rules.proposal
    if proposal is None or state.missing:
        return KpaAnswer(steps=(Step(None, Reason.NO_DATA, state.missing),))
    return KpaAnswer(
        steps=tuple(_steps(proposal, pace)),
        panic=proposal.panic_age is not None,
        stable_load=proposal.stable_load,
        panic_load=proposal.panic_load,
    )


def _steps(proposal: Proposal, pace: Pace) -> collections.abc.Iterator[Step]:
    yield Step(
        proposal.stable_desired,
        Reason.DEMAND,
        f"load {proposal.stable_load:.2f} over {pace.stable_buckets * pace.bucket_s:g} s, "
        f"{pace.target:g} per replica",
    )
    if proposal.panic_age is not None:
        yield Step(proposal.demanded, Reason.PANIC, _panic_detail(proposal, pace))
    if proposal.limited < proposal.demanded:
        yield Step(
            proposal.limited,
            Reason.SCALE_UP_LIMIT,
            f"at most {pace.max_scale_up_rate:g} times the {proposal.replicas} there are",
        )
    if proposal.limited > proposal.demanded:
        yield Step(
            proposal.limited,
            Reason.SCALE_DOWN_LIMIT,
            f"at least 1/{pace.max_scale_down_rate:g} of the {proposal.replicas} there are",
        )
    if proposal.activated != proposal.limited:
        detail = f"any demand is met with at least {pace.activation_scale}"
        yield Step(proposal.activated, Reason.ACTIVATION_SCALE, detail)
    if proposal.panicked != proposal.activated:
        yield Step(
            proposal.panicked,
            Reason.PANIC,
            f"panic takes nothing away: {proposal.panicked} were wanted in its last "
            f"{pace.horizon_buckets * pace.bucket_s:g} s",
        )
    if proposal.stabilized != proposal.panicked:
        yield Step(
            proposal.stabilized,
            Reason.SCALE_DOWN_STABILIZED,
            f"{proposal.stabilized} were wanted within the last "
            f"{pace.delay_buckets * pace.bucket_s:g} s",
        )


def _panic_detail(proposal: Proposal, pace: Pace) -> str:
    asks = (
        f"load {proposal.panic_load:.2f} over {pace.panic_buckets * pace.bucket_s:g} s asks for "
        f"{proposal.panic_desired}"
    )
    if proposal.surging:
        share = 100 * proposal.panic_desired / proposal.met
        there = "there are" if proposal.met == proposal.replicas else "there were before"
        limit = 100 * pace.panic_threshold
        return f"{asks}, {share:.0f} % of the {proposal.met} {there} (from {limit:g} %)"
    age_s = (proposal.panic_age or 0) * pace.bucket_s
    lasts_s = pace.latch_buckets * pace.bucket_s
    return f"{asks}; began or last surged {age_s:g} s ago, lasts {lasts_s:g} s"
