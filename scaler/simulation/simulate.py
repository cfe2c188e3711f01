"""
A closed loop on a trace, in simulated time: requests, what is seen of them, and who scales on it.

Every policy meets the same requests, the same cold start and the same scrapes; what differs is an
:class:`Autoscaler`. A warm-up can precede what is scored: a real service has a yesterday.

What must stay true: pure (no clock, no I/O), the same seed and the same autoscaler give the same
run, and nothing that happened in the warm-up is scored.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol

from scaler.decision.window import ScaleBounds, Window

from .cluster import Cluster, ClusterConfig
from .score import Outcomes, Score, Slo
from .scrape import Scraper
from .traffic import Arrival

_DRAIN_S = 600.0
"""Requests that are still open at the end are waited for, this long at most."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What every policy is given alike; the first fleet is the one that is scaled."""

    cluster: ClusterConfig
    slo: Slo = dataclasses.field(default_factory=Slo)
    length_s: float
    """Seconds that are scored, after the warm-up."""
    warm_up_s: float = 0.0
    """Seconds before them that are not."""
    replicas: int = 1
    """Ready at the start."""
    min_replicas: int = 1
    max_replicas: int = 40
    scrape_s: float = 5.0
    lag_s: float = 5.0
    """How long after a scrape it can be read."""

    @property
    def end_s(self) -> float:
        """When the last request may arrive."""
        return self.warm_up_s + self.length_s


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an autoscaler may look at, and when it is."""

    now_s: float
    spec_replicas: int
    status_replicas: int
    """Pods that exist and are not being deleted."""
    ready_replicas: int
    in_flight: int
    """Requests at the gateway and in the engines, now: for those who count them themselves."""
    window: Callable[[], Window | None]
    """What was scraped and can be read by now; None: nothing yet."""


class Autoscaler(Protocol):
    """Who sets the count of replicas."""

    @property
    def name(self) -> str:
        """What a table calls it."""
        ...

    @property
    def every_s(self) -> float:
        """How often it looks."""
        ...

    @property
    def lookback_s(self) -> float:
        """How far back it reads every scrape; 0: it needs none."""
        ...

    @property
    def history_s(self) -> float:
        """How far back it reads the lowest and highest scrape of each minute; 0: it does not."""
        ...

    def act(self, view: View) -> int | None:
        """Return the count to write now; None: it leaves the count as it is."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The run at one instant, for a plot."""

    at_s: float
    """Since scoring began; negative in the warm-up."""
    spec_replicas: int
    ready_replicas: int
    waiting: int
    in_flight: int
    workers: int
    """Training workers that run."""
    inference_units: int
    """Units that inference pods hold, loading and draining ones included."""
    ttft_s: float | None = None
    """Mean time to first token of the requests that finished since the last one; None: none did."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One policy on one trace."""

    name: str
    score: Score
    moments: tuple[Moment, ...]


class Lender(Protocol):
    """Who sets the workers of the training job beside the fleet, if anybody does."""

    @property
    def lookback_s(self) -> float:
        """How far back it reads scrapes."""
        ...

    @property
    def history_s(self) -> float:
        """How far back it reads thinned scrapes; 0: it does not."""
        ...

    def act(self, now_s: float, window: Window | None, workers: int) -> int | None:
        """Return the workers to write now; None: it leaves them as they are."""
        ...


def simulate(
    setup: Setup,
    arrivals: Iterable[Arrival],
    autoscaler: Autoscaler,
    *,
    lender: Lender | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """
    Return what an autoscaler made of a trace.

    Args:
        setup: the cluster and the span.
        arrivals: in order of time, from 0 to ``setup.end_s``.
        autoscaler: a new one; it may keep a state.
        lender: of the first training job; None: its workers stay as they are.
        progress: told the simulated seconds that have passed, every simulated minute.
    """
    loop = _Loop(setup, arrivals, autoscaler, lender)
    while loop.now_s < setup.end_s - 1e-9:
        loop.step()
        if progress is not None and loop.now_s % 60 == 0:
            progress(loop.now_s)
    return loop.finish()


class _Loop:
    """One run under way."""

    def __init__(
        self,
        setup: Setup,
        arrivals: Iterable[Arrival],
        autoscaler: Autoscaler,
        lender: Lender | None,
    ) -> None:
        self._setup, self._autoscaler, self._lender = setup, autoscaler, lender
        fleet = setup.cluster.fleets[0]
        self._fleet_name = fleet.name
        self._world = Cluster(setup.cluster, Outcomes(setup.slo, score_from_s=setup.warm_up_s))
        self._fleet = self._world.fleets[fleet.name]
        self._job = setup.cluster.jobs[0].name if setup.cluster.jobs else None
        keep_s = max(autoscaler.lookback_s, lender.lookback_s if lender else 0.0)
        self._scraper = (
            Scraper(
                self._world,
                fleet.name,
                interval_s=setup.scrape_s,
                lag_s=setup.lag_s,
                keep_s=keep_s,
                history_s=max(autoscaler.history_s, lender.history_s if lender else 0.0),
            )
            if keep_s
            else None
        )
        self._bounds = ScaleBounds(
            min_replicas=setup.min_replicas, max_replicas=setup.max_replicas, tolerance=0.0
        )
        self._moments: list[Moment] = []
        self._before: Score | None = None
        self._seen = (0, 0.0)
        self._tick_s = min(setup.scrape_s, autoscaler.every_s)
        self._due_s = self._scrape_due_s = 0.0
        self._world.start_ready(fleet.name, setup.replicas)
        self._world.feed(fleet.service, arrivals)
        if not setup.warm_up_s:
            self._begin_scoring()

    @property
    def now_s(self) -> float:
        return self._world.now_s

    def step(self) -> None:
        """Let one tick pass; then scrape and act where it is time."""
        world, setup = self._world, self._setup
        world.advance(min(world.now_s + self._tick_s, setup.end_s))
        waiting = world.waiting()
        now_s = world.now_s
        if self._before is None and now_s >= setup.warm_up_s:
            self._begin_scoring()
        if now_s >= self._scrape_due_s - 1e-9:
            self._scrape_due_s = now_s + setup.scrape_s
            if self._scraper is not None:
                self._scraper.scrape()
            self._moments.append(self._moment(waiting))
            self._lend()
        if now_s >= self._due_s - 1e-9:
            self._due_s = now_s + self._autoscaler.every_s
            self._scale()

    def _scale(self) -> None:
        wanted = self._autoscaler.act(self._view())
        if wanted is not None:
            low, high = self._setup.min_replicas, self._setup.max_replicas
            self._world.set_replicas(self._fleet_name, min(high, max(low, wanted)))

    def _lend(self) -> None:
        if self._lender is None or self._job is None:
            return
        # As the server counts them: those that run or start, and none that was told to go.
        workers = len(self._world.jobs[self._job].living(self.now_s))
        wanted = self._lender.act(self.now_s, self._window(), workers)
        if wanted is not None:
            self._world.set_workers(self._job, wanted)

    def _window(self) -> Window | None:
        return None if self._scraper is None else self._scraper.window(self._bounds)

    def _view(self) -> View:
        fleet = self._fleet
        return View(
            now_s=self.now_s,
            spec_replicas=fleet.spec_replicas,
            status_replicas=len(fleet.living),
            ready_replicas=fleet.ready,
            in_flight=fleet.gateway.in_flight,
            window=self._window,
        )

    def _moment(self, waiting: int) -> Moment:
        job = None if self._job is None else self._world.jobs[self._job]
        return Moment(
            at_s=self.now_s - self._setup.warm_up_s,
            spec_replicas=self._fleet.spec_replicas,
            ready_replicas=self._fleet.ready,
            waiting=waiting,
            in_flight=self._fleet.gateway.in_flight,
            workers=0 if job is None else job.running,
            inference_units=self._fleet.held_units,
            ttft_s=self._ttft_s(),
        )

    def _ttft_s(self) -> float | None:
        outcomes = self._world.outcomes
        before, self._seen = self._seen, (outcomes.finished, outcomes.ttft_total_s)
        requests = self._seen[0] - before[0]
        return (self._seen[1] - before[1]) / requests if requests else None

    def _begin_scoring(self) -> None:
        self._before = self._world.score()
        self._world.queue_peak = 0
        self._fleet.most_replicas = self._fleet.spec_replicas

    def finish(self) -> Run:
        """Wait for what is open, and sum up; hours count to the end of the trace alone."""
        world, end_s = self._world, self._setup.end_s
        at_the_end = world.score()
        while not world.idle and world.now_s < end_s + _DRAIN_S:
            world.advance(world.now_s + self._tick_s)
        before = self._before or at_the_end
        return Run(
            name=self._autoscaler.name,
            score=world.score().costing(at_the_end).since(before),
            moments=tuple(self._moments),
        )


def repeated(arrivals: Collection[Arrival], length_s: float, warm_up_s: float) -> Iterator[Arrival]:
    """
    Yield a trace with its own end put before it as a warm-up of ``warm_up_s`` seconds.

    A yesterday that was like today: a warm-up as long as the trace is the trace, played twice.
    """
    from_s = length_s - warm_up_s
    for one in arrivals:
        if one.at_s >= from_s:
            yield one._replace(at_s=one.at_s - from_s)
    for one in arrivals:
        yield one._replace(at_s=one.at_s + warm_up_s)
