"""
Named queries of the configuration that count a workload's arrivals.

One query for all workloads that name it: the placeholders are filled with all of their names at
once, so a query that several ScaledObjects share matches them with ``=~`` and keeps the labels
``namespace`` and ``workload`` in its answer.
"""

import string
from collections.abc import Collection, Iterator

from scaler.errors import SourceError

from .prometheus import Row
from .promql import any_of
from .series import Point, Subject
from .source import Workload


def filled(query: str, workloads: Collection[Workload]) -> str:
    """Return the query for some workloads at once."""
    return string.Template(query).substitute(
        namespace=any_of({workload.namespace for workload in workloads}),
        workload=any_of({workload.name for workload in workloads}),
    )


def told_apart(
    name: str, rows: Collection[Row], workloads: Collection[Workload]
) -> Iterator[tuple[Subject, list[Point]]]:
    """
    Yield whose each row is.

    Raises:
        SourceError: kind ``format``: several workloads, and a row that does not say whose it is.
    """
    known = {(workload.namespace, workload.name) for workload in workloads}
    for labels, points in rows:
        subject = (labels.get("namespace", ""), labels.get("workload", ""))
        if subject not in known:
            if len(known) > 1 or len(rows) > 1:
                raise SourceError(
                    "format",
                    f"query {name}: {len(known)} workloads share it, and a row of its answer has"
                    " no labels namespace and workload that are one's",
                )
            subject = next(iter(known))
        yield subject, list(points)
