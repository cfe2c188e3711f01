"""
The engines' own pages, read each second between two scrapes of Prometheus.

Only for workloads that ask for it: their own pods by the API's word (owner, namespace, IP), on the
port that their trigger states. What is read is a short tail of samples with an assembly of its own;
:mod:`.spliced` puts it behind what Prometheus knows. All pods of a workload answer, or none counts:
with some missing Prometheus is right again, and what is told says why.
"""

import asyncio
import collections
import dataclasses
import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import aiohttp

from scaler.decision.facts.record import MINUTE_S, Record, Recorded, minute_of
from scaler.decision.sample import Sample
from scaler.errors import KvtideError, SourceError
from scaler.said import Said
from scaler.source import Workload
from scaler.telemetry.observed import PagesRead

from .assemble import Assembly
from .attribution import replica_of
from .engines.profile import EngineProfile
from .kubernetes.known import KnownCluster
from .labels import NAMING
from .pages import fetch, session
from .scrape import Target, rows_of_page, take_rows
from .timing import Timing
from .wanted import Exporter, Wanted

logger = logging.getLogger("kvtide.direct")

PERIOD_S = 1.0
"""Between two readings of a page, and the bucket of what is made of them."""
KEPT_S = 300.0
"""So long a tail is, and up to a minute more; what is older is Prometheus' to tell."""
FRESH_S = 2.5 * PERIOD_S
"""So long what was read of a pod stands."""
TIMEOUT_S = 0.9
LARGEST_PAGE = 4 * 1024 * 1024
MOST_PODS = 100
"""Pages that are read in one second, of all workloads together."""
_AT_ONCE = 32
_SETTLED_S = 5.0
"""A pod that has just become ready need not answer yet."""


class Tail(NamedTuple):
    """What was read of a workload lately, and what is told of it."""

    recorded: Recorded | None
    """None: not all of its pods could be read."""
    read_s: float
    """When the newest pages were asked for, Unix seconds."""
    note: Said


@dataclasses.dataclass(slots=True)
class _Asked:
    """One workload in one round: its pages, and the replicas that must be among them."""

    workload: Workload
    targets: list[Target]
    needed: frozenset[str]
    why_not: Said | None = None
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    """By pod: the kind of its failure."""


class DirectReader:
    """Reads the pages of the workloads that ask for it, a round a second."""

    def __init__(
        self,
        known: KnownCluster,
        *,
        profiles: Mapping[str, EngineProfile],
        clock: Callable[[], float],
    ) -> None:
        self._known = known
        self._clock = clock
        self._assembly = Assembly(
            profiles=profiles,
            timing=Timing(interval_s=dict.fromkeys(Exporter, PERIOD_S)),
            known=known,
        )
        self._records: dict[str, Record] = {}
        self._tails: dict[str, Tail] = {}
        self._session: aiohttp.ClientSession | None = None
        self.outcomes: collections.Counter[str] = collections.Counter()
        """Pages read so far (``read``), and those that could not be, by kind."""
        self._reads: dict[str, PagesRead] = {}

    def tail(self, workload: Workload) -> Tail | None:
        """Return what was read of a workload; None: nobody asked, or nothing was read yet."""
        return self._tails.get(workload.key)

    def reads(self) -> tuple[PagesRead, ...]:
        """Return how the pages of each workload that asks for it were read the last time."""
        return tuple(self._reads.values())

    async def run(self, workloads: Callable[[], Collection[Workload]]) -> None:
        """Read once a second, until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                due_s = loop.time() + PERIOD_S
                await self._guarded(workloads())
                await asyncio.sleep(max(0.0, due_s - loop.time()))
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _guarded(self, workloads: Collection[Workload]) -> None:
        """Read; a fault leaves Prometheus alone to tell, and is logged once."""
        try:
            await self.read(workloads)
        except Exception:
            if self._tails:
                logger.exception("reading the pods' own pages failed")
            self._tails, self._records, self._reads = {}, {}, {}

    async def read(self, workloads: Collection[Workload]) -> None:
        """Read every page once; ``workloads`` are those that ask for it."""
        now_s = self._clock()
        asked = self._asked(sorted(workloads, key=lambda one: one.key), now_s)
        reading = [one for one in asked if one.targets]
        if reading:
            await self._read_pages(reading, now_s)
        tails = {one.workload.key: await self._tail_of(one, now_s) for one in asked}
        for key in self._records.keys() - tails.keys():
            del self._records[key]
        for key in self._reads.keys() - tails.keys():
            del self._reads[key]
        for key, tail in tails.items():
            before = self._tails.get(key)
            if before is None or before.note != tail.note:
                logger.info("%s: %s", key, tail.note)
        self._tails = tails

    def _asked(self, workloads: Collection[Workload], now_s: float) -> list[_Asked]:
        """Return whose pages are read, as long as there is room."""
        asked, room = [], MOST_PODS
        for workload in workloads:
            one = self._asked_of(self._known.resolved(workload), now_s)
            if len(one.targets) > room:
                one.why_not = Said("more than {most} pods ask for it", most=MOST_PODS)
                one.targets = []
            room -= len(one.targets)
            asked.append(one)
        return asked

    def _asked_of(self, workload: Workload, now_s: float) -> _Asked:
        """Return a workload's pages: those of ready pods with an address of their own."""
        pods = self._known.pods_of(workload)
        if pods is None:
            why_not = Said("the Kubernetes API does not tell of pods")
            return _Asked(workload, [], frozenset(), why_not)
        leaders = {
            name: pod
            for name, pod in pods.items()
            if pod.ready_since_s is not None and replica_of(workload, name) == name
        }
        needed = frozenset(
            name
            for name, pod in leaders.items()
            if not pod.leaving and now_s - (pod.ready_since_s or now_s) >= _SETTLED_S
        )
        targets = [
            Target(
                url=_url(pod.address, workload.direct_scrape_port or 0, pod.metrics_path),
                namespace=workload.namespace,
                pod=name,
            )
            for name, pod in leaders.items()
            if pod.address is not None
        ]
        return _Asked(workload, targets, needed, None if targets else Said("no pod is ready"))

    async def _read_pages(self, asked: Collection[_Asked], now_s: float) -> None:
        if self._session is None:
            self._session = session(timeout_s=TIMEOUT_S, at_once=_AT_ONCE)
        client = self._session
        workloads = [_by_pods(one.workload) for one in asked]
        by_metric = {
            metric: wanted
            for wanted in self._assembly.wanted(workloads)
            if wanted.exporter is Exporter.ENGINE  # a pod tells of itself, and of no cluster
            for metric in wanted.metrics
        }
        self._assembly.store.next_round()
        await self._assembly.hear(workloads, now_s)
        await asyncio.gather(
            *(
                self._read_page(client, one, target, by_metric, now_s)
                for one in asked
                for target in one.targets
            )
        )
        self._assembly.settle(workloads)
        self._assembly.forget(now_s, lookback_s=PERIOD_S, history_s=PERIOD_S)

    async def _read_page(
        self,
        client: aiohttp.ClientSession,
        one: _Asked,
        target: Target,
        by_metric: Mapping[str, Wanted],
        now_s: float,
    ) -> None:
        page = await fetch(client, target.url, LARGEST_PAGE)
        kind = page.kind if isinstance(page, SourceError) else "read"
        if not isinstance(page, SourceError):
            rows = rows_of_page(page, by_metric)
            if rows:
                take_rows(self._assembly, target, _of_nobody_else(rows), by_metric, now_s)
            else:
                kind = "format"
        self.outcomes[kind] += 1
        if kind != "read":
            one.failed[target.pod or ""] = kind

    async def _tail_of(self, one: _Asked, now_s: float) -> Tail:
        """Return a workload's tail with what was read now; it begins anew where a pod is silent."""
        key = one.workload.key
        sample = await self._sample(one, now_s) if one.targets and one.why_not is None else None
        told = _told(one, sample)
        why_not = one.why_not or _missing(one, told)
        self._reads[key] = self._read_of(one, told, None if why_not else now_s)
        if why_not is not None or sample is None:
            known = self._tails.get(key)
            if known is not None and known.recorded and now_s - known.read_s <= FRESH_S:
                return known  # one page that was late: what was read a moment ago stands
            self._records.pop(key, None)
            note = Said(
                "Pods are not read between scrapes: {why}.", why=why_not or Said("no reading")
            )
            return Tail(None, now_s, note)
        record = self._records.setdefault(key, Record())
        if record.last_from(sample.at_s) is None:
            record.add(sample)
        # By whole minutes: what is made of them is made once in each.
        record.take_before(MINUTE_S * minute_of(sample.at_s - KEPT_S))
        note = Said("Pods are read each second, between scrapes.")
        return Tail(record.until(math.inf), now_s, note)

    def _read_of(self, one: _Asked, told: set[str], read_s: float | None) -> PagesRead:
        before = self._reads.get(one.workload.key)
        known_s = None if before is None else before.newest_s
        return PagesRead(
            namespace=one.workload.namespace,
            scaled_object=one.workload.scaled_object,
            read=len(told),
            unread=len(one.needed - told),
            newest_s=known_s if read_s is None else read_s,
        )

    async def _sample(self, one: _Asked, now_s: float) -> Sample | None:
        ends_s = math.ceil(now_s / PERIOD_S) * PERIOD_S
        try:
            found = await self._assembly.between(_by_pods(one.workload), ends_s - PERIOD_S, ends_s)
        except KvtideError:
            return None
        return found[-1] if found else None


def _told(one: _Asked, sample: Sample | None) -> set[str]:
    """Return the replicas that told something in this round."""
    return {
        each.name
        for each in (() if sample is None else sample.replicas)
        if each.name not in one.failed and (each.sleeping or each.requests_running is not None)
    }


def _missing(one: _Asked, told: set[str]) -> Said | None:
    """Return whose readings are missing; None: nobody's."""
    missing = sorted(one.needed - told)
    if not missing and told:
        return None
    if not missing:
        return Said("no pod answers on port {port}", port=one.workload.direct_scrape_port)
    kinds = sorted({one.failed.get(name, "no reading") for name in missing})
    return Said(
        "{n} of {all} pods do not answer on port {port} ({kinds})",
        n=len(missing),
        all=len(one.needed),
        port=one.workload.direct_scrape_port,
        kinds=", ".join(kinds),
    )


def _of_nobody_else(
    rows: Iterable[tuple[dict[str, str], float]],
) -> Iterator[tuple[dict[str, str], float]]:
    """Yield the rows of a page without what it says of whose they are: that is known."""
    for labels, value in rows:
        yield {name: text for name, text in labels.items() if name not in NAMING}, value


def _by_pods(workload: Workload) -> Workload:
    """Return a workload as its pods alone tell of it: what else there is, Prometheus tells."""
    return dataclasses.replace(
        workload, gateway=None, gateway_selector=(), arrival_query=None, prometheus="default"
    )


def _url(address: str, port: int, path: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{path}"
