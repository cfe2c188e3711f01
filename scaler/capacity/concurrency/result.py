"""
How many requests one replica may hold at once, and which limit says so.

The property that must stay true: the number is the least of its limits, and every limit is there
with its own number and the sentence that led to it, so that a person can see what to change.
"""

import dataclasses
import enum


class Limit(enum.StrEnum):
    """What can limit the requests of one replica."""

    KV = "kv"
    """The KV cache would overflow more often than asked."""
    SLO = "slo"
    """Inter-token latency or time to first token would pass its target."""
    ENGINE = "engine"
    """The engine itself runs no more at once and queues the rest."""
    EXPLICIT = "explicit"
    """A person stated it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One limit: at most this many requests at once, and why."""

    limit: Limit
    requests: int
    detail: str
    """A sentence with the numbers that led to it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SafeConcurrency:
    """
    The requests one replica may safely hold at once: at least 1.

    Attributes:
        bounds: every limit that is known, at least one; the least of them binds.
        notes: warnings, such as a computed cache that is not the one the engine reports.
    """

    bounds: tuple[Bound, ...]
    notes: tuple[str, ...] = ()

    @property
    def _least(self) -> Bound:
        return min(self.bounds, key=lambda bound: bound.requests)

    @property
    def requests(self) -> int:
        """The least of the limits, and 1 at least: an engine always runs one request."""
        return max(1, self._least.requests)

    @property
    def binding(self) -> Limit:
        """The limit that binds; of equals, the first."""
        return self._least.limit

    @property
    def detail(self) -> str:
        """The sentence of the limit that binds."""
        return self._least.detail
