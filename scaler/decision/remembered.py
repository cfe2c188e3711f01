"""
What follows from one sample, or from two, worked out once and kept with the sample.

A sample is read again by every signal, and by every decision for as long as it is in the window:
hundreds of times. What is remembered is a function of the samples alone, and a sample never
changes, so that remembering can change no answer. It goes when the sample goes.
"""

import functools
from collections.abc import Callable
from typing import TypeVar, cast

from .sample import Sample

T = TypeVar("T")

_MOST_BEFORE = 4
"""Samples that one is compared with at a time: its neighbour, and those some strides before it."""


def per_sample(work: Callable[[Sample], T]) -> Callable[[Sample], T]:
    """Remember what ``work`` returns with the sample it was asked about."""
    key = _name(work)

    @functools.wraps(work)
    def recall(sample: Sample) -> T:
        known = sample.__dict__
        try:
            return cast("T", known[key])
        except KeyError:
            known[key] = answer = work(sample)
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
        answers: dict[object, T] = after.__dict__.setdefault(key, {})
        mark = _mark(before)
        try:
            return answers[mark]
        except KeyError:
            if len(answers) >= _MOST_BEFORE:
                answers.clear()
            answers[mark] = answer = work(before, after)
            return answer

    return recall


def _name(work: Callable[..., object]) -> str:
    return f"{work.__module__}.{work.__qualname__}"


@per_sample
def _mark(_: Sample) -> object:
    return object()
