"""
What will happen when: a queue of calls in simulated time.

Calls at the same instant happen in the order in which they were put there, so that a run depends on
nothing but its seed.
"""

import heapq
import itertools
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

    def run(self, until_s: float) -> None:
        """Make every call that is due up to and including an instant; end where the last was."""
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] <= until_s:
            self.now_s, _, happen = pop(queue)
            happen(self.now_s)
