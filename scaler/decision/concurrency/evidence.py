"""
Which samples of a window are learned from: those before the newest one, as many as tell something.

The properties that must stay true: a surge in the newest sample does not change the yardstick that
it is measured with; and a window that moves on by one sample learns from the same readings as
before, but for those of the sample that came and of the one that went. Whether a sample is read is
therefore its own affair: by the clock and by how many replicas it has, never by where the window
begins. A yardstick that chooses other readings each time jumps, and replicas are started and killed
for it.
"""

import dataclasses
import math

import numpy as np

from scaler.decision.facts.columns import Array, Columns
from scaler.decision.policy import InferencePolicy
from scaler.decision.sliding import buckets_of
from scaler.decision.window import Window

_SLACK_S = 0.5
"""A bucket ends on the grid; what is read in between is a second apart."""
MOST_READINGS = 400
"""Readings of single replicas that are worth their time; more show the same requests again."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How much there is to read, the same while a window only moves on."""

    interval_s: float
    samples: float
    """In a window as long as its policy looks back; in a young one the next power of two."""

    @classmethod
    def of(cls, window: Window, policy: InferencePolicy) -> "Reach":
        """Return the reach of a window; a sample that is missing in it changes nothing."""
        usual = policy.lookback_s / window.interval_s
        grown = _power_of_two(len(window.samples))
        return cls(interval_s=window.interval_s, samples=min(usual, grown))

    def stands_for(self, past: Columns) -> Array:
        """
        Return how many buckets each one is read for: a power of two, or 0 where it is not read.

        Those of a larger fleet that are read are then among those of a smaller one.
        """
        now = past.instants
        most = int(now.replicas.max(initial=0))
        strides = np.array([self._stride(count) for count in range(most + 1)])
        stride = strides[now.replicas.astype(np.int64)]
        number = buckets_of(now.at_s, self.interval_s)
        # What was read between two scrapes shows the same requests as the scrape behind it.
        scraped = now.at_s - number * self.interval_s < _SLACK_S
        return np.where(scraped & (number & (stride - 1) == 0), stride, 0.0)

    def _stride(self, replicas: int) -> int:
        """Return the stride in buckets at which those with so many replicas are read; 1: each."""
        return _power_of_two(math.ceil(self.samples * replicas / MOST_READINGS))


def _power_of_two(count: int) -> int:
    """Return the least power of two that is at least ``count``."""
    return 1 << (max(1, count) - 1).bit_length()
