"""
How many replicas an inference workload needs: the steps, in order.

Load (in replicas) goes through Knative's windows; the answer is then raised or held by rules that
each have their own reason: data that is missing, GPU memory, proof of zero, the forecast, the HPA's
dead band, and last the bounds.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from scaler.capacity.concurrency.result import SafeConcurrency
from scaler.said import Said, joined

from . import demand, guards, kpa
from .concurrency.live import safe_concurrency
from .concurrency.tail import means_instead
from .curve import curve_of
from .decision import Decision, Reason, Signal, Step
from .demand import Fill
from .facts.bucket import reporting
from .forecast import expect, lead_time_s, price_of, raised
from .foresight import with_outlook
from .kpa import KpaAnswer
from .limits import bounds, past_dead_band, reported_value, within_bounds
from .load import Series, at_target, read, read_against
from .outlook import Foreseen, Outlook
from .pace import pace_of
from .point import Curve
from .policy import Forecast, InferencePolicy, SignalName
from .reported import of_sleepers
from .sleepers import in_place_of_sleepers
from .utilization import acting, learned
from .waking import came_to_sleeping
from .window import Window


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What the steps of one decision rest on."""

    window: Window
    stated: InferencePolicy
    policy: InferencePolicy
    """As it acts: with the target utilisation that the outlook leaves room for."""
    outlook: Outlook | None
    """What load may become within one lead time; None: nobody asks, or too little is known."""
    series: tuple[Series, ...]
    """The chosen signals, replicas that do not report counted as empty."""
    curve: Curve
    """The load over time by them, in replicas at the target utilisation, as KPA reads it."""
    safe: SafeConcurrency | None
    lead_time_s: float | None
    memory: Signal | None
    """None: the signal is not chosen."""
    utilization: Signal | None

    @classmethod
    def of(cls, window: Window, policy: InferencePolicy) -> "Basis":
        """Find everything that more than one step needs."""
        chosen = policy.metrics
        lead_s = lead_time_s(policy, window.startup_s)
        window = with_outlook(window, policy, lead_s)
        safe = safe_concurrency(window, policy)
        series = read_against(safe, window, policy)
        foreseen = window.foreseen or _foreseen(window, series, policy, lead_s)
        acts = foreseen.policy
        if acts is not policy:
            was = policy.effective_target_utilization
            series = at_target(series, was, acts.effective_target_utilization)
        return cls(
            window=window,
            stated=policy,
            policy=acts,
            outlook=foreseen.outlook,
            series=series,
            curve=curve_of(window, series, acts),
            safe=safe,
            lead_time_s=lead_s,
            memory=guards.gpu_memory(window, policy) if SignalName.GPU_MEMORY in chosen else None,
            utilization=guards.gpu_utilization(window, policy)
            if SignalName.GPU_UTILIZATION in chosen
            else None,
        )

    def of_the_few(self) -> "Basis":
        """Return the same with the replicas that do not report at the newest instant as empty."""
        window = self.window.with_latest(demand.of_the_few(self.window.latest))
        series = read(window, self.policy)
        curve = curve_of(self.window, series, self.policy)
        return dataclasses.replace(self, series=series, curve=curve)

    def filled(self, fill: Fill) -> Curve:
        """Return the load over time with the replicas that do not report so full."""
        if fill is Fill.EMPTY:
            return self.curve
        series = read_against(self.safe, self.window, self.policy, fill)
        return curve_of(self.window, series, self.policy)

    def long_curve(self) -> Curve:
        """Return the load from the thinned history on: what a forecast looks back over."""
        return _long_curve(self.window, self.series, self.policy)

    def recommend(self, fill: Fill = Fill.EMPTY) -> KpaAnswer:
        """Return what Knative's rules make of the load."""
        pace = pace_of(self.policy, lead_time_s=self.lead_time_s, bucket_s=self.window.bucket_s)
        return kpa.over(self.filled(fill), pace)


def _long_curve(window: Window, series: Sequence[Series], policy: InferencePolicy) -> Curve:
    whole = window.whole
    return curve_of(whole, read(whole, policy) if window.history else series, policy)


def _foreseen(
    window: Window, series: Sequence[Series], policy: InferencePolicy, lead_s: float | None
) -> Foreseen:
    """Foresee by all that is known, where that is not the whole minutes alone."""
    if not lead_s or policy.tier_group is not None or window.latest.is_known_zero:
        return Foreseen(None, None, policy)  # nothing to be ahead of, or it is the group's
    outlook = None
    if policy.forecast is not Forecast.OFF:
        curve = _long_curve(window, series, policy)
        outlook = expect(curve, policy, lead_time_s=lead_s, bucket_s=window.interval_s)
    return Foreseen(None, outlook, acting(policy, outlook, lead_s))


def decide_replicas(window: Window, policy: InferencePolicy) -> Decision:
    """Return the replicas that an inference workload needs."""
    return decided(Basis.of(window, policy))


def decided(basis: Basis) -> Decision:
    """Return the replicas that a workload needs, where what the steps rest on was found already."""
    now = basis.window.now
    if now.missing and not now.speaks and not now.zero:
        return _of_the_few(basis)
    steps, panic = _demanded(basis)
    return conclude(basis, steps, panic=panic)


def conclude(
    basis: Basis,
    steps: tuple[Step, ...],
    *,
    panic: bool,
    rules: Sequence[Callable[[Basis, int], Step | None]] | None = None,
) -> Decision:
    """Apply the rules to what was demanded, each as a step of its own, and put it all together."""
    for rule in RULES if rules is None else rules:
        if (count := steps[-1].replicas) is None:
            break
        if (step := rule(basis, count)) is not None:
            steps = (*steps, step)
    return _decision(basis, steps, panic=panic)


def _demanded(basis: Basis) -> tuple[tuple[Step, ...], bool]:
    """Return the steps that come from load, and whether panic rules; a hold where it is unknown."""
    now = basis.window.latest
    if now.is_known_zero:
        return (_at_zero(basis),), False
    if all(one.latest is None for one in basis.series):
        return (_silence(basis),), False
    answer = basis.recommend()
    if not basis.window.now.missing:
        return answer.steps, answer.panic
    return _partial(basis, answer)


def _at_zero(basis: Basis) -> Step:
    """
    Stay at zero, or wake: with one replica, or what the backlog is known to need.

    A gateway that says nothing is no proof that nothing came: zero is held, and not asked for.
    """
    least = bounds(basis.window, basis.policy)[0]
    if basis.window.gateway_silent is not None and not least:
        detail = Said(
            "at zero replicas, and nobody would tell of a request: {why}",
            why=basis.window.gateway_silent,
        )
        return Step(None, Reason.NO_DATA, detail)
    waiting = basis.window.now.backlog
    since_s = basis.window.now_s - basis.policy.stable_window_s
    came = came_to_sleeping(basis.window.last(basis.policy.lookback_s), since_s)
    if not waiting and not came:
        detail = Said("at zero replicas, and nothing asks for one")
        return Step(0, Reason.KNOWN_ZERO, detail)
    asked = float(np.nan_to_num(basis.curve.load[-1]))
    needed = kpa.whole(asked / basis.policy.effective_target_utilization)
    count = max(basis.policy.activation_scale, needed)
    if waiting:
        detail = Said("at zero replicas, and {n:g} requests wait at the gateway", n=waiting)
    else:
        detail = Said("at zero replicas, and {n:g} requests arrived at the gateway", n=came)
    return Step(count, Reason.WOKEN, detail)


def _silence(basis: Basis) -> Step:
    """Hold: no chosen signal says anything now."""
    why = _each((one.name, one.as_signal().detail) for one in basis.series)
    if not basis.series:
        detail = Said("only GPU readings are chosen, and they set no count")
        return Step(None, Reason.NO_DATA, detail)
    if basis.window.instead is not None:
        detail = Said("{instead} ({why})", instead=basis.window.instead, why=why)
        return Step(None, Reason.NO_DATA, detail)
    if any(one.abstention and one.abstention.missing for one in basis.series):
        return Step(None, Reason.NO_DATA, why)
    return Step(None, Reason.NO_CAPACITY, why)


def _each(told: Iterable[tuple[str, str]]) -> Said:
    """Return what each of some signals says."""
    return joined("; ", (Said("{name}: {why}", name=name, why=why) for name, why in told))


def _of_the_few(basis: Basis) -> Decision:
    """
    Go up where the few ready replicas that report ask for it alone; else hold.

    In a surge many replicas become ready at once, before the first scrape of most of them, and to
    hold then costs a scrape interval. What the silent ones do can only add to the load. For a lower
    count, and for whoever lends or deals by this load, the instant stays unknown.
    """
    few, now = basis.of_the_few(), basis.window.latest
    answering = reporting(now)
    if answering:
        answer = few.recommend()
        count = answer.steps[-1].replicas
        if count is not None and count > demand.current(now):
            detail = Said(
                "{answering} of {ready} ready replicas report and alone ask for {count}",
                answering=answering,
                ready=now.ready,
                count=count,
            )
            step = Step(count, Reason.PARTIAL_DATA, detail)
            return conclude(few, (*answer.steps, step), panic=answer.panic)
        if (others := _for_sleepers(basis, demand.current(now))) is not None:
            return conclude(few, (others,), panic=False)
    return conclude(basis, (_silence(basis),), panic=False)


def _partial(basis: Basis, empty: KpaAnswer) -> tuple[tuple[Step, ...], bool]:
    """
    Decide while some ready replicas do not report, by the HPA's rule for missing pods.

    Up only as far as is needed with the missing ones empty, down only as far as is safe with them
    full; between the two, stay.
    """
    now = basis.window.latest
    current = demand.current(now)
    low, full = empty.steps[-1].replicas, basis.recommend(Fill.FULL)
    high = full.steps[-1].replicas
    if low is None or high is None or low >= current:
        return empty.steps, empty.panic
    if high <= current:
        return full.steps, full.panic
    missing = int(basis.window.now.missing)
    detail = Said(
        "{missing} of {ready} ready replicas do not report: between {low} (they are idle) and"
        " {high} (they are full) are needed",
        missing=missing,
        ready=now.ready,
        low=low,
        high=high,
    )
    return (*empty.steps, Step(current, Reason.PARTIAL_DATA, detail)), empty.panic


def _with_history(basis: Basis, count: int) -> Step | None:
    """Never scale down, and hold where the count is unknown, before one stable window is seen."""
    seen_s, needed_s = basis.window.span_s, basis.policy.stable_window_s
    spec = basis.window.latest.spec_replicas
    if seen_s >= needed_s or basis.window.latest.is_known_zero:
        return None
    detail = Said(
        "{seen_s:g} s of the {needed_s:g} s stable window were seen so far",
        seen_s=seen_s,
        needed_s=needed_s,
    )
    if spec is None:
        return Step(None, Reason.NO_HISTORY, detail)
    if spec <= count:
        return None
    return Step(spec, Reason.NO_HISTORY, Said("{told}: no fewer than now", told=detail))


def _with_every_signal(basis: Basis, count: int) -> Step | None:
    """Never scale down while a chosen signal's readings are missing."""
    now = basis.window.latest
    current = demand.current(now)
    silent = [one for one in basis.series if one.abstention and one.abstention.missing]
    if not silent or count >= current:
        return None
    why = _each((one.name, one.abstention.why) for one in silent if one.abstention)
    detail = Said("no fewer than now without every signal ({why})", why=why)
    return Step(current, Reason.SIGNAL_MISSING, detail)


def _for_memory(basis: Basis, count: int) -> Step | None:
    ready = basis.window.latest.ready
    if basis.memory is None or not ready:
        return None
    return guards.hold_for_memory(basis.memory, count, ready)


def _for_utilization(basis: Basis, count: int) -> Step | None:
    if basis.utilization is None:
        return None
    return guards.raise_for_utilization(basis.utilization, basis.series, basis.window, count)


def _with_proof_of_zero(basis: Basis, count: int) -> Step | None:
    """Stay at one where nobody could tell zero from silence afterwards, or wake it again."""
    now = basis.window.latest
    if count > 0:
        return None
    if basis.window.gateway_silent is not None:
        why = basis.window.gateway_silent
        detail = Said("nobody would tell of a request at zero replicas: {why}", why=why)
        return Step(1, Reason.ZERO_UNPROVEN, detail)
    if now.spec_replicas is not None or now.has_gateway:
        return None
    detail = Said("neither the scale target nor a gateway would tell zero from silence")
    return Step(1, Reason.ZERO_UNPROVEN, detail)


def _for_forecast(basis: Basis, count: int) -> Step | None:
    """Raise to the load expected within one lead time; an idle workload is left to sleep."""
    return raised(basis.outlook, count, basis.policy, basis.lead_time_s or 0.0)


def _for_sleepers(basis: Basis, count: int) -> Step | None:
    """Ask for others in place of replicas that sleep on though load needs them."""
    return in_place_of_sleepers(
        basis.window, basis.policy, count, series=basis.series, safe=basis.safe
    )


def _past_dead_band(basis: Basis, count: int) -> Step | None:
    return past_dead_band(count, basis.window, basis.policy)


def _within_bounds(basis: Basis, count: int) -> Step | None:
    return within_bounds(count, basis.window, basis.policy)


RULES: tuple[Callable[[Basis, int], Step | None], ...] = (
    _with_history,
    _with_every_signal,
    _for_memory,
    _for_utilization,
    _with_proof_of_zero,
    _for_forecast,
    _for_sleepers,
    _past_dead_band,
    _within_bounds,
)
"""What may change the count that load asked for, in this order; each says why, or nothing."""

RULES_OF_A_TIER = tuple(rule for rule in RULES if rule is not _for_forecast)
"""The same for a share of a group: its forecast is the group's."""


def _decision(basis: Basis, steps: tuple[Step, ...], *, panic: bool) -> Decision:
    now, count = basis.window.latest, steps[-1].replicas
    loads = [load for one in basis.series if (load := one.latest) is not None]
    guards_ = tuple(signal for signal in (basis.memory, basis.utilization) if signal)
    return Decision(
        at_s=basis.window.now_s,
        steps=steps,
        signals=(*(one.as_signal() for one in basis.series), *guards_),
        load=max(loads, default=None),
        ready_replicas=now.ready,
        spec_replicas=now.spec_replicas,
        safe_concurrency=basis.safe.requests if basis.safe else None,
        binding_limit=basis.safe.binding if basis.safe else None,
        panic=panic,
        woken=now.is_known_zero and bool(count),
        reported=None if count is None else reported_value(count, basis.window, basis.policy),
        notes=_notes(basis),
    )


def _notes(basis: Basis) -> tuple[str, ...]:
    """Return what rests for want of what."""
    now = basis.window.latest
    notes: list[str] = [
        Said("{name} abstains: {why}", name=one.name, why=one.abstention.why)
        for one in basis.series
        if one.abstention
    ]
    if (asleep := of_sleepers(now)) is not None:
        notes.append(asleep)
    if now.spec_replicas is None:
        notes.append(
            Said(
                "The scale target is not known (neither kube-state-metrics nor the API): "
                "ready replicas are those with a live engine series."
            )
        )
    if basis.window.gateway_silent is not None:
        why = basis.window.gateway_silent
        notes.append(Said("Nobody would tell of a request: {why}.", why=why))
    if basis.window.between is not None:
        notes.append(basis.window.between)
    if bounds(basis.window, basis.policy)[1] is None:
        notes.append(
            Said("maxReplicas is not known: the count has no bound here, KEDA's still holds.")
        )
    notes.extend(means_instead(basis.window, basis.policy))
    return (*notes, *_of_forecast(basis), *(basis.safe.notes if basis.safe else ()))


def _of_forecast(basis: Basis) -> tuple[str, ...]:
    """Return why the forecast rests, or what it made of the target, and what a burst would cost."""
    if basis.policy.forecast is not Forecast.OFF and basis.lead_time_s is None:
        return (Said("No cold start was seen and leadTime is not stated: the forecast rests."),)
    told = (
        learned(basis.stated, basis.policy, basis.outlook),
        price_of(basis.outlook, basis.policy),
    )
    return tuple(one for one in told if one is not None)
