"""
A recorded load: how many requests came in each bucket, and how long they were.

What nothing is known of is left out, and is told apart from a bucket in which nothing came.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from scaler.decision.facts.columns import Array, Columns


class Counted(NamedTuple):
    """How many requests came between two Unix times, and the mean lengths; None: not known."""

    start_s: float
    end_s: float
    requests: float
    prompt_tokens_mean: float | None
    output_tokens_mean: float | None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The buckets of some hours whose requests are known, as arrays."""

    end_s: Array
    seconds: Array
    came: Array
    finished: float
    """Requests that finished in all of them,"""
    prompt: float
    """the prompt tokens that were computed (what a prefix cache held is none),"""
    generated: float
    """and the tokens that were generated."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load of one workload between two Unix times."""

    since_s: float
    until_s: float
    spans: Sequence[Span]
    """Oldest first."""
    startup_s: tuple[float, ...]
    """Creation-to-ready times of its pods, seconds."""

    @property
    def known_s(self) -> float:
        """For how long the requests are known, seconds."""
        return sum(float(span.seconds.sum()) for span in self.spans)

    @property
    def requests(self) -> float:
        """How many came."""
        return sum(float(span.came.sum()) for span in self.spans)

    def counted(self) -> Iterator[Counted]:
        """Yield the buckets that are known, oldest first."""
        prompt = self._mean("prompt", self.spans)
        output = self._mean("generated", self.spans)
        for span in self.spans:
            # An hour in which hardly anything finished says nothing of lengths.
            if span.finished >= _ENOUGH:
                prompt, output = self._mean("prompt", [span]), self._mean("generated", [span])
            for end_s, seconds, came in zip(span.end_s, span.seconds, span.came, strict=True):
                yield Counted(float(end_s - seconds), float(end_s), float(came), prompt, output)

    @staticmethod
    def _mean(tokens: str, spans: Sequence[Span]) -> float | None:
        finished = sum(span.finished for span in spans)
        total = sum(float(getattr(span, tokens)) for span in spans)
        return total / finished if finished and total else None


_ENOUGH = 20.0
"""Requests whose mean length says something."""


def span_of(columns: Columns) -> Span:
    """Return what buckets say of the requests that came."""
    instants = columns.instants
    known = np.isfinite(instants.came) & np.isfinite(instants.seconds)
    return Span(
        end_s=instants.at_s[known],
        seconds=instants.seconds[known],
        came=instants.came[known],
        finished=float(np.nansum(instants.finished)),
        prompt=float(np.nansum(instants.prompt)),
        generated=float(np.nansum(instants.generated)),
    )
