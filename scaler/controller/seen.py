"""
What the controller sees of one ReclaimableJob: the object, its Job, the Job's pods, the last word.

Parsed from the API's JSON once, so that everything that decides works on values of its own.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from scaler.readings.kubernetes.manifest import at_path

from .kinds import JobKind, kind_of

Json = Mapping[str, Any]

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
CHECKPOINT_REQUESTED = "kvtide.io/checkpoint-requested"
CHECKPOINT_DONE = "kvtide.io/checkpoint-done"
MOST_RECLAIMS = 5
"""Reclaims whose seconds are kept: one of a Job that had hardly begun is not the last word."""
ANSWERED = "Answered"
"""The condition that says whether the scaler has an answer."""
DEFAULT_TERMINATION_GRACE_S = 30.0
"""Kubernetes' default of terminationGracePeriodSeconds."""


class Resize(enum.StrEnum):
    """Whether and how a running Job takes another number of workers."""

    NEVER = "Never"
    RESTART = "Restart"
    IN_PLACE = "InPlace"


class Phase(enum.StrEnum):
    """What a ReclaimableJob is doing."""

    SUSPENDED = "Suspended"
    RESUMING = "Resuming"
    RUNNING = "Running"
    RECLAIMING = "Reclaiming"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim:
    """The last time its GPUs were taken back."""

    started_s: float
    """Unix seconds; no two of an object begin at once, so this says which one it is."""
    reason: str
    workers: int
    """Workers that ran when it began."""
    generation: int
    """Of the ReclaimableJob when its replicas were last seen at 0, or when the reclaim began."""
    freed_s: float | None = None
    """When the last pod was gone; None: not yet."""

    @property
    def is_under_way(self) -> bool:
        """Whether something is still held."""
        return self.freed_s is None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Borrower:
    """A ReclaimableJob's spec, and of its status what must outlive a restart."""

    namespace: str
    name: str
    generation: int
    job_api_version: str
    job_kind: str
    job_name: str
    replicas: int
    min_replicas: int
    max_replicas: int
    resize: Resize
    grace_s: float
    signal: str | None
    last_reclaim: Reclaim | None = None
    reclaims_took_s: tuple[float, ...] = ()
    """Seconds of the last reclaims that are over, oldest first; at most :data:`MOST_RECLAIMS`."""
    resized_s: float | None = None
    """When the Job was last given another size, Unix seconds."""
    answered: bool | None = None
    """Whether the scaler had an answer when the status was written; None: it says nothing of it."""

    @property
    def kind(self) -> JobKind | None:
        """How to handle its Job; None: a kind that cannot borrow."""
        return kind_of(self.job_api_version, self.job_kind)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod of the Job that still holds its GPUs."""

    name: str
    ready: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The Job behind it."""

    suspended: bool
    workers: int | None
    """Its size; None: of a kind with a fixed size."""
    finished: bool
    queued: bool
    """Kueue admits it: suspend is Kueue's."""
    workload_active: bool | None
    """``.spec.active`` of its Kueue Workload; None: there is none."""
    termination_grace_s: float
    checkpoint_requested: str | None = None
    checkpoint_done: str | None = None
    shuts_down: bool = True
    """RayJob: shutdownAfterJobFinishes; without it a suspend is refused."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """The scaler's last word on how many workers may run."""

    workers: int | None
    """None: it has no answer now; keep what is."""
    reason: str
    heard_s: float = dataclasses.field(compare=False)
    """When the stream last said anything, a heartbeat included, Unix seconds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything one reconciliation rests on."""

    now_s: float
    borrower: Borrower
    job: Job | None
    """None: it does not exist."""
    pods: tuple[Pod, ...] = ()
    scaled: bool = True
    """Whether a ScaledObject drives it; without one ``spec.replicas`` is a person's."""
    word: Word | None = None
    """None: nothing was heard yet."""
    listening_since_s: float = 0.0
    """Since when the controller has asked for the word, Unix seconds."""


def parse_time(text: str | None) -> float | None:
    """Return Unix seconds of a Kubernetes timestamp."""
    return None if text is None else dt.datetime.fromisoformat(text).timestamp()


def format_time(at_s: float) -> str:
    """Return a Kubernetes timestamp with its fraction (MicroTime)."""
    moment = dt.datetime.fromtimestamp(at_s, dt.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def borrower(rjob: Json) -> Borrower:
    """Parse a ReclaimableJob."""
    spec, meta, status = rjob["spec"], rjob["metadata"], rjob.get("status") or {}
    reclaim = status.get("lastReclaim")
    return Borrower(
        namespace=meta["namespace"],
        name=meta["name"],
        generation=meta["generation"],
        job_api_version=spec["jobRef"]["apiVersion"],
        job_kind=spec["jobRef"]["kind"],
        job_name=spec["jobRef"]["name"],
        replicas=spec.get("replicas", 0),
        min_replicas=spec.get("minReplicas", 1),
        max_replicas=spec["maxReplicas"],
        resize=Resize(spec.get("resize", Resize.NEVER)),
        grace_s=float(spec.get("checkpointGracePeriodSeconds", DEFAULT_TERMINATION_GRACE_S)),
        signal=spec.get("checkpointSignal"),
        last_reclaim=None if reclaim is None else _reclaim(reclaim),
        reclaims_took_s=tuple(map(float, status.get("reclaimSeconds") or ())),
        resized_s=parse_time(status.get("lastResizeTime")),
        answered=_answered(status),
    )


def _answered(status: Json) -> bool | None:
    conditions = status.get("conditions") or ()
    told = (one["status"] == "True" for one in conditions if one["type"] == ANSWERED)
    return next(told, None)


def _reclaim(reclaim: Json) -> Reclaim:
    return Reclaim(
        started_s=parse_time(reclaim["startTime"]) or 0.0,
        reason=reclaim["reason"],
        workers=reclaim["workers"],
        generation=reclaim["generation"],
        freed_s=parse_time(reclaim.get("freedTime")),
    )


def job(manifest: Json, kind: JobKind, workload: Json | None) -> Job:
    """Parse a Job of a kind that can borrow, and its Kueue Workload where there is one."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    notes = meta.get("annotations") or {}
    return Job(
        suspended=bool(at_path(manifest, kind.suspend)),
        workers=None if kind.workers is None else at_path(manifest, kind.workers, 1),
        finished=_is_finished(status),
        queued=QUEUE_LABEL in (meta.get("labels") or {}),
        workload_active=None if workload is None else workload["spec"].get("active", True),
        termination_grace_s=float(
            at_path(
                manifest,
                ("spec", "template", "spec", "terminationGracePeriodSeconds"),
                DEFAULT_TERMINATION_GRACE_S,
            )
        ),
        checkpoint_requested=notes.get(CHECKPOINT_REQUESTED),
        checkpoint_done=notes.get(CHECKPOINT_DONE),
        shuts_down=kind.kind != "RayJob" or bool(manifest["spec"].get("shutdownAfterJobFinishes")),
    )


def _is_finished(status: Json) -> bool:
    conditions = status.get("conditions") or ()
    ended = {"Complete", "Completed", "Failed", "Succeeded"}
    return (
        any(one["type"] in ended and one["status"] == "True" for one in conditions)
        or status.get("terminalState") in {"Completed", "Failed"}
        or status.get("jobDeploymentStatus") in {"Complete", "Failed"}
    )


def pods(manifests: Sequence[Json]) -> tuple[Pod, ...]:
    """Parse the pods that hold resources: all but the finished ones, by name."""
    held = (one for one in manifests if at_path(one, ("status", "phase")) not in ENDED_PHASES)
    return tuple(
        sorted(
            (
                Pod(
                    name=one["metadata"]["name"],
                    ready=_is_ready(one),
                )
                for one in held
            ),
            key=lambda pod: pod.name,
        )
    )


ENDED_PHASES = frozenset({"Succeeded", "Failed"})
"""Pods whose containers have ended: their GPUs are free."""


def _is_ready(pod: Json) -> bool:
    conditions = at_path(pod, ("status", "conditions"), ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
