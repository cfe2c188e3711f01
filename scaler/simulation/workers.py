"""
Training workers as the cluster runs them: they are placed, told to go, killed and replaced.

What must stay true: a worker holds its units from being placed until it is gone, and every reclaim
to zero is timed until the last of them is free.
"""

from collections.abc import Callable, Mapping

from .events import Events
from .names import pod_name
from .nodes import Nodes
from .training import TrainingJob, Worker, WorkerPhase


class Workers:
    """Runs the workers of some jobs; ``placed`` is called when units may have become free."""

    def __init__(
        self,
        jobs: Mapping[str, TrainingJob],
        nodes: Nodes,
        events: Events,
        *,
        placed: Callable[[], None],
    ) -> None:
        self._jobs = jobs
        self._nodes = nodes
        self._events = events
        self._placed = placed

    def scale(self, job_name: str, workers: int) -> None:
        """Bring a job to a count: new ones are pending, those too many are told to go."""
        job, now_s = self._jobs[job_name], self._events.now_s
        if workers == job.spec_workers:
            return
        job.scale_events += 1
        if workers == 0 and job.held_units:
            job.reclaim_from_s = now_s
        job.spec_workers = workers
        living = job.living(now_s)
        for worker in living[: max(0, len(living) - workers)]:
            self._stop(job, worker)
        self._fill(job)

    def kill(self, job_name: str, worker_name: str) -> None:
        """End a worker without any grace."""
        job = self._jobs[job_name]
        self._gone(job, job.workers[worker_name])

    def place(self) -> None:
        """Give free units to pending workers."""
        for job in self._jobs.values():
            for worker in job.workers.values():
                if worker.phase is WorkerPhase.PENDING:
                    config = job.config
                    worker.node = self._nodes.place(config.units_per_worker, config.pool)
                    if worker.node is not None:
                        worker.scheduled_s = self._events.now_s
                        worker.phase = WorkerPhase.RUNNING

    def evict(self, units: int, pool: str) -> None:
        """Tell so many workers to go that ``units`` of a pool are free or on their way to be."""
        leaving = sum(
            worker.job.units_per_worker
            for job in self._jobs.values()
            for worker in job.workers.values()
            if worker.phase is WorkerPhase.LEAVING and worker.job.pool == pool
        )
        for job in self._jobs.values():
            for worker in job.living(self._events.now_s):
                if leaving >= units:
                    return
                if worker.phase is WorkerPhase.RUNNING and job.config.pool == pool:
                    self._stop(job, worker)
                    leaving += job.config.units_per_worker

    def _stop(self, job: TrainingJob, worker: Worker) -> None:
        if worker.node is None:
            self._gone(job, worker)
            return
        now_s = self._events.now_s
        leave_s = job.stop_s(worker, now_s)
        worker.stopped_s = now_s
        worker.phase = WorkerPhase.LEAVING
        self._events.at(now_s + leave_s, lambda _: self._gone(job, worker))

    def _gone(self, job: TrainingJob, worker: Worker) -> None:
        if worker.phase is WorkerPhase.GONE:
            return
        now_s = self._events.now_s
        job.settle(worker, now_s)
        worker.phase = WorkerPhase.GONE
        del job.workers[worker.name]
        if worker.node is not None:
            self._nodes.release(worker.node, job.config.units_per_worker)
        if job.reclaim_from_s is not None and not job.held_units:
            job.reclaim_s.add(now_s - job.reclaim_from_s)
            job.reclaim_from_s = None
        # One that was killed or evicted is replaced, as a Job's controller does.
        self._events.soon(lambda _: self._fill(job))

    def _fill(self, job: TrainingJob) -> None:
        """Create the workers that are missing, and place whoever is pending."""
        now_s = self._events.now_s
        for _ in range(job.spec_workers - len(job.living(now_s))):
            job.created_total += 1
            name = pod_name(job.config.name, job.created_total)
            job.workers[name] = Worker(name=name, job=job.config, created_s=now_s)
        self._placed()
