"""
A training job whose workers borrow units: they make progress, write checkpoints, are told to go.

A worker's work counts as kept once a checkpoint has it. Told to go, it may write one more
checkpoint if its grace is long enough for that; else, or if it is killed without grace, what it
did since the last one is lost.

What must stay true: kept + lost + not yet in a checkpoint = the time that workers computed.
"""

import dataclasses
import enum

from .histogram import Distribution


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One training job whose workers come and go."""

    name: str
    namespace: str = "default"
    pool: str = "gpu"
    units_per_worker: int = 1
    startup_s: float = 20.0
    """From being scheduled to computing: pull, read the checkpoint, join."""
    checkpoint_every_s: float = 600.0
    checkpoint_s: float = 10.0
    """How long writing a checkpoint takes when told to go."""
    grace_s: float = 30.0
    """How long a worker may take to go; 0: killed at once."""


class WorkerPhase(enum.StrEnum):
    """Where a worker stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    LEAVING = "Leaving"
    GONE = "Gone"


class Worker:
    """One pod of a training job."""

    __slots__ = ("created_s", "job", "name", "node", "phase", "scheduled_s", "stopped_s")

    def __init__(self, *, name: str, job: TrainingConfig, created_s: float) -> None:
        self.name = name
        self.job = job
        self.created_s = created_s
        self.scheduled_s: float | None = None
        self.stopped_s: float | None = None
        """When it was told to go."""
        self.node: str | None = None
        self.phase = WorkerPhase.PENDING

    def computed_s(self, now_s: float) -> float:
        """Return the seconds it has computed for, until now or until it was told to go."""
        if self.scheduled_s is None:
            return 0.0
        end_s = now_s if self.stopped_s is None else self.stopped_s
        return max(0.0, end_s - self.scheduled_s - self.job.startup_s)

    def unsaved_s(self, now_s: float) -> float:
        """Return the seconds of work that no checkpoint has."""
        return self.computed_s(now_s) % self.job.checkpoint_every_s


@dataclasses.dataclass(slots=True, kw_only=True)
class TrainingJob:
    """What is wanted, what exists, and what has been done so far (unit-seconds)."""

    config: TrainingConfig
    spec_workers: int = 0
    workers: dict[str, Worker] = dataclasses.field(default_factory=dict)
    created_total: int = 0
    scale_events: int = 0
    kept_unit_s: float = 0.0
    lost_unit_s: float = 0.0
    reclaim_s: Distribution = dataclasses.field(default_factory=Distribution)
    """For each reclaim to zero: from the wish until the last unit was free."""
    reclaim_from_s: float | None = None
    """When the reclaim under way began."""

    @property
    def running(self) -> int:
        """Workers that hold units and were not told to go."""
        return sum(1 for w in self.workers.values() if w.phase is WorkerPhase.RUNNING)

    @property
    def held_units(self) -> int:
        """Units that its pods hold, leaving ones included."""
        holding = sum(1 for worker in self.workers.values() if worker.node is not None)
        return holding * self.config.units_per_worker

    def living(self, now_s: float) -> list[Worker]:
        """Workers that were not told to go, first those whose end would lose least."""
        alive = [
            worker
            for worker in self.workers.values()
            if worker.phase in (WorkerPhase.PENDING, WorkerPhase.RUNNING)
        ]
        return sorted(
            alive,
            key=lambda w: (
                w.phase is WorkerPhase.RUNNING,
                w.unsaved_s(now_s),
                -w.created_s,
                w.name,
            ),
        )

    def stop_s(self, worker: Worker, now_s: float) -> float:
        """Return how long a worker takes to go: its checkpoint, or its grace if that is less."""
        if not worker.unsaved_s(now_s):
            return 0.0
        return min(self.config.checkpoint_s, self.config.grace_s)

    def settle(self, worker: Worker, now_s: float) -> None:
        """Count a worker that is gone: its work is kept, or lost since the last checkpoint."""
        computed_s = worker.computed_s(now_s)
        saved = worker.stopped_s is not None and self.config.checkpoint_s <= self.config.grace_s
        lost_s = 0.0 if saved else worker.unsaved_s(now_s)
        self.kept_unit_s += (computed_s - lost_s) * self.config.units_per_worker
        self.lost_unit_s += lost_s * self.config.units_per_worker

    def work_unit_s(self, now_s: float) -> float:
        """Return the work that is kept or still under way, unit-seconds."""
        under_way = sum(worker.computed_s(now_s) for worker in self.workers.values())
        return self.kept_unit_s + under_way * self.config.units_per_worker
