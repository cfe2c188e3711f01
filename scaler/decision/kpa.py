"""
Replicas from load over time, by the rules of Knative's pod autoscaler (KPA).

A stable window says what the load is, a short panic window sees a surge before it, rates limit the
change, and a delay holds a scale-down back. The rules are Knative's (``pkg/autoscaler/scaling``),
with ``load / target`` in the place of concurrency / target; ``docs/knative.md`` lists what differs.

It is one pass over the points, in columns: averages first, then where panics began and ended, then
what was wanted. It forgets: nothing older than ``Pace.lookback_s`` can matter.
"""

import collections.abc
import dataclasses
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaler.said import Said

from .average import Averages, averages_over
from .decision import Reason, Step
from .facts.columns import Array, Mask, all_or
from .pace import Pace, pace_of
from .point import Curve, LoadPoint
from .policy import InferencePolicy
from .sliding import GapRule, buckets_of, since_last

Counts = npt.NDArray[np.int64]

# Less than a millionth of a replica is a float's error, not demand: 2.1 / 0.7 is 3.
_MILLIONTH = 1e-6
_NEVER = -(2**62)


class Moments(NamedTuple):
    """The points that say enough to propose something, as columns."""

    bucket: Counts
    replicas: Counts
    """Ready and loading."""
    met: Counts
    """Those of them that a surge met: ready, or loading at the point before as well."""
    stable: Array
    """Load averaged over the stable window, in replicas."""
    panic: Array
    """The same over the panic window."""
    newest: Array
    """Load of the moment itself."""


class Proposal(NamedTuple):
    """What the newest moment led to, rule by rule; each count is what was left after its rule."""

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
    points: Curve | collections.abc.Sequence[LoadPoint],
    policy: InferencePolicy,
    *,
    lead_time_s: float | None,
    gap_rule: GapRule = GapRule.CARRY,
    bucket_s: float,
) -> KpaAnswer:
    """Return what ``policy`` wants at the newest of ``points`` (oldest first, in time order)."""
    pace = pace_of(policy, lead_time_s=lead_time_s, bucket_s=bucket_s, gap_rule=gap_rule)
    return over(Curve.of(points), pace)


def over(curve: Curve, pace: Pace) -> KpaAnswer:
    """
    Return what the rules want at the newest point of a curve.

    A point without load or without a count of replicas proposes nothing and changes neither panic
    nor delay: an error keeps what was wanted, it is never zero.
    """
    if not len(curve.at_s):
        return _holds(Said("there are no points"))
    curve = curve.since(float(curve.at_s[-1]) - pace.lookback_s)
    buckets = buckets_of(curve.at_s, pace.bucket_s)
    sizes = (pace.stable_buckets, pace.panic_buckets)
    over_stable, over_panic = averages_over(sizes, buckets, curve.load, pace.gap_rule)
    # Knative decides on what is left of the window; here a reading that went missing is no news.
    known = ~np.isnan(curve.load)
    if pace.gap_rule is not GapRule.CARRY:
        known |= ~over_stable.is_empty
    told = known & ~np.isnan(curve.ready)
    if not told[-1]:
        if known[-1]:
            return _holds(Said("the number of ready replicas is not known"))
        return _holds(Said("the load is not known"))
    return answer(propose(_moments(curve, buckets, told, (over_stable, over_panic)), pace), pace)


def _holds(why: Said) -> KpaAnswer:
    return KpaAnswer(steps=(Step(None, Reason.NO_DATA, why),))


def _moments(
    curve: Curve, buckets: Counts, told: Mask, loads: tuple[Averages, Averages]
) -> Moments:
    # The newest bucket is read until it is over. A panic would not outlive its own answer if the
    # replicas that it asked for counted in the very bucket that it began in.
    before = np.minimum(curve.loading, np.concatenate((curve.loading[:1], curve.loading[:-1])))
    kept = all_or(told)
    ready = curve.ready[kept]
    return Moments(
        bucket=buckets[kept],
        replicas=(ready + curve.loading[kept]).astype(np.int64),
        met=(ready + before[kept]).astype(np.int64),
        stable=loads[0].load[kept],
        panic=loads[1].load[kept],
        newest=curve.load[kept],
    )


def propose(moments: Moments, pace: Pace) -> Proposal:
    """Apply the rules to moments (at least one); return what the newest led to."""
    bucket, replicas = moments.bucket, moments.replicas
    held, met = np.maximum(1, replicas), np.maximum(1, moments.met)
    stable, panic = _whole(moments.stable / pace.target), _whole(moments.panic / pace.target)
    surging = panic / met >= pace.panic_threshold
    asked = np.maximum(stable, panic)
    if pace.newest_in_surge:
        # Whether it is a surge the window says; how much it is, who cannot wait hears at once.
        asked = np.maximum(asked, surging * _whole(np.nan_to_num(moments.newest) / pace.target))
    # Without a stable window of history several replicas may be there for a reason that is not
    # seen yet: as if they had been wanted just now, nothing is taken away for one stable window.
    starting = since_last(bucket, pace.stable_buckets) >= pace.stable_buckets
    surged = np.where(surging | (starting & (replicas > 1)), bucket, _NEVER)
    surged = np.maximum.accumulate(surged)
    panicking = bucket - surged <= pace.latch_buckets
    demanded = np.where(panicking, asked, stable)
    limited = np.minimum(
        np.maximum(demanded, np.floor(held / pace.max_scale_down_rate + _MILLIONTH)),
        _whole(pace.max_scale_up_rate * held),
    )
    activated = np.where(demanded > 0, np.maximum(limited, pace.activation_scale), limited)
    course = _Course(
        bucket=bucket,
        activated=activated,
        recorded=np.where(starting & (replicas > 1), np.maximum(activated, replicas), activated),
        panicking=panicking,
        panics=_panics(panicking, _begins(panicking, surging, bucket, surged, pace)),
    )
    delayed = np.searchsorted(bucket, bucket[-1] - pace.delay_buckets, side="right")
    newest = len(bucket) - 1
    return Proposal(
        stable_load=float(moments.stable[-1]),
        panic_load=float(moments.panic[-1]),
        replicas=int(held[-1]),
        met=int(met[-1]),
        stable_desired=int(stable[-1]),
        panic_desired=int(panic[-1]),
        demanded=int(demanded[-1]),
        limited=int(limited[-1]),
        activated=int(activated[-1]),
        panicked=course.most(newest, pace.horizon_buckets),
        stabilized=course.most(min(int(delayed), newest), pace.horizon_buckets),
        surging=bool(surging[-1]),
        panic_age=int(bucket[-1] - surged[-1]) if panicking[-1] else None,
    )


class _Course(NamedTuple):
    """What was asked for over time, and the panics in it."""

    bucket: Counts
    activated: Array
    """Asked for at each moment, were it not for panics before it."""
    recorded: Array
    """What a panic remembers of each moment."""
    panicking: Mask
    panics: list[tuple[int, int]]
    """The first moment, and the one after the last, of each panic."""

    def most(self, since: int, horizon: int) -> int:
        """
        Return the most that any moment from the ``since``-th on asked for.

        A moment in panic asks for the most that its panic remembers within the horizon.
        """
        calm = self.activated[since:][~self.panicking[since:]]
        asked = [float(calm.max())] if len(calm) else []
        for begin, end in self.panics:
            if end <= since:
                continue
            first = max(begin, since)
            oldest = np.searchsorted(self.bucket, self.bucket[first] - horizon, side="right")
            asked.append(float(self.recorded[max(begin, int(oldest)) : end].max()))
        return int(max(asked))


def _panics(panicking: Mask, begins: Mask) -> list[tuple[int, int]]:
    """Return the first moment, and the one after the last, of each panic."""
    (firsts,) = begins.nonzero()
    if not len(firsts):
        return []
    (ends,) = (begins | ~panicking).nonzero()
    after = np.append(ends, len(begins))[ends.searchsorted(firsts, side="right")]
    return list(zip(firsts.tolist(), after.tolist(), strict=True))


def _begins(panicking: Mask, surging: Mask, bucket: Counts, surged: Counts, pace: Pace) -> Mask:
    """Return where a panic begins: after calm, or where silence outlasted the one before."""
    begins = panicking.copy()
    outlasted = bucket[1:] - surged[:-1] > pace.latch_buckets
    begins[1:] &= ~panicking[:-1] | (outlasted & ~surging[1:])
    return begins


def whole(count: float) -> int:
    """Return the whole replicas that a fraction of them needs."""
    return math.ceil(count - _MILLIONTH)


def _whole(counts: Array) -> Array:
    return np.ceil(counts - _MILLIONTH)


def answer(proposal: Proposal, pace: Pace) -> KpaAnswer:
    """Return a proposal in sentences."""
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
        Said(
            "load {load:.2f} over {window_s:g} s, {target:g} per replica",
            load=proposal.stable_load,
            window_s=pace.stable_buckets * pace.bucket_s,
            target=pace.target,
        ),
    )
    if proposal.panic_age is not None:
        yield Step(proposal.demanded, Reason.PANIC, _panic_detail(proposal, pace))
    if proposal.limited < proposal.demanded:
        yield Step(
            proposal.limited,
            Reason.SCALE_UP_LIMIT,
            Said(
                "at most {rate:g} times the {replicas} there are",
                rate=pace.max_scale_up_rate,
                replicas=proposal.replicas,
            ),
        )
    if proposal.limited > proposal.demanded:
        yield Step(
            proposal.limited,
            Reason.SCALE_DOWN_LIMIT,
            Said(
                "at least 1/{rate:g} of the {replicas} there are",
                rate=pace.max_scale_down_rate,
                replicas=proposal.replicas,
            ),
        )
    if proposal.activated != proposal.limited:
        detail = Said("any demand is met with at least {least}", least=pace.activation_scale)
        yield Step(proposal.activated, Reason.ACTIVATION_SCALE, detail)
    if proposal.panicked != proposal.activated:
        yield Step(
            proposal.panicked,
            Reason.PANIC,
            Said(
                "panic takes nothing away: {wanted} were wanted in its last {horizon_s:g} s",
                wanted=proposal.panicked,
                horizon_s=pace.horizon_buckets * pace.bucket_s,
            ),
        )
    if proposal.stabilized != proposal.panicked:
        yield Step(
            proposal.stabilized,
            Reason.SCALE_DOWN_STABILIZED,
            Said(
                "{wanted} were wanted within the last {delay_s:g} s",
                wanted=proposal.stabilized,
                delay_s=pace.delay_buckets * pace.bucket_s,
            ),
        )


def _panic_detail(proposal: Proposal, pace: Pace) -> Said:
    if proposal.surging and proposal.demanded > max(
        proposal.panic_desired, proposal.stable_desired
    ):
        return Said(
            "load {load:.2f} over {window_s:g} s surges: its newest reading asks for {wanted}",
            load=proposal.panic_load,
            window_s=pace.panic_buckets * pace.bucket_s,
            wanted=proposal.demanded,
        )
    asks = Said(
        "load {load:.2f} over {window_s:g} s asks for {wanted}",
        load=proposal.panic_load,
        window_s=pace.panic_buckets * pace.bucket_s,
        wanted=proposal.panic_desired,
    )
    if not proposal.surging:
        return Said(
            "{asks}; began or last surged {age_s:g} s ago, lasts {lasts_s:g} s",
            asks=asks,
            age_s=(proposal.panic_age or 0) * pace.bucket_s,
            lasts_s=pace.latch_buckets * pace.bucket_s,
        )
    there = {
        "asks": asks,
        "share": 100 * proposal.panic_desired / proposal.met,
        "met": proposal.met,
        "limit": 100 * pace.panic_threshold,
    }
    if proposal.met == proposal.replicas:
        return Said("{asks}, {share:.0f} % of the {met} there are (from {limit:g} %)", **there)
    return Said("{asks}, {share:.0f} % of the {met} there were before (from {limit:g} %)", **there)
