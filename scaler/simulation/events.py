"""
What will happen when: a queue of calls in simulated time.

Calls at the same instant happen in the order in which they were put there, so that a run depends on
nothing but its seed.
"""

import heapq
import itertools
import math
from collections.abc import Callable

Happen = Callable[[float], None]
"""Told the instant at which it happens."""


class Events:
    """
    The queue, and the instant that the world stands at.

    Attributes:
        now_s: seconds since the start.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._queue: list[tuple[float, int, Happen]] = []
        self._serial = itertools.count()

    def at(self, at_s: float, happen: Happen) -> None:
        """Let something happen at an instant."""
        heapq.heappush(self._queue, (at_s, next(self._serial), happen))

    def soon(self, happen: Happen) -> None:
        """Let something happen at this instant, after what is under way."""
        self.at(self.now_s, happen)

    @property
    def next_s(self) -> float:
        """When the next call is due; ``inf``: never."""
        return self._queue[0][0] if self._queue else math.inf

    def step(self) -> None:
        """Go to the next call and make it."""
        self.now_s, _, happen = heapq.heappop(self._queue)
        happen(self.now_s)
