"""
Who is right of two that tell of the cluster: kube-state-metrics, or the API itself.

Both report under the same names; the one that spoke last is right. That is the API while it is
watched, by as much as kube-state-metrics is scraped more seldom, and kube-state-metrics otherwise
and for all the time before this process began. Of rows of one of them that repeat one another (two
replicas of the exporter) the largest counts.
"""

from collections.abc import Mapping

from .series import SeriesStore, Subject

API: Mapping[str, str] = {"told_by": "kubernetes-api"}
"""The label of a series that the API tells."""

_API_STANDS_S = 12.0
"""What the API said stands for two repetitions, however often the exporters are scraped."""

Row = tuple[Mapping[str, str], float]
"""Labels and value."""


def is_api(labels: Mapping[str, str]) -> bool:
    """Return whether the API tells a series."""
    return "told_by" in labels


def spoken(
    store: SeriesStore, metric: str, subject: Subject, at_s: float, stale_after_s: float
) -> list[Row]:
    """Return the rows, fresh at an instant, of whoever spoke last of a metric and a subject."""
    newest: dict[bool, float] = {}
    rows: dict[bool, list[Row]] = {}
    for track in store.tracks(metric, subject):
        by_api = is_api(track.labels)
        point = track.last(at_s)
        stands_s = max(stale_after_s, _API_STANDS_S) if by_api else stale_after_s
        if point is not None and point[0] > at_s - stands_s:
            newest[by_api] = max(point[0], newest.get(by_api, point[0]))
            rows.setdefault(by_api, []).append((track.labels, point[1]))
    return rows[max(newest, key=lambda who: (newest[who], who))] if newest else []


def word(
    store: SeriesStore, metric: str, subject: Subject, at_s: float, stale_after_s: float
) -> float | None:
    """Return the value at an instant by whoever spoke last; None: nobody did."""
    rows = spoken(store, metric, subject, at_s, stale_after_s)
    return max((value for _, value in rows), default=None)
