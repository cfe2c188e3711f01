"""
What has to be said to a server beside the query, by the kind of server that it is.

VictoriaMetrics answers instant queries, subqueries and ``last_over_time`` as of 30 s ago
(``-search.latencyOffset``) under the time that was asked for; raw ranges are as new as can be.
``nocache`` lifts that for what is no subquery, ``latency_offset`` where it is known as a parameter
for everything (1.150; 1.79.5 takes no notice of it). A parameter that a server does not know it
leaves alone.

VictoriaMetrics also remembers which series a filter means: 1.79.5 shows a new one (a new pod, a
gateway's first request) to a filter that was asked before only 10 to 15 s after its first scrape,
to a filter that is new within 1 to 4 s. So the filters change every few seconds, by a matcher that
every series fulfils.
"""

import dataclasses

from .promql import Matcher
from .server_kind import VICTORIA_METRICS, ServerKind

_VICTORIA_LATE_S = 35.0
"""The offset and a scrape: a subquery repeats for the time since what was before."""

_VICTORIA_NAMES = 100
"""What it looks up one by one (``maxOrValues`` in its lib/regexutil)."""
_VICTORIA_ANEW_S = 3.0
"""For so long a filter stays the same: new series wait no longer, and most asks are remembered."""
_NO_LABEL = "kvtide_asked"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What a kind of server needs."""

    params: tuple[tuple[str, str], ...] = ()
    """Sent with every query."""
    subqueries_late_s: float = 0.0
    """A subquery knows nothing of so many last seconds."""
    filters_last_s: float | None = None
    """After so many seconds a filter has to change for new series to be found; None: never."""
    most_names: int = 250
    """Metrics in one selector that are still looked up one by one: Prometheus' are 256
    (``maxSetMatches`` in its labels/regexp.go). Of more the pattern is tried on every name."""
    native_histograms: bool = False
    """Histograms may be stored as a whole, instead of as series of their buckets."""

    def anew(self, now_s: float) -> tuple[Matcher, ...]:
        """Return what makes a filter another one from time to time and means the same series."""
        if self.filters_last_s is None:
            return ()
        return ((_NO_LABEL, "!=", str(int(now_s // self.filters_last_s))),)


def dialect_of(kind: ServerKind) -> Dialect:
    """Return what a kind of server needs; one that says nothing is asked as Prometheus 2 is."""
    if kind.name == VICTORIA_METRICS:
        params = (("latency_offset", "1ms"), ("nocache", "1"))
        return Dialect(
            params=params,
            subqueries_late_s=_VICTORIA_LATE_S,
            filters_last_s=_VICTORIA_ANEW_S,
            most_names=_VICTORIA_NAMES,
        )
    is_old = kind.name == "Prometheus" and str(kind.version).startswith(("1.", "2."))
    return Dialect(native_histograms=kind.version is not None and not is_old)
