"""
Which samples of a window are learned from: those before the newest one, as many as tell something.

The property that must stay true: a surge in the newest sample does not change the yardstick that it
is measured with.
"""

import math
from collections.abc import Sequence

from scaler.decision.sample import Sample
from scaler.decision.window import Window

MOST_READINGS = 400
"""Readings of single replicas that are worth their time; more show the same requests again."""


def earlier(window: Window) -> tuple[Sample, ...]:
    """Return the samples before the newest one."""
    return window.samples[:-1]


def stride(samples: Sequence[Sample]) -> int:
    """Return how many samples to go on by, for about as many readings as are worth their time."""
    readings = sum([len(sample.replicas) for sample in samples])
    return max(1, math.ceil(readings / MOST_READINGS))
