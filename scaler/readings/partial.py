"""
Whether an answer that calls itself incomplete lacks anything.

Thanos warns for as long as one of two replicas is gone, though the other has every series. What was
known before and is in the answer as well is not missing.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from .asks import NO_NAMESPACE, Ask
from .series import Point, SeriesStore, Track

Row = tuple[Mapping[str, str], Sequence[Point]]


def has_all(
    ask: Ask, rows: Collection[Row], store: SeriesStore, *, copies: Collection[str], slack_s: float
) -> bool:
    """
    Return whether rows have every series of an ask that is known, as new as it is known.

    And one of them at least as of now, else nothing came since and the rows say nothing; where no
    series is known nothing can be told. ``slack_s`` is by how much the samples of two that scrape
    the same lie apart; series that differ in ``copies`` alone are one.
    """
    newest: dict[object, float] = {}
    for row, points in rows:
        labels = {name: text for name, text in row.items() if name != "__name__"}
        if points:
            key = _key(row.get("__name__", ""), labels, copies)
            newest[key] = max(points[-1][0], newest.get(key, points[-1][0]))
    if max(newest.values(), default=0.0) < ask.at_s - slack_s:
        return False
    known = _known(ask, store)
    return bool(known) and all(
        newest.get(_key(metric, track.labels, copies), 0.0) >= track.times[-1] - slack_s
        for metric, track in known
    )


def _known(ask: Ask, store: SeriesStore) -> list[tuple[str, Track]]:
    """Return the series of an ask that have a sample in its time."""
    anywhere = ask.namespaces == NO_NAMESPACE
    unread = [(label, pattern) for label, _, pattern in ask.wanted.unread]
    return [
        (metric, track)
        for metric in ask.wanted.metrics
        for subject in store.subjects(metric)
        if anywhere or subject[0] in ask.namespaces
        if not ask.pods or subject[1] in ask.pods
        for track in store.tracks(metric, subject)
        if track.times and ask.since_s < track.times[-1] <= ask.at_s
        if not any(
            re.fullmatch(left_out, track.labels.get(label, "")) for label, left_out in unread
        )
    ]


def _key(metric: str, labels: Mapping[str, str], copies: Collection[str]) -> object:
    kept = sorted((name, text) for name, text in labels.items() if name not in copies)
    return metric, tuple(kept)
