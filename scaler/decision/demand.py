"""
Requests over time: how long one runs, and what it is made of.

A replica that is ready and does not report is neither idle nor full. It is counted as the HPA
counts pods without metrics: empty when the answer would go up, full when it would go down
(``Fill``). With more than half of them missing the instant says nothing, but that at the newest one
what the few ask for alone is asked for (:func:`of_the_few`).
"""

import dataclasses
import enum
import math

import numpy as np

from .facts.bucket import reporting
from .facts.columns import Array, Columns, all_or
from .sample import Sample


class Fill(enum.IntEnum):
    """How full a ready replica counts that does not report."""

    EMPTY = 0
    FULL = 1


def of_the_few(sample: Sample) -> Sample:
    """Return the instant as if only the replicas that report were there: the others are empty."""
    return dataclasses.replace(sample, ready_replicas=reporting(sample))


def current(sample: Sample) -> int:
    """Return the count that an answer is above or below: as asked for, else what is ready."""
    return sample.spec_replicas if sample.spec_replicas is not None else sample.ready or 0


def known_sum(rises: Array) -> float | None:
    """Return the sum of what is known of rises, of which the first never is; None: nothing is."""
    known = rises[1:]
    total = float(known.sum())
    if math.isnan(total):
        known = known[~np.isnan(known)]
        total = float(known.sum())
    return total if len(known) else None


def service_time_s(past: Columns, first: int = 0) -> float | None:
    """
    Return the mean time a request ran from a bucket on, by Little's law: running / completions/s.

    Time in which completions were not counted says nothing. None: nothing was completed.
    """
    now = past.instants
    finished = now.finished[first + 1 :]
    counted = all_or(~np.isnan(finished))
    completed = float(finished[counted].sum())
    if not completed:
        return None
    running = (now.running[first:-1] + now.running[first + 1 :]) / 2
    return float((running * now.seconds[first + 1 :])[counted].sum()) / completed


def mean_prompt_tokens(past: Columns) -> float | None:
    """Return prompt tokens per finished request; None: nothing finished."""
    finished, tokens = known_sum(past.instants.finished), known_sum(past.instants.prompt)
    return tokens / finished if finished and tokens is not None else None
