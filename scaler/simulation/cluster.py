"""
A cluster in simulated time: nodes, fleets of replicas behind gateways, and training jobs.

Time moves only through :meth:`Cluster.advance`, from event to event: a request arrives, an
engine's stretch ends, a pod becomes ready or is gone. Whoever scales (the HPA stand-in, a policy
under test) sets counts between two advances.

What must stay true: the same seed and the same calls give the same run; units in use never
exceed the nodes'; requests in = finished + failed + open.
"""

import dataclasses
import heapq
import math
import random
from collections.abc import Iterable, Iterator

from .events import Events
from .fleet import Fleet, FleetConfig, Gateway, Phase, Replica
from .names import pod_name
from .nodes import NodeConfig, Nodes
from .request import Request
from .score import Latency, Outcomes, Score
from .traffic import Arrival
from .training import TrainingConfig, TrainingJob
from .workers import Workers


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """What there is at the start."""

    nodes: tuple[NodeConfig, ...]
    fleets: tuple[FleetConfig, ...]
    jobs: tuple[TrainingConfig, ...] = ()
    preempt_training: bool = False
    """Whether a pending replica evicts workers, as a PriorityClass does. Without it a replica
    waits until whoever lends takes the units back."""
    seed: int = 0


class Cluster:
    """
    The simulated world.

    Attributes:
        fleets, jobs: by name; gateways by service.
        queue_peak: most requests that waited at once when anybody looked (:meth:`waiting`).
    """

    def __init__(self, config: ClusterConfig, outcomes: Outcomes) -> None:
        self.config = config
        self.outcomes = outcomes
        self.nodes = Nodes(config.nodes)
        self.gateways = {fleet.service: Gateway(fleet.service) for fleet in config.fleets}
        self.fleets = {
            fleet.name: Fleet(config=fleet, gateway=self.gateways[fleet.service])
            for fleet in config.fleets
        }
        self.jobs = {job.name: TrainingJob(config=job) for job in config.jobs}
        self._events = Events()
        self._workers = Workers(self.jobs, self.nodes, self._events, placed=self._schedule)
        self.queue_peak = 0
        self._longest = {
            service: min(f.engine.max_model_len for f in config.fleets if f.service == service)
            for service in self.gateways
        }
        self._rng = random.Random(config.seed)
        self._traffic: dict[str, Iterator[Arrival]] = {}
        self._next: list[tuple[float, str, Arrival]] = []

    # What drives it

    def feed(self, service: str, arrivals: Iterable[Arrival]) -> None:
        """Let requests, in order of time, arrive at a service's gateway from now on."""
        self._traffic[service] = iter(arrivals)
        first = next(self._traffic[service], None)
        if first is not None:
            heapq.heappush(self._next, (first.at_s, service, first))

    def advance(self, until_s: float) -> None:
        """Let the world run up to and including an instant."""
        events, arrivals = self._events, self._next
        while arrivals and (arrival_s := arrivals[0][0]) <= until_s:
            events.run(arrival_s)
            events.now_s = arrival_s
            self._arrive(*self._pull())
        events.run(until_s)
        if until_s < math.inf:
            events.now_s = until_s

    def _pull(self) -> tuple[str, Arrival]:
        """Take the next arrival, and let the one after it of that service be known."""
        _, service, arrival = self._next[0]
        following = next(self._traffic[service], None)
        if following is None:
            heapq.heappop(self._next)
        else:
            heapq.heapreplace(self._next, (following.at_s, service, following))
        return service, arrival

    @property
    def now_s(self) -> float:
        """The instant that the world stands at."""
        return self._events.now_s

    @property
    def idle(self) -> bool:
        """Whether all traffic has arrived and every request has its outcome."""
        return not self._next and not any(gate.in_flight for gate in self.gateways.values())

    # Requests

    def _arrive(self, service: str, arrival: Arrival) -> None:
        gateway = self.gateways[service]
        gateway.arrived_total += 1
        longest = self._longest[service]
        request = Request(
            arrived_s=arrival.at_s,
            prompt_tokens=arrival.prompt_tokens,
            output_tokens=arrival.output_tokens,
        )
        if arrival.prompt_tokens >= longest:
            self.outcomes.fail(request)  # the engine answers 400: longer than max_model_len
            return
        if arrival.prompt_tokens + arrival.output_tokens > longest:
            request.output_tokens = longest - arrival.prompt_tokens
        replica = gateway.pick()
        if replica is None:
            gateway.held.append(request)
        else:
            self._hand_over(replica, request)

    def _hand_over(self, replica: Replica, request: Request) -> None:
        engine = replica.engine
        due_s = engine.due_s
        engine.add(request, self.now_s)
        if engine.due_s != due_s:
            self._watch(replica)

    def _watch(self, replica: Replica) -> None:
        """Come back to an engine when its stretch ends."""
        due_s = replica.engine.due_s
        if due_s < math.inf:
            self._events.at(due_s, replica.turn)

    def _turn(self, replica: Replica, at_s: float) -> None:
        """End the stretch of an engine, unless it was cut short or aborted since."""
        engine = replica.engine
        if engine.due_s != at_s:
            return
        engine.turn()
        due_s = engine.due_s
        if due_s < math.inf:
            self._events.at(due_s, replica.turn)
        elif replica.phase is Phase.DRAINING:
            self._gone(replica)

    def _finished(self, replica: Replica, request: Request) -> None:
        self.gateways[replica.fleet.service].done(replica)
        self.outcomes.finish(request)

    def waiting(self) -> int:
        """Return how many requests wait, in engines and at gateways, and note the highest."""
        waiting = sum(len(gate.held) for gate in self.gateways.values())
        waiting += sum(fleet.waiting for fleet in self.fleets.values())
        self.queue_peak = max(self.queue_peak, waiting)
        return waiting

    # Replicas

    def set_replicas(self, fleet_name: str, replicas: int) -> None:
        """Write ``.spec.replicas`` of a fleet."""
        fleet = self.fleets[fleet_name]
        if replicas == fleet.spec_replicas:
            return
        fleet.spec_replicas = replicas
        fleet.scale_events += 1
        living = fleet.living
        for replica in living[: max(0, len(living) - replicas)]:
            self._delete(replica)
        for _ in range(replicas - len(living)):
            self._create(fleet)
        fleet.most_replicas = max(fleet.most_replicas, replicas)
        self._schedule()

    def start_ready(self, fleet_name: str, replicas: int) -> None:
        """Begin with replicas that already serve, as a service that ran yesterday does."""
        self.set_replicas(fleet_name, replicas)
        for replica in self.fleets[fleet_name].replicas.values():
            if replica.phase is Phase.LOADING:
                self._ready(replica, self.now_s)

    def _create(self, fleet: Fleet) -> None:
        fleet.created_total += 1
        replica = Replica(
            name=pod_name(fleet.config.name, fleet.created_total),
            fleet=fleet.config,
            created_s=self.now_s,
            finished=self._finished,
            turn=self._turn,
        )
        fleet.replicas[replica.name] = replica

    def _schedule(self) -> None:
        """Give units to whoever is pending: replicas first, then workers."""
        for fleet in self.fleets.values():
            for replica in list(fleet.replicas.values()):
                if replica.phase is Phase.PENDING:
                    self._place(replica)
        self._workers.place()

    def _place(self, replica: Replica) -> None:
        config = replica.fleet
        replica.node = self.nodes.place(config.units_per_replica, config.pool)
        if replica.node is None:
            if self.config.preempt_training:
                pending = sum(
                    fleet.count(Phase.PENDING) * fleet.config.units_per_replica
                    for fleet in self.fleets.values()
                    if fleet.config.pool == config.pool
                )
                self._workers.evict(pending, config.pool)
            return
        replica.phase = Phase.LOADING
        replica.scheduled_s = self.now_s
        cold_start_s = config.cold_start_s
        if config.cold_start_sigma:
            cold_start_s *= self._rng.lognormvariate(0, config.cold_start_sigma)
        self._events.at(self.now_s + cold_start_s, lambda at_s: self._ready(replica, at_s))

    def _ready(self, replica: Replica, at_s: float) -> None:
        if replica.phase is not Phase.LOADING:
            return
        replica.phase = Phase.READY
        replica.ready_s = at_s
        fleet = self.fleets[replica.fleet.name]
        fleet.startup_s.append(at_s - replica.created_s)
        gateway = fleet.gateway
        gateway.join(replica)
        held = gateway.held
        while held and (chosen := gateway.pick()) is not None:
            self._hand_over(chosen, held.popleft())

    def _delete(self, replica: Replica) -> None:
        replica.deleted_s = self.now_s
        grace_s = replica.fleet.drain_grace_s
        draining = replica.phase is Phase.READY and replica.engine.open_requests > 0
        self.fleets[replica.fleet.name].gateway.leave(replica)
        if draining and grace_s > 0:
            replica.phase = Phase.DRAINING
            self._events.at(self.now_s + grace_s, lambda _: self._gone(replica))
        else:
            self._gone(replica)

    def _gone(self, replica: Replica) -> None:
        if replica.phase is Phase.GONE:
            return
        replica.phase = Phase.GONE
        fleet = self.fleets[replica.fleet.name]
        for request in replica.engine.abort():
            fleet.gateway.done(replica)
            self.outcomes.fail(request)
        if replica.scheduled_s is not None and replica.node is not None:
            units = fleet.config.units_per_replica
            fleet.unit_seconds += (self.now_s - replica.scheduled_s) * units
            self.nodes.release(replica.node, units)
        del fleet.replicas[replica.name]
        self._events.soon(lambda _: self._schedule())

    # Workers

    def set_workers(self, job_name: str, workers: int) -> None:
        """Write the count of a training job; those told to go have their grace."""
        self._workers.scale(job_name, workers)

    def kill_worker(self, job_name: str, worker_name: str) -> None:
        """Stop a worker without any grace, as a node failure does; the job starts another."""
        self._workers.kill(job_name, worker_name)

    # What it came to

    def score(self) -> Score:
        """Return the run so far in figures."""
        outcomes = self.outcomes
        fleets = self.fleets.values()
        jobs = self.jobs.values()
        reclaims = next((job.reclaim_s for job in jobs if job.reclaim_s.count), None)
        nothing = Latency(p50=None, p95=None, p99=None)
        return Score(
            requests=sum(gate.arrived_total for gate in self.gateways.values()),
            gpu_hours=sum(fleet.held_unit_seconds(self.now_s) for fleet in fleets) / 3600,
            slo_attainment=outcomes.slo_attainment,
            ttft_s=Latency.of(outcomes.ttft_s),
            itl_s=Latency.of(outcomes.itl_s),
            queue_peak=self.queue_peak,
            scale_events=sum(fleet.scale_events for fleet in fleets),
            max_replicas=max((fleet.most_replicas for fleet in fleets), default=0),
            preempted_requests=outcomes.preempted,
            failed_requests=outcomes.failed,
            training_gpu_hours=sum(job.work_unit_s(self.now_s) for job in jobs) / 3600,
            training_lost_gpu_hours=sum(job.lost_unit_s for job in jobs) / 3600,
            reclaim_s=nothing if reclaims is None else Latency.of(reclaims),
        )
