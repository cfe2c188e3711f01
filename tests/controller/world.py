"""
A cluster small enough to reason about: one ReclaimableJob, its Job and pods, on a clock by hand.

The status is kept as the API keeps it (merge patches, refused where the object has changed since it
was read), and the controller's looks are its own: what is seen is parsed from the API's JSON.
"""

import copy
import dataclasses
from typing import Any

from scaler.controller.plan import DeletePods, Resume, Suspend, ZeroReplicas
from scaler.controller.reconcile import reconcile
from scaler.controller.seen import Job, Pod, Seen, Word, borrower
from scaler.controller.status import difference

LEAST_S = 0.05
RESYNC_S = 5.0
BLIND_S = 300.0


@dataclasses.dataclass
class World:
    """What there is, and what was told of it."""

    grace_s: float
    late_s: float
    """From a pod's SIGTERM to its end, when nobody deletes it before."""
    now_s: float = 1_000_000.0
    lent: int = 0
    suspended: bool = True
    pods: int = 0
    terminated_s: float | None = None
    events: list[str] = dataclasses.field(default_factory=list)
    reclaimed_s: list[float] = dataclasses.field(default_factory=list)
    writes: int = 0
    versions: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.versions.append(
            {
                "metadata": {"namespace": "research", "name": "pretrain", "generation": 1},
                "spec": {
                    "jobRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "pretrain"},
                    "replicas": 0,
                    "maxReplicas": 3,
                    "checkpointGracePeriodSeconds": self.grace_s,
                },
            }
        )

    @property
    def manifest(self):
        return self.versions[-1]

    @property
    def last(self):
        return self.manifest.get("status", {}).get("lastReclaim", {})

    def scale(self, replicas):
        """Write spec.replicas, as KEDA does."""
        if self.manifest["spec"]["replicas"] != replicas:
            changed = copy.deepcopy(self.manifest)
            changed["spec"]["replicas"] = replicas
            changed["metadata"]["generation"] += 1
            self.versions.append(changed)

    def look(self, *, stale=False):
        """Let the controller look once, at the object or the one before it; return the pause."""
        read = self.versions[-2 if stale and len(self.versions) > 1 else -1]
        seen = Seen(
            now_s=self.now_s,
            borrower=borrower(read),
            job=self._job(),
            pods=tuple(Pod(name=f"pretrain-{k}", ready=True) for k in range(self.pods)),
            word=Word(workers=self.lent, reason="Lent", heard_s=self.now_s),
        )
        plan = reconcile(seen, BLIND_S)
        for action in plan.actions:
            self._act(action)
        if not self._write(read, plan.status):
            return LEAST_S
        self.events += [event.reason for event in plan.events]
        self.reclaimed_s += [] if plan.reclaim_s is None else [plan.reclaim_s]
        if ZeroReplicas() in plan.actions:
            self.scale(0)
        return plan.again_s or RESYNC_S

    def _job(self):
        return Job(
            suspended=self.suspended,
            workers=3,
            finished=False,
            queued=False,
            workload_active=None,
            termination_grace_s=60.0,
        )

    def _act(self, action):
        match action:
            case Suspend():
                self.suspended = True
                self.terminated_s = self.now_s if self.pods else None
            case Resume():
                assert not self.pods, "two generations of pods share the GPUs"
                self.suspended, self.pods = False, 3
            case DeletePods():
                self.pods, self.terminated_s = 0, None
            case _:
                assert action == ZeroReplicas(), action

    def _write(self, read, status):
        patch = difference(read.get("status", {}), status)
        if not patch:
            return True
        if read is not self.manifest:
            return False
        self.writes += 1
        changed = copy.deepcopy(read)
        changed["status"] = merged(changed.get("status", {}), patch)
        self.versions.append(changed)
        return True

    def pass_by(self, seconds):
        """Let time pass; pods end when theirs has come."""
        self.now_s += seconds
        if self.terminated_s is not None and self.now_s - self.terminated_s >= self.late_s:
            self.pods, self.terminated_s = 0, None


def merged(target, patch):
    """Apply a merge patch, by the pseudocode of RFC 7386."""
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result.get(key), value)
        else:
            result[key] = value
    return result
