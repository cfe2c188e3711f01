"""
Labels by which one series is there twice: a pair of Prometheus whose label nobody collapses.

``up`` has no labels but those of the scrape: two rows of one pod's one address, both fresh, are one
target that is scraped twice, by two servers or by two jobs of one, and what tells them apart tells
copies apart.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

from .series import SeriesStore, Subject, Track


def copying_labels(
    store: SeriesStore, pods: Iterable[Subject], stale_after_s: float
) -> frozenset[str]:
    """Return the labels in which copies of one target's ``up`` differ; none: there are none."""
    found = (_differing(tuple(store.tracks("up", pod)), stale_after_s) for pod in pods)
    return frozenset(itertools.chain(*found))


def _differing(ups: Sequence[Track], stale_after_s: float) -> Iterator[str]:
    if len(ups) < 2:  # the usual case
        return
    newest_s = max(track.times[-1] for track in ups)
    targets: dict[str, list[Track]] = {}
    for track in ups:
        if track.times[-1] > newest_s - stale_after_s:
            targets.setdefault(track.labels.get("instance", ""), []).append(track)
    for copies in targets.values():
        names = set().union(*(track.labels for track in copies))
        yield from (n for n in names if len({track.labels.get(n) for track in copies}) > 1)
