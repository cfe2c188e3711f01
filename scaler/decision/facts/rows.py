"""
Many buckets at once: what :func:`.bucket.bucket` makes of each, as columns.

For a past that nobody has seen yet, hundreds of samples long. What is read of a sample is read
once, into arrays; what rose between two samples is the difference of two of their rows. The same
numbers to the bit, since sums go replica by replica in the order of the sample.
"""

import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaler.decision.sample import Sample

from .bucket import BUSY_SHARE, LEAST_WAITING, MOST_BEFORE, Queued, queues_of
from .matrices import Array, Matrices

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_OF_SAMPLE = operator.attrgetter(
    "at_s",
    "ready",
    "is_known_zero",
    "spec_replicas",
    "loading_replicas",
    "terminating_replicas",
    "gateway_in_flight",
    "gateway_waiting",
    "arrivals_total",
)
_OF_REPLICA = operator.attrgetter(
    "sleeping",
    "requests_running",
    "requests_waiting",
    "kv_cache_usage",
    "steps_total",
    "prompt_tokens_total",
    "generation_tokens_total",
    "requests_finished_total",
    "itl_sum_s",
    "itl_count",
    "ttft_sum_s",
    "ttft_count",
)
_COUNTERS = slice(4, None)


class _Each(NamedTuple):
    """A row for each replica of each sample."""

    bucket: Rows
    """The number of its sample."""
    sleeping: Array
    running: Array
    waiting: Array
    kv_usage: Array
    counters: Array
    """Steps, prompt and generated tokens, requests; sums and counts of ITL and of TTFT."""
    reports: Mask
    """Awake, and says what it runs."""
    present: Array
    """Requests that run and wait in it, where it reports."""


class _Pairs(NamedTuple):
    """A row for each replica that was there at the sample before."""

    before: Rows
    """Its row then,"""
    now: Rows
    """and now."""
    bucket: Rows
    counters_before: Array
    rises: Array
    """What each counter rose by; NaN: not known."""


class _Gateway(NamedTuple):
    """What waits before the engines, by bucket."""

    held: Array
    may_run_elsewhere: Mask
    """What it counts may run in replicas that do not report."""
    reads: Mask


def made(samples: Sequence[Sample], before: Sequence[Sample]) -> Matrices:
    """Return the columns of samples (one at least), oldest first, after those ``before`` them."""
    every = (*before[-1:], *samples)
    facts = np.array([_OF_SAMPLE(one) for one in every], dtype=np.float64).T
    counts = np.array([len(one.replicas) for one in every])
    each = _each(every, counts)
    pairs = _pairs(every, each)
    queues = _queues(samples, before, each, len(every) - len(samples))
    waited = np.bincount([at for at, _ in queues], minlength=len(every)).astype(np.float64)
    by_instant = np.stack((*_instants(facts, each, pairs), counts, waited))
    skipped = len(every) - len(samples)
    rows = int(counts[:skipped].sum())
    return Matrices(
        np.ascontiguousarray(by_instant[:, skipped:]),
        np.ascontiguousarray(np.stack(_readings(each, pairs))[:, rows:]),
        np.array([one for _, one in queues], dtype=np.float64).reshape(-1, 2).T.copy(),
    )


def _each(samples: Sequence[Sample], counts: Rows) -> _Each:
    told = [_OF_REPLICA(replica) for sample in samples for replica in sample.replicas]
    rows = np.array(told, dtype=np.float64).reshape(-1, 12).T
    sleeping, running, waiting, kv_usage = rows[:4]
    reports = (sleeping == 0) & ~np.isnan(running)
    return _Each(
        bucket=np.repeat(np.arange(len(samples)), counts),
        sleeping=sleeping,
        running=running,
        waiting=waiting,
        kv_usage=kv_usage,
        counters=rows[_COUNTERS],
        reports=reports,
        present=np.where(reports, running + _or_zero(waiting), 0.0),
    )


def _pairs(samples: Sequence[Sample], each: _Each) -> _Pairs:
    earlier: dict[str, int] = {}
    before: list[int] = []
    for sample in samples:
        row = len(before)
        before += [earlier.get(one.name, -1) for one in sample.replicas]
        earlier = {one.name: number for number, one in enumerate(sample.replicas, row)}
    told = np.array(before, dtype=np.int64)
    now = np.flatnonzero(told >= 0)
    then, after = each.counters[:, told[now]], each.counters[:, now]
    return _Pairs(told[now], now, each.bucket[now], then, _rises(then, after))


def _rises(before: Array, after: Array) -> Array:
    """Return what counters rose by: one that fell was reset, and rose to what it is."""
    rises = np.where(after >= before, after - before, after)
    rises[np.isnan(before)] = np.nan
    return rises


def _instants(facts: Array, each: _Each, pairs: _Pairs) -> tuple[Array, ...]:
    """Return the columns of an instant but the last two, which count rows."""
    at_s, ready, zero, spec, loading, terminating, *gateway = facts
    size = len(at_s)
    told, running, waiting, kv_usage, kv_used = _added(each, size)
    missing = np.maximum(0.0, _or_zero(ready) - told)
    before_it = _gateway(gateway[0], gateway[1], running + waiting, missing)
    speaks = np.where(
        told > 0,
        2 * missing <= _or_zero(ready),
        (ready == 0) & ((zero > 0) | before_it.reads),
    )
    seconds = np.full(size, np.nan)
    seconds[1:] = at_s[1:] - at_s[:-1]
    exist = _or_zero(ready) + _or_zero(loading) + _or_zero(terminating)
    known = ~np.isnan(ready) | ~np.isnan(spec)
    sure = np.where(before_it.may_run_elsewhere, 0.0, before_it.held)
    finished, prompt, generated = (_total(pairs.rises[at], pairs, size) for at in (3, 1, 2))
    arrived = np.full(size, np.nan)
    arrived[1:] = _rises(gateway[2][:-1], gateway[2][1:])
    came = np.where(np.isnan(arrived), finished + _rose(each, pairs, before_it), arrived)
    came = np.where(speaks, np.where(zero > 0, 0.0, np.maximum(0.0, came)), np.nan)
    came[0] = np.nan
    return (
        at_s,
        seconds,
        ready,
        _or_zero(loading),
        np.where(known, np.maximum(exist, _or_zero(spec)), np.nan),
        zero,
        speaks,
        missing,
        running,
        waiting + before_it.held,
        waiting + sure,
        finished,
        prompt,
        generated,
        arrived,
        came,
        *_busy(each, pairs, seconds),
        _most(pairs.rises[1], pairs, size) / seconds,
        kv_usage,
        kv_used,
    )


def _added(each: _Each, size: int) -> tuple[Array, ...]:
    """Return, by bucket: replicas that report, what runs and waits in them, their cache in use."""

    def added(column: Array | Mask) -> Array:
        counted: Array = np.bincount(each.bucket, weights=column, minlength=size).astype(np.float64)
        return counted

    usage, reports = _or_zero(each.kv_usage), each.reports
    unknown = added(reports & np.isnan(each.kv_usage)) > 0
    return (
        added(reports),
        added(np.where(reports, each.running, 0.0)),
        added(np.where(reports, _or_zero(each.waiting), 0.0)),
        np.where(unknown, np.nan, added(np.where(reports, usage, 0.0))),
        added(usage),
    )


def _gateway(in_flight: Array, waiting: Array, in_engines: Array, missing: Array) -> _Gateway:
    no_queue, no_gauge = np.isnan(waiting), np.isnan(in_flight)
    held = np.where(no_gauge, 0.0, np.maximum(0.0, in_flight - in_engines))
    return _Gateway(
        held=np.where(no_queue, held, waiting),
        may_run_elsewhere=(missing > 0) & no_queue & ~no_gauge,
        reads=~no_queue | ~no_gauge,
    )


def _rose(each: _Each, pairs: _Pairs, gateway: _Gateway) -> Array:
    """Return what the requests rose by that are held in the engines and, for sure, before them."""
    held = np.where(gateway.may_run_elsewhere, np.nan, gateway.held)
    rose = np.zeros(len(held))
    either = gateway.reads[1:] | gateway.reads[:-1]
    rose[1:] = np.where(either, _or_zero(held[1:] - held[:-1]), 0.0)
    np.add.at(rose, pairs.bucket, each.present[pairs.now] - each.present[pairs.before])
    return rose


def _busy(each: _Each, pairs: _Pairs, seconds: Array) -> tuple[Array, ...]:
    """
    Return, of the replicas that were busy all through each bucket, what they did in it, added up.

    Two requests at both ends say little when requests last for less than a bucket: the engine may
    have been idle in between, and idle time reads as slow steps. Inter-token latencies hold no
    idle time, and each is the time of one step: where they are known, their mean must account for
    most of a step's.
    """
    steps, prompt, generated, _, took_s, tokens = pairs.rises[:6]
    reset = (each.counters[:3, pairs.now] < pairs.counters_before[:3]).any(axis=0)
    told = (steps > 0) & ~np.isnan(prompt) & ~np.isnan(generated) & ~reset
    least = np.minimum(_or_zero(each.running[pairs.before]), _or_zero(each.running[pairs.now]))
    measured = (tokens != 0) & ~np.isnan(tokens) & ~np.isnan(took_s)
    step_s = seconds[pairs.bucket] / np.where(told, steps, 1.0)
    accounted = took_s / np.where(measured, tokens, 1.0) >= BUSY_SHARE * step_s
    busy = told & np.where(measured, (least >= 1) & accounted, least >= 2)
    bucket, size = pairs.bucket[busy], len(seconds)
    count = np.bincount(bucket, minlength=size)
    did = (
        np.bincount(bucket, weights=column[busy], minlength=size)
        for column in (steps, generated, prompt)
    )
    return np.where(count > 0, seconds * count, 0.0), *did


def _readings(each: _Each, pairs: _Pairs) -> tuple[Array, ...]:
    then, now = pairs.before, pairs.now
    at_once = (each.running[then] + each.running[now]) / 2
    present = at_once + (each.waiting[then] + each.waiting[now]) / 2
    latencies = (
        at_once,
        np.where(np.isnan(at_once), np.nan, _means(pairs.rises[4], pairs.rises[5])),
        present,
        np.where(np.isnan(present), np.nan, _means(pairs.rises[6], pairs.rises[7])),
    )
    columns = np.full((4, len(each.bucket)), np.nan)
    columns[:, now] = latencies
    return (each.reports, each.running, each.waiting, each.kv_usage, *columns)


def _means(total: Array, count: Array) -> Array:
    some = count != 0
    return np.where(some, total / np.where(some, count, 1.0), np.nan)


def _queues(
    samples: Sequence[Sample], before: Sequence[Sample], each: _Each, skipped: int
) -> list[tuple[int, Queued]]:
    """Return, with the number of its bucket, what each replica with a queue completed."""
    waits = np.unique(each.bucket[_or_zero(each.waiting) >= LEAST_WAITING])
    known = (*before, *samples) if len(waits) else ()
    first = len(before) - skipped
    return [
        (at, one)
        for at in waits[waits >= skipped].tolist()
        for one in queues_of(
            known[max(0, first + at - MOST_BEFORE) : first + at], known[first + at]
        )
    ]


def _total(rises: Array, pairs: _Pairs, size: int) -> Array:
    """Return the sums of what is known, by bucket; NaN: nothing is."""
    known = ~np.isnan(rises)
    bucket = pairs.bucket[known]
    total = np.bincount(bucket, weights=rises[known], minlength=size)
    return np.where(np.bincount(bucket, minlength=size) > 0, total, np.nan)


def _most(rises: Array, pairs: _Pairs, size: int) -> Array:
    most = np.full(size, np.nan)
    np.fmax.at(most, pairs.bucket, rises)
    return most


def _or_zero(column: Array) -> Array:
    return np.where(np.isnan(column), 0.0, column)
