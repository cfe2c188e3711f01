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
import functools
import itertools
from collections.abc import Callable, Sequence

from scaler.capacity.concurrency.result import SafeConcurrency

from . import demand, work
from .concurrency.live import safe_concurrency
from .decision import Signal
from .demand import Fill
from .policy import InferencePolicy, Phase, SignalName
from .rates import in_both, increase, replica_increase
from .sample import Sample
from .throughput import queued_completions_per_s
from .window import Window

Loads = tuple[float | None, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """Why a signal says nothing; ``missing`` blocks a scale-down, an inapplicable one does not."""

    missing: bool
    why: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What one signal said over the samples, oldest first."""

    name: SignalName
    target: float
    loads: Loads
    abstention: Abstention | None = None
    """Set when the newest load is None."""
    detail: str = ""

    @property
    def latest(self) -> float | None:
        """Load at the newest sample."""
        return self.loads[-1]

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

    @property
    def earlier(self) -> tuple[Sample, ...]:
        """The samples before the newest one: what may be learned from."""
        return self.window.samples[:-1]

    @property
    def drain_weight(self) -> float:
        """
        Return how much a waiting request counts against a running one.

        Waiting requests ask for what drains them within ``backlog_drain_s``, each needing a slot
        for one service time.
        """
        drain_s = self.policy.backlog_drain_s
        recent = self.window.last(self.policy.stable_window_s)
        service_s = demand.service_time_s(recent)
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

    def each(self, load: Callable[[Sample], float | None]) -> Loads:
        """Return a load for each sample that speaks, with the silent replicas filled in."""
        return tuple(
            None
            if not demand.speaks(sample) or (known := load(sample)) is None
            else known + demand.missing_replicas(sample) * self.fill
            for sample in self.window.samples
        )


def read(window: Window, policy: InferencePolicy, fill: Fill = Fill.EMPTY) -> tuple[Series, ...]:
    """Return the series of every chosen signal that is a load, in the order they were chosen."""
    return read_against(safe_concurrency(window, policy), window, policy, fill)


def read_against(
    safe: SafeConcurrency | None,
    window: Window,
    policy: InferencePolicy,
    fill: Fill = Fill.EMPTY,
) -> tuple[Series, ...]:
    """Return the same where the window's safe concurrency was found already."""
    reader = Reader(window=window, policy=policy, fill=fill, safe=safe)
    return tuple(SIGNALS[name](reader) for name in policy.metrics if name in SIGNALS)


def _silent(window: Window) -> Abstention:
    sample = window.latest
    answering, ready = len(demand.reporting(sample)), sample.ready
    if ready is None:
        return Abstention(missing=True, why="no replica reports")
    if demand.speaks(sample):
        return Abstention(missing=True, why="the readings it needs are missing now")
    return Abstention(missing=True, why=f"{answering} of {ready} ready replicas report")


def _series(
    reader: Reader, name: SignalName, loads: Loads, *, target: float, detail: str
) -> Series:
    abstention = _silent(reader.window) if loads[-1] is None else None
    return Series(name=name, target=target, loads=loads, abstention=abstention, detail=detail)


def _not_applicable(reader: Reader, name: SignalName, target: float, why: str) -> Series:
    return Series(
        name=name,
        target=target,
        loads=(None,) * len(reader.window.samples),
        abstention=Abstention(missing=False, why=why),
    )


def _concurrency(reader: Reader) -> Series:
    """Running and waiting requests over what one replica can safely hold."""
    name, target = SignalName.CONCURRENCY, reader.policy.target_utilization
    if reader.policy.phase is Phase.PREFILL:
        return _prefill(reader)
    if reader.safe is None:
        return _not_applicable(reader, name, target, "no safe concurrency is known")
    safe, weight = reader.safe.requests, reader.drain_weight
    per_waiting = max(weight / safe, reader.drain_load)
    fill = reader.fill
    loads = tuple(
        None
        if (asked := demand.asked(sample)) is None
        else asked.running / safe + per_waiting * asked.backlog + asked.missing * fill
        for sample in reader.window.samples
    )
    now = reader.window.latest
    detail = (
        f"{demand.running(now):g} running + {demand.backlog(now):g} waiting × "
        f"{per_waiting * safe:.2f}, "
        f"{safe} per replica ({reader.safe.binding})"
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
    rate = _most_prefilled_per_s(reader.earlier)
    if tokens is None or not rate:
        return _not_applicable(reader, name, 1.0, "no prompt was seen to be prefilled yet")
    per_replica = rate * ttft_s
    loads = reader.each(
        lambda sample: (demand.running(sample) + demand.backlog(sample)) * tokens / per_replica
    )
    detail = f"{tokens:.0f} prompt tokens a request, {rate:.0f} tokens/s, TTFT {ttft_s:g} s"
    return _series(reader, name, loads, target=1.0, detail=detail)


def _most_prefilled_per_s(samples: Sequence[Sample]) -> float | None:
    rates = [
        rise / (after.at_s - before.at_s)
        for before, after in itertools.pairwise(samples)
        for earlier, later in in_both(before, after)
        if (rise := replica_increase(earlier, later, "prompt_tokens_total")) is not None
    ]
    return max(rates, default=None)


def _kv_cache(reader: Reader) -> Series:
    """Block usage, and the blocks that waiting prompts will need."""
    name, target = SignalName.KV_CACHE, reader.policy.target_utilization
    if all(r.kv_cache_usage is None for s in reader.window.samples for r in s.replicas):
        return _not_applicable(reader, name, target, "the engine does not report KV-cache usage")
    per_waiting = _blocks_share_per_waiting(reader)

    def load(sample: Sample) -> float | None:
        usages = [replica.kv_cache_usage for replica in demand.reporting(sample)]
        known = [usage for usage in usages if usage is not None]
        if len(known) < len(usages):
            return None
        return sum(known) + per_waiting * demand.backlog(sample)

    detail = f"{100 * per_waiting:.2f} % of a replica's blocks per waiting prompt"
    return _series(reader, name, reader.each(load), target=target, detail=detail)


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
    ran = sum(demand.running(sample) for sample in reader.earlier)
    used = sum(replica.kv_cache_usage or 0.0 for s in reader.earlier for replica in s.replicas)
    return used / ran if ran else 0.0


def _batch(reader: Reader) -> Series:
    """Running requests over the engine's limit on them: how full the batch is."""
    name, target = SignalName.BATCH, reader.policy.target_utilization
    exported = [r.max_running for r in reader.window.latest.replicas if r.max_running]
    limit = reader.policy.max_num_seqs or min(exported, default=None)
    if limit is None:
        why = "max_num_seqs is not stated, and the engine does not export it"
        return _not_applicable(reader, name, target, why)
    loads = reader.each(lambda sample: demand.running(sample) / limit)
    return _series(reader, name, loads, target=target, detail=f"max_num_seqs {limit:g}")


def _queue(reader: Reader) -> Series:
    """
    Busy replicas, and waiting requests over what is worth one more.

    For engines with no safe concurrency known: how much a replica can run is the most one was seen
    to run while it had a queue (else the most one was seen to run at all, which errs towards more
    replicas). With nothing waiting it never asks for more than is there.
    """
    queue_target = reader.policy.queue_target or 1.0
    seen = [r for sample in reader.earlier for r in demand.reporting(sample)]
    queued = [r.requests_running or 0.0 for r in seen if r.requests_waiting]
    most = max(queued, default=0.0) or max((r.requests_running or 0.0 for r in seen), default=0.0)

    def load(sample: Sample) -> float:
        ran = (replica.requests_running or 0.0 for replica in demand.reporting(sample))
        busy = sum(min(1.0, count / most) if most else float(count > 0) for count in ran)
        return busy + demand.backlog(sample) / queue_target

    detail = f"a replica runs up to {most:g}; {queue_target:g} waiting are worth one more"
    return _series(reader, SignalName.QUEUE, reader.each(load), target=1.0, detail=detail)


def _rps(reader: Reader) -> Series:
    """Completions per second over what one replica is meant to complete."""
    name, per_replica = SignalName.RPS, reader.policy.rps_target or 1.0
    rates = _completions_per_s(reader.window.samples)
    if all(rate is None for rate in rates):
        return _not_applicable(reader, name, 1.0, "no completions were counted yet")
    loads = tuple(
        None
        if rate is None or not demand.speaks(sample)
        else rate / per_replica + demand.missing_replicas(sample) * reader.fill
        for rate, sample in zip(rates, reader.window.samples, strict=True)
    )
    detail = f"{per_replica:g} completions/s per replica"
    return _series(reader, name, loads, target=1.0, detail=detail)


def _completions_per_s(samples: Sequence[Sample]) -> Loads:
    """Return the completion rate since the sample before; None for the first, and where unknown."""
    pairs = itertools.pairwise(samples)
    return (
        None,
        *(
            0.0
            if after.is_known_zero
            else None
            if (rise := increase(before, after, "requests_finished_total")) is None
            else rise / (after.at_s - before.at_s)
            for before, after in pairs
        ),
    )


def _work(reader: Reader) -> Series:
    """Offered and queued work over what one replica may do: linear in the arrival rate."""
    name, target = SignalName.WORK, reader.policy.target_utilization
    law = work.learn(reader.window, reader.policy, reader.safe)
    if law is None:
        why = "its fit needs busy buckets of different load (steps, tokens) to tell the costs apart"
        return _not_applicable(reader, name, target, why)
    samples = reader.window.samples
    loads = tuple(
        None if load is None else load + demand.missing_replicas(sample) * reader.fill
        for load, sample in zip(work.loads(samples, law, reader.policy), samples, strict=True)
    )
    detail = (
        f"{1000 * law.request_s:.1f} ms of a replica per request, safe at {law.safe_rho:.2f} "
        f"({law.why})"
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


def wanted(series: Sequence[Series]) -> Loads:
    """
    Return the replicas that the signals ask for at each sample, unrounded: the most any wants.

    None where every signal abstains.
    """
    asked = ([None if load is None else load / one.target for load in one.loads] for one in series)
    return tuple(functools.reduce(lambda these, those: list(map(_more, these, those)), asked))


def _more(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
