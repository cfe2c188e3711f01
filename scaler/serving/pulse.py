"""
How often an object is asked about, and whether that is over.

KEDA polls for as long as a ScaledObject is there, at an interval that it does not tell. Three polls
that do not come mean that it has gone, or that KEDA has; either way nobody waits for an answer, and
whoever asks again is served anew.
"""

import collections

MISSED_POLLS = 3
_SHORTEST_S = 30.0
"""KEDA's default interval: its operator's restart, with fewer, would empty the board."""
_ONE_POLL_S = 1.0
"""What is asked within this time is one poll."""
_ENOUGH = 3
"""Pauses that must have been seen before one is known to be too long."""


class Pulse:
    """When somebody asked, and the longest pauses of late."""

    __slots__ = ("_pauses_s", "asked_s", "polled_s")

    def __init__(self) -> None:
        self.asked_s = 0.0
        """When somebody asked or cared last, Unix seconds."""
        self.polled_s = 0.0
        """When somebody asked last."""
        self._pauses_s: collections.deque[float] = collections.deque(maxlen=8)

    def poll(self, now_s: float) -> None:
        """Note that KEDA asks."""
        pause_s = now_s - self.asked_s
        if self.asked_s and pause_s > _ONE_POLL_S:
            self._pauses_s.append(pause_s)
        self.asked_s = self.polled_s = now_s

    def keep(self, now_s: float) -> None:
        """Note that somebody cares who does not poll."""
        self.asked_s = max(self.asked_s, now_s)

    def has_stopped(self, now_s: float, most_s: float) -> bool:
        """Whether it is over: after three polls that did not come, ``most_s`` at the latest."""
        if len(self._pauses_s) >= _ENOUGH:
            most_s = min(most_s, MISSED_POLLS * max(_SHORTEST_S, *self._pauses_s))
        return now_s - self.asked_s > most_s
