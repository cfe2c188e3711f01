"""
The fold of Knative's rules over a window, taken up where the one before left off.

A window moves by a sample or two between two decisions, and most of a fold repeats the last one. A
fold is determined by its state and the points to come: once it stands, at some point, where the
earlier fold stood, and the points from there on are the same, it will stand where that one ended.
So nothing here knows the rules, and the answer is that of folding over every point.

The earlier fold is kept with the sample that was its newest, and moves on with each decision.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from . import kpa
from .kpa import KpaState
from .pace import Pace
from .point import LoadPoint
from .sample import Sample
from .sliding import bucket_of

MARK_BUCKETS = 16
"""A fold can be joined at every so many-th bucket."""
MOST_NEW = 16
"""So many samples, at most, may have come since the earlier fold."""
_KEPT = f"{__name__}.Fold"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A fold that was done: over which points, where it stood in between, and where it ended."""

    points: Sequence[LoadPoint]
    marks: Mapping[float, KpaState]
    """The state after some of the points, by their instant."""
    end: KpaState

    def agreed_from_s(self, points: Sequence[LoadPoint]) -> tuple[float, int]:
        """
        Return since when ``points`` agree with this fold's up to its end, and how many go on.

        ``inf`` where they do not.
        """
        last_s = self.points[-1].at_s
        more = 0
        while more < len(points) and points[-1 - more].at_s > last_s:
            more += 1
        agreed_s = float("inf")
        for mine, theirs in zip(
            reversed(self.points), reversed(points[: len(points) - more]), strict=False
        ):
            if mine != theirs:
                break
            agreed_s = mine.at_s
        return agreed_s, more


def fold(points: Sequence[LoadPoint], pace: Pace, earlier: Fold | None = None) -> Fold:
    """Return the fold over ``points`` (at least one), by what is known of an earlier one."""
    agreed_s, more = earlier.agreed_from_s(points) if earlier else (float("inf"), 0)
    known = earlier.marks if earlier else {}
    marks: dict[float, KpaState] = {}
    state = kpa.start(pace)
    at, end = 0, len(points)
    while at < end:
        point = points[at]
        state = kpa.step(state, point, pace)
        at += 1
        if bucket_of(point.at_s, pace.bucket_s) % MARK_BUCKETS == 0:
            marks[point.at_s] = state
            if earlier and point.at_s >= agreed_s and known.get(point.at_s) == state:
                marks.update((at_s, one) for at_s, one in known.items() if at_s > point.at_s)
                state, at, earlier = earlier.end, end - more, None
    return Fold(points=points, marks=marks, end=state)


def remembered(points: Sequence[LoadPoint], pace: Pace, samples: Sequence[Sample]) -> KpaState:
    """Return the state after the points of these samples, as :func:`kpa.step` leads to it."""
    done = fold(points, pace, _taken(samples, pace))
    samples[-1].__dict__.setdefault(_KEPT, {})[pace] = done
    return done.end


def _taken(samples: Sequence[Sample], pace: Pace) -> Fold | None:
    """Return the fold that was kept last, which is kept there no longer."""
    for sample in samples[: -2 - MOST_NEW : -1]:
        folds: dict[Pace, Fold] = sample.__dict__.get(_KEPT, {})
        if pace in folds:
            return folds.pop(pace)
    return None
