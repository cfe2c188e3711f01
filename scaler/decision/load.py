"""
Load in replicas: 1.0 means one replica, full to what it can safely hold.

Each chosen signal turns the samples of a window into a series of loads, one per sample. Signals
combine by the maximum of what they ask for. One that cannot be computed abstains and says why:
either its readings are *missing* (then nobody may scale down on the word of the others), or it does
not *apply* (no limit is known, no fit yet), which blocks nothing.

Two properties hold whatever is chosen: with constant traffic the load does not grow as replicas are
added, and more load at the newest instant, all else equal, never gives less. (What a signal learns
from the window, such as how much a replica can run, it therefore learns from before the newest
sample.)
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from scaler.capacity.concurrency.result import SafeConcurrency
from scaler.said import Said, joined

from . import demand, work
from .concurrency.live import safe_concurrency
from .decision import Signal
from .demand import Fill
from .facts.bucket import reporting
from .facts.columns import Array, Columns, Readings
from .policy import InferencePolicy, Phase, SignalName
from .reported import WORK, lacking, why_silent
from .throughput import queued_completions_per_s
from .window import Window


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """Why a signal says nothing; ``missing`` blocks a scale-down, an inapplicable one does not."""

    missing: bool
    why: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """What one signal said over the buckets, oldest first."""

    name: SignalName
    target: float
    loads: Array
    """NaN where it says nothing."""
    abstention: Abstention | None = None
    """Set when the newest load is not known."""
    detail: str = ""

    @property
    def latest(self) -> float | None:
        """Load at the newest bucket."""
        load = float(self.loads[-1])
        return None if load != load else load  # noqa: PLR0124 -- NaN

    def as_signal(self) -> Signal:
        """Return what a Decision shows of it."""
        detail = self.abstention.why if self.abstention else self.detail
        return Signal(name=self.name, load=self.latest, target=self.target, detail=detail)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A window about to be read: what the signals share, found once."""

    window: Window
    policy: InferencePolicy
    fill: Fill
    safe: SafeConcurrency | None
    columns: Columns
    earlier: Columns
    """The buckets before the newest one: what may be learned from."""
    over_service: bool
    """Count arrivals over the time that a request runs, and not by the bucket."""

    @property
    def drain_weight(self) -> float:
        """
        Return how much a waiting request counts against a running one.

        Waiting requests ask for what drains them within ``backlog_drain_s``, each needing a slot
        for one service time.
        """
        drain_s = self.policy.backlog_drain_s
        recent = self.window.first_of(self.policy.stable_window_s)
        service_s = demand.service_time_s(self.columns, recent)
        if drain_s == 0 or service_s is None:
            return 1.0
        return min(1.0, service_s / drain_s)

    @property
    def drain_load(self) -> float:
        """
        Return the load of a waiting request by what a replica completes while it has a queue.

        Slots alone would say that a replica drains as many as it holds in each service time. One
        that is bound by prefill never fills its slots and drains far fewer.
        """
        rate = queued_completions_per_s(self.earlier)
        if rate is None or self.policy.backlog_drain_s == 0:
            return 0.0
        return 1 / (rate * self.policy.backlog_drain_s)

    def filled(self, loads: Array) -> Array:
        """Return loads where the instant speaks, with the silent replicas filled in."""
        now = self.columns.instants
        if self.fill is Fill.FULL:
            loads = loads + now.missing
        return np.where(now.speaks > 0, loads, np.nan)

    def summed(self, each: Array) -> Array:
        """Return the sum over each bucket's replicas of a column of readings."""
        counts = self.columns.instants.replicas.astype(np.int64)
        rows = np.repeat(np.arange(len(counts)), counts)
        return np.bincount(rows, weights=each, minlength=len(counts)).astype(np.float64)


def read(
    window: Window,
    policy: InferencePolicy,
    fill: Fill = Fill.EMPTY,
    *,
    over_service: bool = False,
) -> tuple[Series, ...]:
    """
    Return the series of every chosen signal that is a load, in the order they were chosen.

    ``over_service`` is for who asks how much room requests will need: what came in five seconds, of
    requests that run for forty, fills an eighth of what so many a second would fill.
    """
    safe = safe_concurrency(window, policy)
    return read_against(safe, window, policy, fill, over_service=over_service)


def read_against(
    safe: SafeConcurrency | None,
    window: Window,
    policy: InferencePolicy,
    fill: Fill = Fill.EMPTY,
    *,
    over_service: bool = False,
) -> tuple[Series, ...]:
    """Return the series by a safe concurrency that was found already."""
    reader = Reader(
        window=window,
        policy=policy,
        fill=fill,
        safe=safe,
        columns=window.columns,
        earlier=window.earlier,
        over_service=over_service,
    )
    return tuple(SIGNALS[name](reader) for name in policy.metrics if name in SIGNALS)


def _silent(window: Window) -> Abstention:
    now, ready = window.now, window.latest.ready
    if ready is None:
        return Abstention(missing=True, why=Said("no replica reports"))
    if now.speaks:
        return Abstention(missing=True, why=Said("the readings it needs are missing now"))
    answering = reporting(window.latest)
    return Abstention(missing=True, why=why_silent(window.latest, answering))


def _series(
    reader: Reader, name: SignalName, loads: Array, *, target: float, detail: str
) -> Series:
    abstention = _silent(reader.window) if math.isnan(loads[-1]) else None
    return Series(name=name, target=target, loads=loads, abstention=abstention, detail=detail)


def _not_applicable(reader: Reader, name: SignalName, target: float, why: str) -> Series:
    return Series(
        name=name,
        target=target,
        loads=np.full(len(reader.columns), np.nan),
        abstention=Abstention(missing=False, why=why),
    )


def _concurrency(reader: Reader) -> Series:
    """Running and waiting requests over what one replica can safely hold."""
    name, target = SignalName.CONCURRENCY, reader.policy.effective_target_utilization
    if reader.policy.phase is Phase.PREFILL:
        return _prefill(reader)
    if reader.safe is None:
        return _not_applicable(reader, name, target, Said("no safe concurrency is known"))
    safe, weight = reader.safe.requests, reader.drain_weight
    per_waiting = max(weight / safe, reader.drain_load)
    now, newest = reader.columns.instants, reader.window.now
    loads = reader.filled(now.running / safe + per_waiting * now.backlog)
    detail = Said(
        "{running:g} running + {waiting:g} waiting × {weight:.2f}, {safe} per replica ({binding})",
        running=newest.running,
        waiting=newest.backlog,
        weight=per_waiting * safe,
        safe=safe,
        binding=reader.safe.binding,
    )
    return _series(reader, name, loads, target=target, detail=detail)


def _prefill(reader: Reader) -> Series:
    """
    Prompt tokens in a prefill fleet over what one replica prefills within the TTFT target.

    Requests that run in a prefill engine still hold prompt tokens to compute, so they count with
    those that wait. The rate is the most one replica was seen to prefill.
    """
    name, ttft_s = SignalName.CONCURRENCY, reader.policy.ttft_target_s or 0.0
    tokens = demand.mean_prompt_tokens(reader.earlier)
    rates = reader.earlier.instants.prefilled_per_s
    rate = float(np.fmax.reduce(rates)) if len(rates) else 0.0
    if tokens is None or not rate > 0:
        return _not_applicable(reader, name, 1.0, Said("no prompt was seen to be prefilled yet"))
    now = reader.columns.instants
    loads = reader.filled((now.running + now.backlog) * tokens / (rate * ttft_s))
    detail = Said(
        "{tokens:.0f} prompt tokens a request, {rate:.0f} tokens/s, TTFT {ttft_s:g} s",
        tokens=tokens,
        rate=rate,
        ttft_s=ttft_s,
    )
    return _series(reader, name, loads, target=1.0, detail=detail)


def _kv_cache(reader: Reader) -> Series:
    """Block usage, and the blocks that waiting prompts will need."""
    name, target = SignalName.KV_CACHE, reader.policy.effective_target_utilization
    now = reader.columns.instants
    if np.isnan(reader.columns.readings.kv_usage).all():
        why = Said("the engine does not report KV-cache usage")
        return _not_applicable(reader, name, target, why)
    per_waiting = _blocks_share_per_waiting(reader)
    detail = Said("{share:.2f} % of a replica's blocks per waiting prompt", share=100 * per_waiting)
    loads = reader.filled(now.kv_usage + per_waiting * now.backlog)
    return _series(reader, name, loads, target=target, detail=detail)


def _blocks_share_per_waiting(reader: Reader) -> float:
    """Return the share of one replica's blocks that a waiting prompt will need."""
    tokens = demand.mean_prompt_tokens(reader.earlier)
    sizes = [
        (replica.kv_blocks, replica.kv_block_tokens)
        for replica in reader.window.latest.replicas
        if replica.kv_blocks and replica.kv_block_tokens
    ]
    if tokens is not None and sizes:
        return max(tokens / block_tokens / blocks for blocks, block_tokens in sizes)
    before = reader.earlier.instants
    ran = float(before.running.sum())
    return float(before.kv_used.sum()) / ran if ran else 0.0


def _batch(reader: Reader) -> Series:
    """Running requests over the engine's limit on them: how full the batch is."""
    name, target = SignalName.BATCH, reader.policy.effective_target_utilization
    exported = [r.max_running for r in reader.window.latest.replicas if r.max_running]
    limit = reader.policy.max_num_seqs or min(exported, default=None)
    if limit is None:
        why = Said("max_num_seqs is not stated, and the engine does not export it")
        return _not_applicable(reader, name, target, why)
    loads = reader.filled(reader.columns.instants.running / limit)
    detail = Said("max_num_seqs {limit:g}", limit=limit)
    return _series(reader, name, loads, target=target, detail=detail)


def _queue(reader: Reader) -> Series:
    """
    Busy replicas, and waiting requests over what is worth one more.

    For engines with no safe concurrency known: how much a replica can run is the most one was seen
    to run while it had a queue (else the most one was seen to run at all, which errs towards more
    replicas). With nothing waiting it never asks for more than is there.
    """
    queue_target = reader.policy.queue_target or 1.0
    most = _most_run(reader.earlier.readings)
    each = reader.columns.readings
    awake = each.awake > 0
    share = np.minimum(1.0, each.running / most) if most else (each.running > 0).astype(np.float64)
    busy = reader.summed(np.where(awake, share, 0.0))
    loads = reader.filled(busy + reader.columns.instants.backlog / queue_target)
    detail = Said(
        "a replica runs up to {most:g}; {waiting:g} waiting are worth one more",
        most=most,
        waiting=queue_target,
    )
    return _series(reader, SignalName.QUEUE, loads, target=1.0, detail=detail)


def _most_run(seen: Readings) -> float:
    """Return the most that an awake replica ran, with a queue if any had one; 0: none ran."""
    ran = seen.running[seen.awake > 0]
    queued = ran[seen.waiting[seen.awake > 0] > 0]
    return float(np.fmax.reduce(queued, initial=0.0)) or float(np.fmax.reduce(ran, initial=0.0))


def _rps(reader: Reader) -> Series:
    """Completions per second over what one replica is meant to complete."""
    name, per_replica = SignalName.RPS, reader.policy.rps_target or 1.0
    now = reader.columns.instants
    rates = np.where(now.zero > 0, 0.0, now.finished / now.seconds)
    rates[0] = np.nan
    if np.isnan(rates).all():
        return _not_applicable(reader, name, 1.0, Said("no completions were counted yet"))
    loads = reader.filled(rates / per_replica)
    detail = Said("{each:g} completions/s per replica", each=per_replica)
    return _series(reader, name, loads, target=1.0, detail=detail)


def _work(reader: Reader) -> Series:
    """Offered and queued work over what one replica may do: linear in the arrival rate."""
    name, target = SignalName.WORK, reader.policy.effective_target_utilization
    law = work.learn(reader.earlier, reader.policy, reader.safe)
    if law is None:
        why = Said(
            "its fit needs busy buckets of different load (steps, tokens) to tell the costs apart"
        )
        if lacks := lacking(reader.window, WORK):
            told = joined(", no ", map(Said, lacks))
            why = Said("the engine reports no {lacks}, to which it is fitted", lacks=told)
        return _not_applicable(reader, name, target, why)
    over_s = demand.service_time_s(reader.earlier) if reader.over_service else None
    loads = reader.filled(work.loads(reader.columns, law, reader.policy, over_s=over_s or 0.0))
    detail = Said(
        "{each_ms:.1f} ms of a replica per request, safe at {rho:.2f} ({why})",
        each_ms=1000 * law.request_s,
        rho=law.safe_rho,
        why=law.why,
    )
    return _series(reader, name, loads, target=target, detail=detail)


SIGNALS: dict[SignalName, Callable[[Reader], Series]] = {
    SignalName.WORK: _work,
    SignalName.CONCURRENCY: _concurrency,
    SignalName.KV_CACHE: _kv_cache,
    SignalName.BATCH: _batch,
    SignalName.QUEUE: _queue,
    SignalName.RPS: _rps,
}
"""Signals that are loads; the GPU readings are guards over them (:mod:`.guards`)."""


def at_target(series: Sequence[Series], was: float, target: float) -> tuple[Series, ...]:
    """Return series with those that were read against one target utilisation against another."""
    return tuple(
        dataclasses.replace(one, target=target) if one.target == was else one for one in series
    )


def wanted(series: Sequence[Series]) -> Array:
    """
    Return the replicas that the signals (at least one) ask for at each bucket: the most any wants.

    NaN where every signal abstains.
    """
    most = series[0].loads / series[0].target
    for one in series[1:]:
        most = np.fmax(most, one.loads / one.target)
    return most
