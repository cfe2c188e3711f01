"""
One bucket of the grid: all that the later steps read of an instant and of the time before it.

A bucket is a function of its sample and of the few before it (what counters rose by is the
difference to the sample before). It is made once, when the sample is known, and again only where a
sample came late; decisions read columns of buckets and no sample but the newest. :mod:`.rows` makes
many at once, and the same to the bit.

A replica that is ready and does not report is neither idle nor full, and is not added to anything:
``missing`` says how many there are. NaN stands for "not known" and never for zero.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from scaler.decision.sample import Replica, Sample

UNKNOWN = math.nan
BUSY_SHARE = 0.9
"""Share of a bucket's steps' time that its tokens must account for; the rest may be idle time."""
LEAST_WAITING = 2.0
"""A single request that waits may just have come between two steps."""
LEAST_QUEUE_S = 15.0
"""A queue that lasts shorter than this says nothing about a rate."""
MOST_BEFORE = 32
"""Samples before one that its bucket looks at, at most."""


class Instant(NamedTuple):
    """What one number each says of a bucket."""

    at_s: float
    """Its end, Unix seconds."""
    seconds: float
    """Since the sample before."""
    ready: float
    """Replicas ready to serve."""
    loading: float
    held: float
    """Replicas that exist or are asked for."""
    zero: float
    """1: the workload is known to be at zero; else 0."""
    speaks: float
    """1: the instant says something about load; else 0."""
    missing: float
    """Ready replicas that do not report."""
    running: float
    """Requests that run, in the replicas that report."""
    backlog: float
    """Requests that wait, in these or at the gateway."""
    sure_backlog: float
    """Those of them that are surely not running in a replica that does not report."""
    finished: float
    """Requests finished since the sample before, over the replicas that are in both."""
    prompt: float
    """Prompt tokens computed, likewise."""
    generated: float
    """Tokens generated, likewise."""
    arrived: float
    """Requests that the gateway counted as arrived."""
    came: float
    """Requests that came: counted, else completions and what the requests in the system rose by."""
    busy_s: float
    """Seconds of the replicas that were busy all through, added up; and what they did in them:"""
    busy_steps: float
    busy_generated: float
    busy_prompt: float
    prefilled_per_s: float
    """The most prompt tokens that one replica computed a second."""
    kv_usage: float
    """Cache in use, in caches, over the replicas that report; NaN where one does not say."""
    kv_used: float
    """The same over those that say."""
    replicas: float
    """Rows of :class:`Reading` in this bucket."""
    queues: float
    """Rows of :class:`Queued` in this bucket."""


class Reading(NamedTuple):
    """What one replica said in a bucket."""

    awake: float
    """1: it says what it runs, and does not sleep; else 0."""
    running: float
    waiting: float
    kv_usage: float
    itl_requests: float
    """Requests that ran on average since the sample before,"""
    itl_s: float
    """and the mean inter-token latency then, seconds."""
    ttft_requests: float
    """The same with those that waited,"""
    ttft_s: float
    """and the mean time to first token."""


class Queued(NamedTuple):
    """What one replica completed while it had a queue."""

    per_s: float
    """Completions per second since ``since_s``."""
    since_s: float
    """The latest instant of this queue that is at least LEAST_QUEUE_S before the bucket's end."""


class Bucket(NamedTuple):
    """An instant, and what its replicas said."""

    instant: Instant
    readings: tuple[Reading, ...]
    queued: tuple[Queued, ...]


def bucket(before: Sequence[Sample], sample: Sample) -> Bucket:
    """Return the bucket of a sample; ``before`` are the samples before it, oldest first."""
    last = before[-1] if before else None
    then = {} if last is None else {replica.name: replica for replica in last.replicas}
    queued = tuple(queues_of(before, sample))
    readings = tuple(_reading(then.get(one.name), one) for one in sample.replicas)
    return Bucket(_instant(last, sample, then, len(queued)), readings, queued)


def _instant(
    last: Sample | None, sample: Sample, then: Mapping[str, Replica], queues: int
) -> Instant:
    ready = sample.ready
    told = [one for one in sample.replicas if _reports(one)]
    running = sum([one.requests_running or 0.0 for one in told])
    waiting = sum([one.requests_waiting or 0.0 for one in told])
    missing = max(0, (ready or 0) - len(told))
    speaks = _speaks(sample, len(told), missing)
    in_flight = running + waiting
    held = _held(sample, in_flight)
    sure = 0.0 if _may_run_elsewhere(sample, missing) else held
    used = [one.kv_cache_usage for one in told]
    since = _since(last, sample, then, speaks=speaks)
    return Instant(
        sample.at_s,
        UNKNOWN if last is None else sample.at_s - last.at_s,
        UNKNOWN if ready is None else ready,
        sample.loading_replicas or 0,
        _held_replicas(sample, ready),
        sample.is_known_zero,
        speaks,
        missing,
        running,
        waiting + held,
        waiting + sure,
        *since,
        UNKNOWN if None in used else sum([usage or 0.0 for usage in used]),
        sum([one.kv_cache_usage or 0.0 for one in sample.replicas]),
        len(sample.replicas),
        queues,
    )


def in_engines(sample: Sample) -> float:
    """Return the requests that run and wait in the replicas that report."""
    return sum([_present(one) for one in sample.replicas])


def says_load(sample: Sample) -> bool:
    """Whether a sample says something about load."""
    told = reporting(sample)
    return _speaks(sample, told, max(0, (sample.ready or 0) - told))


def reporting(sample: Sample) -> int:
    """Return how many awake replicas say what they run."""
    return sum([_reports(one) for one in sample.replicas])


def came(last: Sample, sample: Sample) -> float | None:
    """Return the requests that came in between two samples; None: not known."""
    then = {replica.name: replica for replica in last.replicas}
    both = [(before, now) for now in sample.replicas if (before := then.get(now.name)) is not None]
    finished = [rise(b.requests_finished_total, n.requests_finished_total) for b, n in both]
    arrived = rise(last.arrivals_total, sample.arrivals_total)
    return _came(last, sample, both, _total(finished), arrived)


def _reports(replica: Replica) -> bool:
    return not replica.sleeping and replica.requests_running is not None


def _speaks(sample: Sample, answering: int, missing: int) -> bool:
    """
    Whether an instant says anything about load.

    It does when at least half of the ready replicas report. With no replica ready it does only if
    a gateway reads, or the workload is known to be at zero: while the first replica loads, an
    absent series is silence, not zero.
    """
    ready = sample.ready
    if answering:
        return 2 * missing <= (ready or 0)
    if ready is None or ready > 0:
        return False
    return sample.is_known_zero or sample.has_gateway


def _held(sample: Sample, in_flight: float) -> float:
    """Return the requests that the gateway holds back and no engine knows of yet."""
    if sample.gateway_waiting is not None:
        return sample.gateway_waiting
    if sample.gateway_in_flight is None:
        return 0.0
    return max(0.0, sample.gateway_in_flight - in_flight)


def _may_run_elsewhere(sample: Sample, missing: int) -> bool:
    """Whether what a gateway counts may run in replicas that do not report."""
    return bool(missing) and sample.gateway_waiting is None and sample.gateway_in_flight is not None


def _held_replicas(sample: Sample, ready: int | None) -> float:
    """Return replicas that exist (starting, surging and terminating ones too) or are asked for."""
    if ready is None and sample.spec_replicas is None:
        return UNKNOWN
    exist = (ready or 0) + (sample.loading_replicas or 0) + (sample.terminating_replicas or 0)
    return max(exist, sample.spec_replicas or 0)


class _Since(NamedTuple):
    """The part of an :class:`Instant` that is about the time since the sample before."""

    finished: float = UNKNOWN
    prompt: float = UNKNOWN
    generated: float = UNKNOWN
    arrived: float = UNKNOWN
    came: float = UNKNOWN
    busy_s: float = 0.0
    busy_steps: float = 0.0
    busy_generated: float = 0.0
    busy_prompt: float = 0.0
    prefilled_per_s: float = UNKNOWN


_Pair = tuple[Replica, Replica]
"""A replica as it was at the sample before, and as it is."""


def _since(
    last: Sample | None, sample: Sample, then: Mapping[str, Replica], *, speaks: bool
) -> _Since:
    if last is None:
        return _Since()
    seconds = sample.at_s - last.at_s
    both = [(before, now) for now in sample.replicas if (before := then.get(now.name)) is not None]
    prompt = [rise(b.prompt_tokens_total, n.prompt_tokens_total) for b, n in both]
    generated = [rise(b.generation_tokens_total, n.generation_tokens_total) for b, n in both]
    busy = [done for done in map(_busy, both, prompt, generated, [seconds] * len(both)) if done]
    finished = _total([rise(b.requests_finished_total, n.requests_finished_total) for b, n in both])
    arrived = rise(last.arrivals_total, sample.arrivals_total)
    offered = None
    if speaks:
        offered = 0.0 if sample.is_known_zero else _came(last, sample, both, finished, arrived)
    known = [tokens for tokens in prompt if tokens is not None]
    return _Since(
        _number(finished),
        _number(_total(prompt)),
        _number(_total(generated)),
        _number(arrived),
        UNKNOWN if offered is None else max(0.0, offered),
        seconds * len(busy),
        sum([steps for steps, _, _ in busy]),
        sum([tokens for _, tokens, _ in busy]),
        sum([tokens for _, _, tokens in busy]),
        max(known) / seconds if known else UNKNOWN,
    )


def rise(before: float | None, after: float | None) -> float | None:
    """
    Return how much a counter rose; None: not known.

    One that fell was reset by a restart: its new value is what has happened since (Prometheus' rule
    for ``increase``).
    """
    if before is None or after is None:
        return None
    return after - before if after >= before else after


def _number(value: float | None) -> float:
    return UNKNOWN if value is None else value


def _total(rises: Sequence[float | None]) -> float | None:
    """Return the sum of what is known; None: nothing is."""
    known = [one for one in rises if one is not None]
    return sum(known) if known else None


def _came(
    last: Sample,
    sample: Sample,
    both: Sequence[_Pair],
    finished: float | None,
    arrived: float | None,
) -> float | None:
    """
    Return how many requests came in between two samples.

    What the gateway counted where there is a query for it; else completions plus what the requests
    in the system rose by, over the replicas that are in both samples: a surge shows before its
    first completion.
    """
    if arrived is not None:
        return arrived
    if finished is None:
        return None
    rose = _held_rise(last, sample) if last.has_gateway or sample.has_gateway else 0.0
    for before, now in both:
        rose += _present(now) - _present(before)
    return finished + rose


def _present(replica: Replica) -> float:
    return (
        (replica.requests_running or 0) + (replica.requests_waiting or 0)
        if _reports(replica)
        else 0
    )


def _held_rise(last: Sample, sample: Sample) -> float:
    """Return what the gateway's queue rose by; 0 where it cannot be told from what runs."""
    before, now = _surely_held(last), _surely_held(sample)
    return 0.0 if before is None or now is None else now - before


def _surely_held(sample: Sample) -> float | None:
    if _may_run_elsewhere(sample, max(0, (sample.ready or 0) - reporting(sample))):
        return None
    return _held(sample, in_engines(sample))


def _busy(
    pair: _Pair, prompt: float | None, generated: float | None, seconds: float
) -> tuple[float, float, float] | None:
    """Return steps, generated and prompt tokens of a replica that was busy all through; or None."""
    before, now = pair
    steps = rise(before.steps_total, now.steps_total)
    if not steps or generated is None or prompt is None or _was_reset(before, now):
        return None
    return (steps, generated, prompt) if _is_busy(before, now, seconds / steps) else None


def _was_reset(before: Replica, now: Replica) -> bool:
    return (
        (now.steps_total or 0) < (before.steps_total or 0)
        or (now.generation_tokens_total or 0) < (before.generation_tokens_total or 0)
        or (now.prompt_tokens_total or 0) < (before.prompt_tokens_total or 0)
    )


def _is_busy(before: Replica, now: Replica, step_s: float) -> bool:
    """
    Whether a replica was busy all through a bucket, in which its steps took ``step_s`` on average.

    Two requests at both ends say little when requests last for less than a bucket: the engine may
    have been idle in between, and idle time reads as slow steps. Inter-token latencies hold no
    idle time, and each is the time of one step: where they are known, their mean must account for
    most of ``step_s``.
    """
    least = min(before.requests_running or 0, now.requests_running or 0)
    took_s = rise(before.itl_sum_s, now.itl_sum_s)
    tokens = rise(before.itl_count, now.itl_count)
    if took_s is None or not tokens:
        return least >= 2
    return least >= 1 and took_s / tokens >= BUSY_SHARE * step_s


def _reading(before: Replica | None, now: Replica) -> Reading:
    running, waiting = now.requests_running, now.requests_waiting
    at_once, itl_s = UNKNOWN, UNKNOWN
    present, ttft_s = UNKNOWN, UNKNOWN
    if before is not None and before.requests_running is not None and running is not None:
        at_once = (before.requests_running + running) / 2
        itl_s = _mean(rise(before.itl_sum_s, now.itl_sum_s), rise(before.itl_count, now.itl_count))
        if before.requests_waiting is not None and waiting is not None:
            present = at_once + (before.requests_waiting + waiting) / 2
            ttft_s = _mean(
                rise(before.ttft_sum_s, now.ttft_sum_s), rise(before.ttft_count, now.ttft_count)
            )
    return Reading(
        _reports(now),
        _number(running),
        _number(waiting),
        _number(now.kv_cache_usage),
        at_once,
        itl_s,
        present,
        ttft_s,
    )


def _mean(total: float | None, count: float | None) -> float:
    return UNKNOWN if total is None or not count else total / count


def queues_of(before: Sequence[Sample], sample: Sample) -> Iterator[Queued]:
    """Yield, of each replica with a queue, what it has completed since the queue was this old."""
    for replica in sample.replicas:
        if (replica.requests_waiting or 0.0) < LEAST_WAITING:  # the usual case
            continue
        since = _since_queued(replica, before, sample.at_s - LEAST_QUEUE_S)
        if since is not None and (replica.requests_finished_total or 0.0) > since[1]:
            at_s, finished = since
            done = (replica.requests_finished_total or 0.0) - finished
            yield Queued(per_s=done / (sample.at_s - at_s), since_s=at_s)


def _since_queued(
    replica: Replica, before: Sequence[Sample], until_s: float
) -> tuple[float, float] | None:
    """Return when, and after how many completions, the queue was there already; None: it is new."""
    finished = replica.requests_finished_total
    for sample in reversed(before):
        then = next((one for one in sample.replicas if one.name == replica.name), None)
        done = None if then is None else then.requests_finished_total
        if then is None or done is None or finished is None or done > finished:
            return None
        if (then.requests_waiting or 0.0) < LEAST_WAITING:
            return None
        if sample.at_s <= until_s:
            return sample.at_s, done
        finished = done
    return None
