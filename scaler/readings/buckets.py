"""
The buckets of one replica's histogram, read where its ``_count`` is.

The same rows under another name and with a bound (``le``) each: copies, ranks and servers are told
apart as for the count. Two releases may write one bound in two ways (``1`` and ``1.0``).
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from scaler.capacity.histogram import Histogram

from .readings import Bound, Reading, Rows
from .series import SeriesStore, Subject

COUNT, BUCKET = "_count", "_bucket"


def buckets_of(count: Reading | None) -> Reading | None:
    """Return the buckets of the histogram that a reading counts; None: it is of no histogram."""
    rows = tuple(map(_buckets, count.rows)) if count else ()
    known = tuple(one for one in rows if one is not None)
    return dataclasses.replace(count, rows=known, plus=()) if count and known else None


def _buckets(rows: Rows) -> Rows | None:
    if not rows.metric.endswith(COUNT):
        return None
    return dataclasses.replace(rows, metric=rows.metric.removesuffix(COUNT) + BUCKET)


class BoundBuckets:
    """A histogram, and the series of one replica that it is read off."""

    def __init__(
        self,
        reading: Reading,
        store: SeriesStore,
        pods: Sequence[Subject],
        selector: Mapping[str, str],
        *,
        scale: float = 1.0,
    ) -> None:
        """Bind a reading of buckets; ``scale`` multiplies their bounds (milliseconds: 0.001)."""
        bounds: dict[float, list[Bound]] = {}
        for le in _bounds(reading, store, pods):
            rows = tuple(
                dataclasses.replace(one, match=(*one.match, ("le", le))) for one in reading.rows
            )
            bound = dataclasses.replace(reading, rows=rows).bind(store, pods, selector)
            bounds.setdefault(scale * float(le), []).append(bound)
        self._bounds = sorted(bounds.items())

    def at(self, at_s: float, stale_after_s: float) -> Histogram | None:
        """Return the histogram at an instant, None if it or one of its buckets is missing."""
        counts = [
            next((v for one in each if (v := one.at(at_s, stale_after_s)) is not None), None)
            for _, each in self._bounds
        ]
        known = [count for count in counts if count is not None]
        if not known or len(known) < len(counts) or self._bounds[-1][0] != math.inf:
            return None
        alone = (max(0.0, b - a) for a, b in itertools.pairwise((0.0, *known)))
        return Histogram(upper=tuple(upper for upper, _ in self._bounds), counts=tuple(alone))


def _bounds(reading: Reading, store: SeriesStore, pods: Sequence[Subject]) -> list[str]:
    """Return the bounds that there are, as they are written; those that are no numbers left out."""
    found = (t.labels.get("le", "") for rows in reading.rows for t in rows.of(store, pods))
    return sorted(le for le in set(found) if _is_number(le))


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False
