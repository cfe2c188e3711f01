"""
The demo's stage: a paced cluster behind its exporters, and those who ask the scaler and act.

It is given the address of a scaler and what that scaler last answered, and never calls into it:
everything between them is HTTP and gRPC.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from scaler.simulation.cluster import Cluster
from scaler.simulation.histogram import Distribution
from scaler.simulation.score import Latency, Outcomes, Score
from scaler.simulation.traffic import Arrival
from scaler.telemetry.observed import Observation

from . import scene
from .exporters import Exporters
from .gpus import GpuModel, Gpus
from .keda import KedaStandIn, LabObject, Pace
from .reclaimer import Reclaimer
from .world import FleetTarget, JobTarget, World, faster, faster_slo, faster_traffic, in_true_time

_LOOK_S = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What is played, in true durations."""

    arrivals: Callable[[], Iterable[Arrival]]
    """The requests, made anew at each call."""
    length_s: float
    speed: float = 10.0
    seed: int = 0
    replicas: int = 1
    """How many serve at the start."""
    forecast: str = "off"
    """Of the inference trigger."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A count that was written."""

    at_s: float
    """True seconds since the start."""
    name: str
    before: int
    after: int
    who: str
    """Who wrote it."""
    reason: str
    """The reason that the scaler gave then."""


class Stage:
    """
    One play.

    Attributes:
        world, exporters: the cluster and its pages.
        events: every count that was written so far.
        objects: the two ScaledObjects, and what is configured beside them.
    """

    def __init__(self, play: Play, *, clock: Callable[[], float]) -> None:
        self.play = play
        self.objects = scene.objects(play.speed, play.forecast)
        cluster = Cluster(
            faster(scene.cluster(play.seed), play.speed),
            Outcomes(faster_slo(scene.SLO, play.speed)),
        )
        self.gpus = Gpus(cluster, GpuModel())
        self.world = World(cluster, self.gpus, clock=clock)
        self.inference = LabObject(
            namespace=scene.NAMESPACE,
            name=scene.FLEET,
            metadata=self.objects.inference_metadata,
            config=self.objects.inference,
            target=FleetTarget(self.world, scene.FLEET),
        )
        self.training = LabObject(
            namespace=scene.NAMESPACE,
            name=scene.JOB,
            metadata=self.objects.training_metadata,
            config=self.objects.training,
            target=JobTarget(self.world, scene.JOB),
        )
        self.exporters = Exporters(
            cluster,
            self.gpus,
            hpas=lambda: (self.inference.bounds, self.training.bounds),
            started_s=lambda: self.world.started_s,
        )
        self.events: list[Event] = []
        self.keda: KedaStandIn | None = None
        self._answers: Callable[[], Sequence[Observation]] = tuple
        self._reclaims = Distribution()
        self._stopped = asyncio.Event()

    @property
    def cluster(self) -> Cluster:
        """The simulated cluster, N times as fast."""
        return self.world.cluster

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Begin with what ran yesterday, and serve the pages; return their address."""
        self.cluster.start_ready(scene.FLEET, self.play.replicas)
        self.cluster.feed(scene.FLEET, faster_traffic(self.play.arrivals(), self.play.speed))
        return await self.exporters.start(host, port)

    async def close(self) -> None:
        """Stop serving the pages."""
        await self.exporters.stop()

    async def run(
        self, address: str | None, answers: Callable[[], Sequence[Observation]] = tuple
    ) -> None:
        """
        Keep pace until the end, or until :meth:`stop`.

        KEDA, the HPA and the controller ask the scaler at ``address``; None: nobody scales.
        """
        self._answers = answers
        self.world.begin()
        if address is not None:
            await self._run_with(address)
            return
        await self._first_done(self.world.run(self._length_s), self._stopped.wait())

    async def _run_with(self, address: str) -> None:
        speed = self.play.speed
        pace = Pace(sync_period_s=15 / speed, redial_first_s=2 / speed, redial_longest_s=60 / speed)
        keda = KedaStandIn(
            address, (self.inference, self.training), pace=pace, on_scale=self._noted
        )
        reclaimer = Reclaimer(address, self.training, on_scale=self._noted)
        self.keda = keda
        try:
            await self._first_done(
                self.world.run(self._length_s),
                self._stopped.wait(),
                keda.run(),
                reclaimer.run(),
                self._time_reclaims(),
            )
        finally:
            await keda.close()
            await reclaimer.close()

    def stop(self) -> None:
        """End the play before its time."""
        self._stopped.set()

    @staticmethod
    async def _first_done(*work: Coroutine[Any, Any, object]) -> None:
        """Run everything until the first of it is done, and raise what that raised."""
        tasks = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _length_s(self) -> float:
        return self.play.length_s / self.play.speed

    @property
    def true_s(self) -> float:
        """True seconds since the start."""
        return self.cluster.now_s * self.play.speed

    def score(self) -> Score:
        """Return the play so far, in true durations."""
        score = dataclasses.replace(self.cluster.score(), reclaim_s=Latency.of(self._reclaims))
        return in_true_time(score, self.play.speed)

    def answer(self, one: LabObject) -> Observation | None:
        """Return what the scaler last answered for an object; None: nothing yet."""
        return next((said for said in self._answers() if said.scaled_object == one.name), None)

    def _noted(self, one: LabObject, before: int, after: int, who: str) -> None:
        answer = self.answer(one)
        self.events.append(
            Event(
                at_s=self.true_s,
                name=one.name,
                before=before,
                after=after,
                who=who,
                reason=answer.reason if answer else "",
            )
        )

    async def _time_reclaims(self) -> None:
        """Measure from the sample that ended lending until the last borrowed GPU is free."""
        lent, since_s = False, None
        job = self.cluster.jobs[scene.JOB]
        while True:
            answer = self.answer(self.training)
            decision = answer.decision if answer else None
            if decision is not None and not decision.holds:
                if lent and not decision.active and job.held_units:
                    since_s = decision.at_s
                lent = decision.active
            if since_s is not None and not job.held_units:
                self._reclaims.add(self.world.started_s + self.cluster.now_s - since_s)
                since_s = None
            await asyncio.sleep(_LOOK_S)
