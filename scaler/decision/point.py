"""
What the rules over time read of one bucket: load, and the replicas that carry or will carry it.

``load.py`` makes them from the columns of a window; ``kpa.py`` and ``forecast.py`` pass over them,
in time order. A missing reading is None (NaN in a column) and never zero.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from .facts.columns import Array


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    """One workload at the end of one bucket."""

    at_s: float
    """Unix seconds."""
    load: float | None
    """Load in replicas (1.0: one replica full); None: not known."""
    ready: int | None = None
    """Replicas ready to serve; None: not known."""
    loading: int = 0
    """Replicas that exist and are not yet ready."""


class Curve(NamedTuple):
    """Points in order of time, as columns; NaN: not known."""

    at_s: Array
    load: Array
    ready: Array
    loading: Array

    @classmethod
    def of(cls, points: "Curve | Sequence[LoadPoint]") -> "Curve":
        """Return points as columns, where they are not so already."""
        if isinstance(points, Curve):
            return points
        rows = [(one.at_s, one.load, one.ready, one.loading) for one in points]
        return cls(*np.array(rows, dtype=np.float64).reshape(-1, 4).T.copy())

    def points(self) -> tuple[LoadPoint, ...]:
        """Return the columns as points."""
        return tuple(
            LoadPoint(
                at_s=at_s,
                load=None if math.isnan(load) else load,
                ready=None if math.isnan(ready) else int(ready),
                loading=int(loading),
            )
            for at_s, load, ready, loading in zip(*(c.tolist() for c in self), strict=True)
        )

    def since(self, at_s: float) -> Self:
        """Return the points after an instant."""
        first = int(self.at_s.searchsorted(at_s, side="right"))
        return type(self)(*(column[first:] for column in self))
