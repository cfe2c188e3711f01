"""
What is left alone until something new can be there: nothing is, before the next scrape.

An engine's readings are made into an answer once all of a workload have reported in a bucket
(:mod:`.newest`): from the round on in which the last of them can have, and no sooner, they are
asked for. kube-state-metrics is scraped for all at once, by its own clock. Whoever is late, silent
or yet to be seen is asked for in every round; who is late by little, by name: a scrape takes its
time, and what else is in the namespace has nothing to do with it.
"""

import math
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from scaler.source import Workload

from .asks import Part
from .assemble import Assembly
from .series import SeriesStore, Subject
from .spoken import is_api
from .wanted import Exporter, Wanted

_AT_ANY_TIME = -math.inf
_EARLY = 0.02
"""Of its interval a scrape may come early."""
_LITTLE = 0.5
"""Of its interval a scrape may come late until other pods than those known are looked for."""
_NEARLY_ALL = 4
"""Pods that are due to each that is not: what a server does goes with the series that it reads, and
a name costs it less than one of them."""


class _Rest(NamedTuple):
    until_s: float
    named_until_s: float
    """Until then its pods are asked for by name; later, with everything there."""
    pods: tuple[Subject, ...]
    ready: float | None


class Rests:
    """What of some workloads' readings is to be asked for, and until when the others rest."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._of: dict[Workload, _Rest] = {}
        self._settled_s = _AT_ANY_TIME
        self._until_s: dict[Exporter, float] = {}
        self._parts: dict[str, Part] = {}

    def begin(self, workloads: Collection[Workload], now_s: float) -> None:
        """Find out, before a round, of which pods something new can be there."""
        due: dict[str, list[str]] = {}
        others: dict[str, int] = {}
        whole = set[str]()
        for workload in workloads:
            rest, space = self._of.get(workload), workload.namespace
            if rest is None or rest.named_until_s <= self._settled_s:
                whole.add(space)
            elif rest.until_s <= now_s:
                due.setdefault(space, []).extend(name for _, name in rest.pods)
            else:
                others[space] = others.get(space, 0) + len(rest.pods)
        # Where nearly all pods are due the others are asked for with them, by no name.
        self._parts = {
            **{workload.namespace: () for workload in workloads},
            **{
                space: tuple(pods) if 0 < len(pods) < _NEARLY_ALL * others.get(space, 0) else None
                for space, pods in due.items()
            },
            **dict.fromkeys(whole),
        }
        self._now_s = now_s

    def part(self, wanted: Wanted, namespace: str) -> Part:
        """Return the pods of which something new of a reading can be there; None: of any."""
        if wanted.once_a_minute:
            return None
        if wanted.exporter in (Exporter.ENGINE, Exporter.GPU):
            return self._parts.get(namespace)
        return () if self._until_s.get(wanted.exporter, _AT_ANY_TIME) > self._now_s else None

    def settle(
        self, workloads: Collection[Workload], wanted: Iterable[Wanted], now_s: float
    ) -> None:
        """Find out, after a round, what of all that is read rests from now on."""
        with self._assembly.store.lock:
            self._of = {one: self._rest(one, now_s) for one in workloads}
        self._settled_s = now_s
        gateway_s = (
            # Nobody's engines rest at zero: a gateway may wake them at any time.
            _AT_ANY_TIME if math.isinf(rest.until_s) else rest.until_s
            for workload, rest in self._of.items()
            if workload.gateway is not None
        )
        cluster_s = self._until_s.get(Exporter.CLUSTER, _AT_ANY_TIME)
        if cluster_s <= now_s:
            cluster_s = self._next_scrape_s(Exporter.CLUSTER, wanted)
        self._until_s = {
            Exporter.GATEWAY: min(gateway_s, default=_AT_ANY_TIME),
            Exporter.CLUSTER: cluster_s,
        }

    def _rest(self, workload: Workload, now_s: float) -> _Rest:
        pods, ready = self._assembly.there(workload, now_s)
        rest = self._of.get(workload)
        is_same = rest is not None and (rest.pods, rest.ready) == (pods, ready)
        if rest is not None and is_same and rest.until_s > now_s:
            return rest
        next_s = self._assembly.newest.next_s(workload, now_s)
        if next_s > now_s:
            late_s = _LITTLE * self._assembly.intervals.interval_s(Exporter.ENGINE)
            return _Rest(next_s, next_s + late_s, pods, ready)
        if rest is not None and is_same and rest.named_until_s > now_s:
            return rest
        return _Rest(_AT_ANY_TIME, _AT_ANY_TIME, pods, ready)

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
