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
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator

from .engine import Request
from .fleet import Fleet, FleetConfig, Gateway, Phase, Replica
from .nodes import NodeConfig, Nodes
from .score import Latency, Outcomes, Score
from .traffic import Arrival
from .training import TrainingConfig, TrainingJob, Worker, WorkerPhase

_END = Arrival(math.inf, 1, 1)


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
        now_s: the instant that the world stands at.
        fleets, jobs: by name; gateways by service.
        queue_peak: most requests that waited at once when anybody looked (:meth:`waiting`).
    """

    def __init__(self, config: ClusterConfig, outcomes: Outcomes) -> None:
        self.config = config
        self.outcomes = outcomes
        self.now_s = 0.0
        self.nodes = Nodes(config.nodes)
        self.gateways = {fleet.service: Gateway(fleet.service) for fleet in config.fleets}
        self.fleets = {
            fleet.name: Fleet(config=fleet, gateway=self.gateways[fleet.service])
            for fleet in config.fleets
        }
        self.jobs = {job.name: TrainingJob(config=job) for job in config.jobs}
        self.queue_peak = 0
        self._longest = {
            service: min(f.engine.max_model_len for f in config.fleets if f.service == service)
            for service in self.gateways
        }
        self._rng = random.Random(config.seed)
        self._serial = itertools.count()
        # What is due when: engines' stretches (they check that they are still due) and calls.
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._traffic: dict[str, Iterator[Arrival]] = {}
        self._next: list[tuple[float, str, Arrival]] = []

    # What drives it

    def feed(self, service: str, arrivals: Iterable[Arrival]) -> None:
        """Let requests, in order of time, arrive at a service's gateway from now on."""
        self._traffic[service] = iter(arrivals)
        self._pull(service)

    def _pull(self, service: str) -> None:
        arrival = next(self._traffic[service], None)
        if arrival is not None:
            heapq.heappush(self._next, (arrival.at_s, service, arrival))

    def advance(self, until_s: float) -> None:
        """Let the world run up to and including an instant."""
        events = self._events
        arrivals = self._next
        while True:
            event_s = events[0][0] if events else math.inf
            arrival_s = arrivals[0][0] if arrivals else math.inf
            if event_s <= arrival_s:
                if event_s > until_s or event_s == math.inf:
                    break
                self.now_s, _, happen = heapq.heappop(events)
                happen(event_s)
            elif arrival_s <= until_s:
                self.now_s = arrival_s
                _, service, arrival = arrivals[0]
                following = next(self._traffic[service], None)
                if following is None:
                    heapq.heappop(arrivals)
                else:
                    heapq.heapreplace(arrivals, (following.at_s, service, following))
                self._arrive(service, arrival)
            else:
                break
        if until_s < math.inf:
            self.now_s = until_s

    @property
    def idle(self) -> bool:
        """Whether all traffic has arrived and every request has its outcome."""
        return not self._next and not any(gate.in_flight for gate in self.gateways.values())

    def _at(self, at_s: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._serial), happen))

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
            heapq.heappush(self._events, (due_s, next(self._serial), replica.turn))

    def _turn(self, replica: Replica, at_s: float) -> None:
        """End the stretch of an engine, unless it was cut short or aborted since."""
        engine = replica.engine
        if engine.due_s != at_s:
            return
        engine.turn()
        if replica.phase is Phase.DRAINING and not engine.open_requests:
            self._gone(replica)
        else:
            self._watch(replica)

    def _finished(self, replica: Replica, request: Request) -> None:
        self.fleets[replica.fleet.name].gateway.done(replica)
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
            name=_pod_name(fleet.config.name, fleet.created_total),
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
        for job in self.jobs.values():
            for worker in job.workers.values():
                if worker.phase is WorkerPhase.PENDING:
                    config = job.config
                    worker.node = self.nodes.place(config.units_per_worker, config.pool)
                    if worker.node is not None:
                        worker.scheduled_s = self.now_s
                        worker.phase = WorkerPhase.RUNNING

    def _place(self, replica: Replica) -> None:
        config = replica.fleet
        replica.node = self.nodes.place(config.units_per_replica, config.pool)
        if replica.node is None:
            if self.config.preempt_training:
                self._evict(config.units_per_replica, config.pool)
            return
        replica.phase = Phase.LOADING
        replica.scheduled_s = self.now_s
        cold_start_s = config.cold_start_s
        if config.cold_start_sigma:
            cold_start_s *= self._rng.lognormvariate(0, config.cold_start_sigma)
        self._at(self.now_s + cold_start_s, lambda at_s: self._ready(replica, at_s))

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
            self._at(self.now_s + grace_s, lambda _: self._gone(replica))
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
        self._at(self.now_s, lambda _: self._schedule())

    # Workers

    def set_workers(self, job_name: str, workers: int) -> None:
        """Write the count of a training job; those told to go have their grace."""
        job = self.jobs[job_name]
        if workers == job.spec_workers:
            return
        job.scale_events += 1
        if workers == 0 and job.held_units:
            job.reclaim_from_s = self.now_s
        job.spec_workers = workers
        living = job.living(self.now_s)
        for worker in living[: max(0, len(living) - workers)]:
            self._stop(job, worker)
        for _ in range(workers - len(living)):
            job.created_total += 1
            name = _pod_name(job.config.name, job.created_total)
            job.workers[name] = Worker(name=name, job=job.config, created_s=self.now_s)
        self._schedule()

    def kill_worker(self, job_name: str, worker_name: str) -> None:
        """Stop a worker without any grace, as a node failure does; the job starts another."""
        job = self.jobs[job_name]
        self._worker_gone(job, job.workers[worker_name])

    def _evict(self, units: int, pool: str) -> None:
        """Tell as many workers to go as free the units that are not already on their way out."""
        leaving = sum(
            worker.job.units_per_worker
            for job in self.jobs.values()
            for worker in job.workers.values()
            if worker.phase is WorkerPhase.LEAVING and worker.job.pool == pool
        )
        pending = sum(
            fleet.count(Phase.PENDING) * fleet.config.units_per_replica
            for fleet in self.fleets.values()
            if fleet.config.pool == pool
        )
        for job in self.jobs.values():
            for worker in job.living(self.now_s):
                if leaving >= max(units, pending):
                    return
                if worker.phase is WorkerPhase.RUNNING and job.config.pool == pool:
                    self._stop(job, worker)
                    leaving += job.config.units_per_worker

    def _stop(self, job: TrainingJob, worker: Worker) -> None:
        if worker.node is None:
            self._worker_gone(job, worker)
            return
        leave_s = job.stop_s(worker, self.now_s)
        worker.stopped_s = self.now_s
        worker.phase = WorkerPhase.LEAVING
        self._at(self.now_s + leave_s, lambda _: self._worker_gone(job, worker))

    def _worker_gone(self, job: TrainingJob, worker: Worker) -> None:
        if worker.phase is WorkerPhase.GONE:
            return
        job.settle(worker, self.now_s)
        worker.phase = WorkerPhase.GONE
        del job.workers[worker.name]
        if worker.node is not None:
            self.nodes.release(worker.node, job.config.units_per_worker)
        if job.reclaim_from_s is not None and not job.held_units:
            job.reclaim_s.add(self.now_s - job.reclaim_from_s)
            job.reclaim_from_s = None
        self._at(self.now_s, lambda _: self._replace(job))

    def _replace(self, job: TrainingJob) -> None:
        """Bring a job that lost workers to a failure or an eviction back to its count."""
        for _ in range(job.spec_workers - len(job.living(self.now_s))):
            job.created_total += 1
            name = _pod_name(job.config.name, job.created_total)
            job.workers[name] = Worker(name=name, job=job.config, created_s=self.now_s)
        self._schedule()

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


_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def _pod_name(owner: str, number: int) -> str:
    """Return a pod's name in the form of a Deployment's: owner, ReplicaSet hash, five letters."""
    rng = random.Random(f"{owner}/{number}")
    return f"{owner}-6f9c8d7b5-{''.join(rng.choices(_NAME_LETTERS, k=5))}"
