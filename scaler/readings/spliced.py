"""
A window with a tail: what Prometheus knows, and behind it what was read of the pods since.

No instant is there twice: from the tail's first sample on Prometheus' samples are left out, and
what only Prometheus tells (the gateway's queue, GPUs) is taken over from them. A tail begins anew:
the reading that Prometheus has for the instant before it may be a whole scrape old, and what
counters rose by since is nobody's second.
"""

import dataclasses

import numpy as np

from scaler.decision.facts.columns import Columns
from scaler.decision.facts.record import NOTHING, Recorded
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Kept, Window

from .direct import FRESH_S, PERIOD_S, Tail
from .sleepers import sleepers_as_loading


def spliced(window: Window, tail: Tail, now_s: float) -> Window:
    """Return the window with the tail, while it is fresh, in place of what it has of its time."""
    fresh = tail.recorded
    if fresh is None or not fresh.samples or now_s - tail.read_s > FRESH_S:
        return dataclasses.replace(window, between=tail.note)
    begins_s = fresh.samples[0].at_s
    end = int(np.searchsorted(window.columns.instants.at_s, begins_s, side="left"))
    fresh = _with_others(fresh, window.samples[end:] or window.samples[-1:])
    before = window.columns.between(0, end)
    samples = (*window.samples[:end], *fresh.samples)
    columns = fresh.columns.after(before) if end else fresh.columns
    history = NOTHING
    if _is_before(window, begins_s):
        history = window.kept.history if window.kept else Recorded(window.history, window.past)
    return dataclasses.replace(
        window,
        samples=samples,
        history=history.samples,
        kept=Kept(Recorded(samples, columns, _edition(window, tail.recorded)), history),
        silent_s=0.0,
        read_s=min(tail.read_s, samples[-1].at_s),
        fine_s=PERIOD_S,
        between=tail.note,
    )


def _edition(window: Window, fresh: Recorded | None) -> object:
    """Return what is the same while only the newest minute of both has changed."""
    known = None if window.kept is None else window.kept.samples.edition
    return None if known is None or fresh is None else (known, fresh.edition)


def _is_before(window: Window, begins_s: float) -> bool:
    return not window.history or window.history[-1].at_s < begins_s


def _with_others(fresh: Recorded, others: tuple[Sample, ...]) -> Recorded:
    """Return the tail with what ``others``, of the same time, know of gateway and GPUs."""
    ends_s = [one.at_s for one in others]
    samples = list(fresh.samples)
    told = {
        int(np.searchsorted([s.at_s for s in samples], at, side="right")) - 1: one
        for at, one in zip(ends_s, others, strict=True)
    }
    for place, one in told.items():
        samples[max(0, place)] = _with_gpus(samples[max(0, place)], one)
    if not any(one.has_gateway for one in others):
        return Recorded(tuple(samples), fresh.columns)
    places = np.minimum(
        np.searchsorted(ends_s, [sample.at_s for sample in samples], side="left"),
        len(others) - 1,
    )
    found = tuple(
        sleepers_as_loading(
            dataclasses.replace(
                sample,
                gateway_in_flight=others[place].gateway_in_flight,
                gateway_waiting=others[place].gateway_waiting,
            )
        )
        for sample, place in zip(samples, places.tolist(), strict=True)
    )
    return Recorded(found, Columns.of(found))


def _with_gpus(sample: Sample, other: Sample) -> Sample:
    """Return a sample with what is known of its replicas' GPUs."""
    known = {one.name: one for one in other.replicas}
    replicas = tuple(_with_gpu(one, known.get(one.name)) for one in sample.replicas)
    return dataclasses.replace(sample, replicas=replicas)


def _with_gpu(replica: Replica, other: Replica | None) -> Replica:
    if other is None:
        return replica
    return dataclasses.replace(
        replica,
        gpu_memory_used_mib=other.gpu_memory_used_mib,
        gpu_memory_free_mib=other.gpu_memory_free_mib,
        gpu_engine_active=other.gpu_engine_active,
        gpu_utilization=other.gpu_utilization,
    )
