"""What a reconciliation wants done: actions, events and a status, as values."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suspend:
    """Suspend the Job: its pods get SIGTERM and their grace."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Let the Job run, at this size where it takes one."""

    workers: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResizeTo:
    """Give the running Job another size."""

    workers: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """Set ``.spec.active`` of the Job's Kueue Workload; admission stays Kueue's."""

    active: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ZeroReplicas:
    """Set ``spec.replicas`` to 0 through ``/scale``, with the resourceVersion that was read."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestCheckpoint:
    """Tell the trainer to write a checkpoint: by annotation, or by HTTP too."""

    by: str
    pods: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeletePods:
    """Delete pods that outlived their grace, with grace 0."""

    pods: tuple[str, ...]


JobAction = Suspend | Resume | ResizeTo | Activate | RequestCheckpoint | DeletePods
"""What is done to the Job behind a ReclaimableJob."""

Action = ZeroReplicas | JobAction


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A Kubernetes Event on the object that it is about."""

    reason: str
    message: str
    warning: bool = False
    identity: str = ""
    """What it is of, where it happens once: told again under it, it is still one Event."""
    at_s: float | None = None
    """When it happened, Unix seconds; None: as it is told."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do about one ReclaimableJob, in order, and what its status says then."""

    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    owed: tuple[Event, ...] = ()
    """What must have been told by now, by this controller or one before it."""
    status: Mapping[str, Any]
    """The whole status, without conditions' transition times."""
    again_s: float | None = None
    """Look again after so many seconds, even if nothing changes; None: no need."""
    reclaim_s: float | None = None
    """Seconds from reclaim to freed GPUs, when they were freed just now."""
