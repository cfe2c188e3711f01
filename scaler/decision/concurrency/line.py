"""
A robust line through readings that are many and noisy.

The property that must stay true: a tenth of wild readings moves it little, and readings that are
all alike in what they depend on give no line at all.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Sequence

GROUPS = 16
"""Groups of readings with about the same x, each told by its medians."""
LEAST_GROUPS = 4
LEAST_IN_GROUP = 5


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


def robust_line(points: Sequence[tuple[float, float]], *, least_ratio: float) -> Line | None:
    """
    Return the line through the medians of groups of points (x, y).

    None: fewer than 20 points, or the highest x is less than ``least_ratio`` times the lowest.
    The slope is the median of the slopes between all pairs of groups (Theil 1950, Sen 1968), the
    intercept the median of what it leaves.
    """
    groups = _medians(sorted(points))
    if len(groups) < LEAST_GROUPS:
        return None
    lowest, highest = groups[0][0], groups[-1][0]
    slopes = [
        (later - earlier) / (right - left)
        for (left, earlier), (right, later) in itertools.combinations(groups, 2)
        if right > left
    ]
    if highest < least_ratio * lowest or not slopes:
        return None
    slope = statistics.median(slopes)
    intercept = statistics.median(y - slope * x for x, y in groups)
    return Line(
        intercept=intercept, slope=slope, lowest=lowest, highest=highest, readings=len(points)
    )


def _medians(ordered: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the median x and y of as many groups of equal size as there are readings for."""
    count = min(GROUPS, len(ordered) // LEAST_IN_GROUP)
    bounds = [len(ordered) * k // count for k in range(count + 1)] if count else [0]
    return [
        (
            statistics.median(x for x, _ in ordered[start:end]),
            statistics.median(y for _, y in ordered[start:end]),
        )
        for start, end in itertools.pairwise(bounds)
    ]
