"""
Requests of one instant: running, waiting and held, and over whom they are spread.

A replica that is ready and does not report is neither idle nor full. It is counted as the HPA
counts pods without metrics: empty when the answer would go up, full when it would go down
(``Fill``). With more than half of them missing the instant says nothing, but that at the newest one
what the few ask for alone is asked for (:func:`of_the_few`).
"""

import dataclasses
import enum
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from .rates import increase, total_increase
from .remembered import per_sample
from .sample import Replica, Sample


class Fill(enum.IntEnum):
    """How full a ready replica counts that does not report."""

    EMPTY = 0
    FULL = 1


@per_sample
def reporting(sample: Sample) -> tuple[Replica, ...]:
    """Return the awake replicas whose engine says how many requests it runs."""
    return tuple(
        replica
        for replica in sample.replicas
        if not replica.sleeping and replica.requests_running is not None
    )


@per_sample
def missing_replicas(sample: Sample) -> int:
    """Return how many ready replicas do not report."""
    return max(0, (sample.ready or 0) - len(reporting(sample)))


@per_sample
def speaks(sample: Sample) -> bool:
    """
    Whether an instant says anything about load.

    It does when at least half of the ready replicas report. With no replica ready it does only if
    a gateway reads, or the workload is known to be at zero: while the first replica loads, an
    absent series is silence, not zero.
    """
    answering, ready = len(reporting(sample)), sample.ready
    if answering:
        return 2 * missing_replicas(sample) <= (ready or 0)
    if ready is None or ready > 0:
        return False
    return sample.is_known_zero or has_gateway(sample)


def of_the_few(sample: Sample) -> Sample:
    """Return the instant as if only the replicas that report were there: the others are empty."""
    return dataclasses.replace(sample, ready_replicas=len(reporting(sample)))


def current(sample: Sample) -> int:
    """Return the count that an answer is above or below: as asked for, else what is ready."""
    return sample.spec_replicas if sample.spec_replicas is not None else sample.ready or 0


def has_gateway(sample: Sample) -> bool:
    """Whether the gateway reads."""
    return sample.gateway_in_flight is not None or sample.gateway_waiting is not None


@per_sample
def running(sample: Sample) -> float:
    """Return the requests that run."""
    return sum(replica.requests_running or 0.0 for replica in reporting(sample))


@per_sample
def waiting(sample: Sample) -> float:
    """Return the requests that wait in the engines."""
    return sum(replica.requests_waiting or 0.0 for replica in reporting(sample))


@per_sample
def held(sample: Sample) -> float:
    """Return the requests that the gateway holds back and no engine knows of yet."""
    if sample.gateway_waiting is not None:
        return sample.gateway_waiting
    if sample.gateway_in_flight is None:
        return 0.0
    return max(0.0, sample.gateway_in_flight - running(sample) - waiting(sample))


def surely_held(sample: Sample) -> float | None:
    """
    Return the same where it can be told from what runs in replicas that do not report.

    A gauge that counts all in flight counts these too. None: it cannot be told.
    """
    counts_all = sample.gateway_waiting is None and sample.gateway_in_flight is not None
    return None if counts_all and missing_replicas(sample) else held(sample)


def backlog(sample: Sample) -> float:
    """Return the requests that wait, wherever they do."""
    return waiting(sample) + held(sample)


class Asked(NamedTuple):
    """Requests of one instant, and the ready replicas of which nothing is known."""

    running: float
    backlog: float
    missing: int


@per_sample
def asked(sample: Sample) -> Asked | None:
    """Return what an instant asks for; None: it says nothing about load."""
    if not speaks(sample):
        return None
    return Asked(running(sample), backlog(sample), missing_replicas(sample))


def service_time_s(samples: Sequence[Sample]) -> float | None:
    """
    Return the mean time a request runs, by Little's law: running / completions per second.

    Time in which completions were not counted says nothing. None: nothing was completed.
    """
    finished = busy_s = 0.0
    for before, after in itertools.pairwise(samples):
        rise = increase(before, after, "requests_finished_total")
        if rise is None:
            continue
        finished += rise
        busy_s += (running(before) + running(after)) / 2 * (after.at_s - before.at_s)
    return busy_s / finished if finished else None


def mean_prompt_tokens(samples: Sequence[Sample]) -> float | None:
    """Return prompt tokens per finished request over these samples; None: nothing finished."""
    finished = total_increase(samples, "requests_finished_total")
    tokens = total_increase(samples, "prompt_tokens_total")
    return tokens / finished if finished and tokens is not None else None
