"""
What follows from one sample, or from two, worked out once and kept with the sample.

A sample is read again by every signal, and by every decision for as long as it is in the window:
hundreds of times. What is remembered is a function of the samples alone, and a sample never
changes, so that remembering can change no answer. It goes when the sample goes.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

from .sample import Sample

T = TypeVar("T")

_MARK = "mark"
_MOST_BEFORE = 4
"""Samples that one is compared with at a time: its neighbour, and those some strides before it."""


def per_sample(work: Callable[[Sample], T]) -> Callable[[Sample], T]:
    """Remember what ``work`` returns with the sample it was asked about."""
    key = _name(work)

    @functools.wraps(work)
    def recall(sample: Sample) -> T:
        try:
            answer: T = sample.__dict__[key]
        except KeyError:
            answer = sample.__dict__[key] = work(sample)
        return answer

    return recall


def per_pair(work: Callable[[Sample, Sample], T]) -> Callable[[Sample, Sample], T]:
    """
    Remember what ``work`` returns of an earlier and a later sample, with the later one.

    The earlier one is told by a mark of its own and not kept alive by it: a chain of samples, each
    holding the one before, would never be given back.
    """
    key = _name(work)

    @functools.wraps(work)
    def recall(before: Sample, after: Sample) -> T:
        try:
            answer: T = after.__dict__[key][before.__dict__[_MARK]]
        except KeyError:
            answers = after.__dict__.setdefault(key, {})
            if len(answers) >= _MOST_BEFORE:
                answers.clear()
            answer = answers[before.__dict__.setdefault(_MARK, object())] = work(before, after)
        return answer

    return recall


def over_pairs(recall: Callable[[Sample, Sample], T], samples: Sequence[Sample]) -> list[T]:
    """
    Return what a function that remembers says of each two neighbours.

    Most of them were asked about before, and a long past has thousands: what is kept is looked at
    without a call for each.
    """
    key = _name(recall)
    answers: list[T] = []
    for before, after in itertools.pairwise(samples):
        try:
            answers.append(after.__dict__[key][before.__dict__[_MARK]])
        except KeyError:
            answers.append(recall(before, after))
    return answers


def _name(work: Callable[..., object]) -> str:
    return f"{work.__module__}.{work.__qualname__}"
