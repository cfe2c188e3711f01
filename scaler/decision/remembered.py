"""
What follows from one sample, from two, or from a past, worked out once and kept with a sample.

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
_PAST = f"{__name__}.past"
_MOST_SINCE = 600
"""So far back, in samples, what was made of an earlier past is looked for, to be given back."""


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


def per_past(samples: Sequence[Sample], about: object, work: Callable[[], T]) -> T:
    """
    Remember what ``work`` makes of samples (at least one), with the newest of them.

    ``about`` is all else that it is made of. Only the last answer is kept: the one that an older
    sample holds is given back, and so is one about something else. The very samples are compared,
    so that one that came late is not missed.
    """
    newest, before = samples[-1], samples[:-1]
    kept: tuple[object, Sequence[Sample], T] | None = newest.__dict__.get(_PAST)
    if kept is not None and kept[1] == before and kept[0] == about:
        return kept[2]
    for sample in samples[: -2 - _MOST_SINCE : -1]:
        sample.__dict__.pop(_PAST, None)
    answer = work()
    newest.__dict__[_PAST] = (about, before, answer)
    return answer


def _name(work: Callable[..., object]) -> str:
    return f"{work.__module__}.{work.__qualname__}"
