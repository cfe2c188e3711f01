"""
A robust line through readings that are many and noisy.

The property that must stay true: a tenth of wild readings moves it little, and readings that are
all alike in what they depend on give no line at all.
"""

import dataclasses

import numpy as np

from scaler.decision.facts.columns import Array, all_or
from scaler.decision.steps import median

GROUPS = 16
"""Groups of readings with about the same x, each told by its medians."""
LEAST_GROUPS = 4
LEAST_IN_GROUP = 5
_PAIRS = {count: np.triu_indices(count, 1) for count in range(LEAST_GROUPS, GROUPS + 1)}
"""Each two of so many groups."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """``y = intercept + slope · x``, and where it was seen."""

    intercept: float
    slope: float
    lowest: float
    """Least x of a group."""
    highest: float
    readings: int

    def at(self, x: float) -> float:
        """Return the line's y."""
        return self.intercept + self.slope * x


def robust_line(x: Array, y: Array, *, least_ratio: float) -> Line | None:
    """
    Return the line through the medians of groups of points.

    None: fewer than 20 points, or the highest x is less than ``least_ratio`` times the lowest.
    The slope is the median of the slopes between all pairs of groups (Theil 1950, Sen 1968), the
    intercept the median of what it leaves.
    """
    count = min(GROUPS, len(x) // LEAST_IN_GROUP)
    if count < LEAST_GROUPS:
        return None
    return line_through(*_medians(x, y, count), least_ratio=least_ratio, readings=len(x))


def line_through(at: Array, of: Array, *, least_ratio: float, readings: int) -> Line | None:
    """Return the robust line through groups in order of x; None: x has not spread enough."""
    lowest, highest = float(at[0]), float(at[-1])
    left, right = _PAIRS[len(at)]
    apart = at[right] - at[left]
    differ = all_or(apart > 0)
    slopes = (of[right] - of[left])[differ] / apart[differ]
    if highest < least_ratio * lowest or not len(slopes):
        return None
    slope = median(slopes)
    return Line(
        intercept=median(of - slope * at),
        slope=slope,
        lowest=lowest,
        highest=highest,
        readings=readings,
    )


def _medians(x: Array, y: Array, count: int) -> tuple[Array, Array]:
    """Return the median x and y of so many groups of equal size, in order of x."""
    ordered = np.sort(x + 1j * y)  # by x, then by y
    bounds = len(x) * np.arange(count + 1) // count
    sizes = bounds[1:] - bounds[:-1]
    low, high = (sizes - 1) // 2, sizes // 2
    groups = np.full((count, int(sizes.max())), np.inf)
    groups[np.arange(groups.shape[1]) < sizes[:, None]] = ordered.imag
    groups.sort(axis=1)
    each = np.arange(count)
    x = ordered.real
    return (
        (x[bounds[:-1] + low] + x[bounds[:-1] + high]) / 2,
        (groups[each, low] + groups[each, high]) / 2,
    )
