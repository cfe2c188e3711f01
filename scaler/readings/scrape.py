"""
Readings straight from the pods' own ``/metrics``, without a Prometheus.

For one machine (the demo) and the fast path. Rows get the labels that Prometheus would give them
(``namespace``, ``pod``; an exporter's own labels of those names become ``exported_…``), so that
nothing behind this module can tell the difference. A target that does not answer reads up = 0.
"""

import asyncio
import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from scaler.decision.pool import Node, Units
from scaler.decision.window import Window
from scaler.errors import SourceError
from scaler.source import Workload

from .assemble import Assembly
from .engines.profile import EngineProfile
from .gateways.profile import GatewayProfile
from .lengths import LENGTHS_S, LengthCounter, Which
from .pages import fetch, session
from .timing import Timing
from .wanted import Wanted

_MOST_AT_ONCE = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One page to scrape."""

    url: str
    namespace: str | None = None
    """The pod's namespace and name; None: the page names pods itself (DCGM, the cluster)."""
    pod: str | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Labels that every row of the page gets."""
        named = {"namespace": self.namespace, "pod": self.pod}
        return {label: value for label, value in named.items() if value is not None}


class ScrapeSource:
    """A source that scrapes a list of targets, asked for anew at each refresh."""

    def __init__(
        self,
        targets: Callable[[], Iterable[Target]],
        *,
        profiles: Mapping[str, EngineProfile],
        timing: Timing,
        gateways: Mapping[str, GatewayProfile] | None = None,
        timeout_s: float = 2.0,
    ) -> None:
        self._targets = targets
        self._timeout_s = timeout_s
        self._assembly = Assembly(profiles=profiles, gateways=gateways, timing=timing)
        self._lengths = LengthCounter()
        self._session: aiohttp.ClientSession | None = None

    async def refresh(
        self,
        workloads: Collection[Workload],
        lookback_s: float,
        now_s: float,
        *,
        history_s: float = 0.0,
    ) -> None:
        """
        Scrape every target once; the points bear ``now_s``.

        Raises:
            SourceError: there are targets and none of them answered.
        """
        if self._session is None:
            self._session = session(timeout_s=self._timeout_s, at_once=_MOST_AT_ONCE)
        by_metric = {
            metric: wanted
            for wanted in self._assembly.wanted(workloads)
            for metric in wanted.metrics
        }
        lengths = {
            metric: which
            for which, metrics in self._assembly.engines.length_metrics(workloads)
            for metric in metrics
        }
        targets = tuple(self._targets())
        pages = await asyncio.gather(*(fetch(self._session, target.url) for target in targets))
        self._assembly.store.next_round()
        for target, page in zip(targets, pages, strict=True):
            self._take(target, page, by_metric, now_s)
            self._count(target, page, lengths, now_s)
        self._assembly.settle(workloads)
        self._lengths.forget(now_s - LENGTHS_S)
        self._lengths.put_into(self._assembly.lengths, now_s - LENGTHS_S)
        self._assembly.forget(now_s, lookback_s=lookback_s, history_s=history_s)
        failed = [page for page in pages if isinstance(page, SourceError)]
        if failed and len(failed) == len(pages):
            raise failed[0]

    @property
    def is_complete(self) -> bool:
        """There is no past to read: pages tell of now."""
        return True

    @property
    def refused(self) -> int:
        """How many values so far were no readings."""
        return self._assembly.store.refused

    @property
    def asked_apart(self) -> int:
        """None: pages are read one by one."""
        return 0

    def assembling(self, workload: Workload, lookback_s: float, now_s: float) -> Iterator[None]:
        """Make what a window needs; see :class:`~scaler.source.Source`."""
        return self._assembly.assembling(workload, lookback_s, now_s)

    def window(
        self, workload: Workload, lookback_s: float, now_s: float, *, silent_s: float = 0.0
    ) -> Window:
        """Return what was scraped of a workload; see :class:`~scaler.source.Source`."""
        return self._assembly.window(workload, lookback_s, now_s, silent_s=silent_s)

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        """Return the nodes that have a resource; see :class:`~scaler.source.Source`."""
        return self._assembly.nodes(resource, online, now_s)

    def units(self, resource: str | None, workload: Workload, now_s: float) -> Units:
        """Return what a workload's pods hold; see :class:`~scaler.source.Source`."""
        return self._assembly.units(resource, workload, now_s)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _take(
        self,
        target: Target,
        page: str | SourceError,
        by_metric: Mapping[str, Wanted],
        now_s: float,
    ) -> None:
        rows = None if isinstance(page, SourceError) else rows_of_page(page, by_metric)
        up = {**target.labels, "__name__": "up", "instance": target.url}
        if target.pod is not None:
            self._assembly.take(by_metric["up"], up, [(now_s, 0.0 if rows is None else 1.0)])
        take_rows(self._assembly, target, rows or (), by_metric, now_s)

    def _count(
        self,
        target: Target,
        page: str | SourceError,
        lengths: Mapping[str, Which],
        now_s: float,
    ) -> None:
        """Count token lengths, by the buckets of a pod's own page."""
        if isinstance(page, SourceError) or target.namespace is None or target.pod is None:
            return
        pod = (target.namespace, target.pod)
        for labels, value in rows_of_page(page, lengths) or ():
            which, le = lengths[labels.pop("__name__")], labels.pop("le", "")
            self._lengths.add(which, pod, str(sorted(labels.items())), le, (now_s, value))


def take_rows(
    assembly: Assembly,
    target: Target,
    rows: Iterable[tuple[dict[str, str], float]],
    by_metric: Mapping[str, Wanted],
    now_s: float,
) -> None:
    """Take in the rows of a target's page, under the labels that Prometheus would give them."""
    for labels, value in rows:
        moved = {
            (f"exported_{label}" if label in target.labels else label): text
            for label, text in labels.items()
        }
        wanted = by_metric[labels["__name__"]]
        assembly.take(wanted, {**moved, **target.labels}, [(now_s, value)])


def rows_of_page(page: str, wanted: Collection[str]) -> list[tuple[dict[str, str], float]] | None:
    """Return the wanted rows of an exposition page, None if it is not one."""
    if page.lstrip().startswith("<"):
        return None  # HTML: an error page, or not an exporter
    lines = [line for line in page.splitlines() if _name(line) in wanted]
    try:
        return [
            ({**sample.labels, "__name__": sample.name}, float(sample.value))
            for family in text_string_to_metric_families("\n".join(lines) + "\n")
            for sample in family.samples
            if math.isfinite(sample.value)
        ]
    except Exception:  # noqa: BLE001 -- whatever a page makes the parser stumble over, it is no page
        return None


def _name(line: str) -> str:
    """Return the metric name at the start of a line of exposition text."""
    return line.split("{", 1)[0].split(" ", 1)[0]
