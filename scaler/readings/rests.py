"""
What is left alone until something new can be there: nothing is, before the next scrape.

An engine's readings are made into an answer once all of a workload have reported in a bucket
(:mod:`.newest`): from the round on in which the last of them can have, and no sooner, they are
asked for. kube-state-metrics is scraped for all at once, by its own clock. Whoever is late, silent
or yet to be seen is asked for in every round.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from scaler.source import Workload

from .assemble import Assembly
from .series import SeriesStore
from .spoken import is_api
from .wanted import Exporter, Wanted

_AT_ANY_TIME = float("-inf")
_EARLY = 0.02
"""Of its interval a scrape may come early."""


class _Rest(NamedTuple):
    until_s: float
    known: object
    """What it was found out of: it ends where that changes."""


class Rests:
    """Until when what is told of workloads rests."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._of: dict[Workload, _Rest] = {}
        self._until_s: dict[tuple[Exporter, str], float] = {}

    def rests(self, wanted: Wanted, namespace: str, now_s: float) -> bool:
        """Whether nothing new can be there of a reading."""
        if wanted.once_a_minute:
            return False
        name = "" if wanted.exporter is Exporter.CLUSTER else namespace
        return self._until_s.get((wanted.exporter, name), _AT_ANY_TIME) > now_s

    def settle(
        self, workloads: Collection[Workload], wanted: Iterable[Wanted], now_s: float
    ) -> None:
        """Find out, after a round, what of all that is read rests from now on."""
        with self._assembly.store.lock:
            self._of = {one: self._rest(one, now_s) for one in workloads}
        until_s: dict[tuple[Exporter, str], float] = {}
        for workload, rest in self._of.items():
            places = [(Exporter.ENGINE, workload.namespace), (Exporter.GPU, workload.namespace)]
            if workload.gateway is not None:
                places.append((Exporter.GATEWAY, ""))
            for place in places:
                until_s[place] = min(rest.until_s, until_s.get(place, rest.until_s))
        cluster = (Exporter.CLUSTER, "")
        cluster_s = self._until_s.get(cluster, _AT_ANY_TIME)
        if cluster_s <= now_s:
            cluster_s = self._next_scrape_s(Exporter.CLUSTER, wanted)
        self._until_s = {**until_s, cluster: cluster_s}

    def _rest(self, workload: Workload, now_s: float) -> _Rest:
        known = self._assembly.there(workload, now_s)
        rest = self._of.get(workload)
        if rest is not None and rest.until_s > now_s and rest.known == known:
            return rest
        return _Rest(self._assembly.newest.next_s(workload, now_s), known)

    def _next_scrape_s(self, exporter: Exporter, wanted: Iterable[Wanted]) -> float:
        """
        Return when the next of an exporter's targets is scraped; at any time: none was.

        Those that were scraped within an interval of the last one: others are no more.
        """
        names = dict.fromkeys(
            metric
            for one in wanted
            if one.exporter is exporter and not one.once_a_minute
            for metric in one.metrics
        )
        scraped = set(_scraped_s(self._assembly.store, names))
        soonest_s = (1 - _EARLY) * self._assembly.intervals.interval_s(exporter)
        before_s = max(scraped, default=_AT_ANY_TIME) - soonest_s
        return min((at_s for at_s in scraped if at_s > before_s), default=before_s) + soonest_s


def _scraped_s(store: SeriesStore, names: Iterable[str]) -> Iterator[float]:
    """Yield when each series was scraped last; what the API tells comes when it happens."""
    for name in names:
        for track in store.all_tracks(name):
            if track.times and not is_api(track.labels):
                yield track.times[-1]
