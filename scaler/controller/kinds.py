"""
Which kinds of Job can borrow, and where each keeps what the controller sets.

Only the path to ``suspend`` and to the count of workers differs; everything else a suspend means
(pods are deleted, nothing counts against backoffLimit) is the same for all of them. Sources: the
API references of Kubernetes (batch/v1), JobSet, Kubeflow Trainer v2 and v1, and KubeRay.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One kind of Job."""

    group: str
    """API group; empty for the core."""
    kind: str
    suspend: tuple[str, ...]
    """Path to the boolean that suspends it."""
    workers: tuple[str, ...] | None
    """Path to the count of workers; None: its size is fixed."""
    pod_label: str
    """Label that its pods carry with its name."""


KINDS: tuple[JobKind, ...] = (
    JobKind(
        group="batch",
        kind="Job",
        suspend=("spec", "suspend"),
        workers=("spec", "parallelism"),
        pod_label="batch.kubernetes.io/job-name",
    ),
    JobKind(
        group="jobset.x-k8s.io",
        kind="JobSet",
        suspend=("spec", "suspend"),
        workers=None,
        pod_label="jobset.sigs.k8s.io/jobset-name",
    ),
    JobKind(
        group="trainer.kubeflow.org",
        kind="TrainJob",
        suspend=("spec", "suspend"),
        workers=None,
        # A TrainJob becomes a JobSet of its own name.
        pod_label="jobset.sigs.k8s.io/jobset-name",
    ),
    JobKind(
        group="kubeflow.org",
        kind="PyTorchJob",
        suspend=("spec", "runPolicy", "suspend"),
        workers=None,
        pod_label="training.kubeflow.org/job-name",
    ),
    JobKind(
        group="kubeflow.org",
        kind="MPIJob",
        suspend=("spec", "runPolicy", "suspend"),
        workers=None,
        pod_label="training.kubeflow.org/job-name",
    ),
    JobKind(
        group="ray.io",
        kind="RayJob",
        suspend=("spec", "suspend"),
        workers=None,
        # KubeRay labels the pods of the cluster that it makes for the job.
        pod_label="ray.io/originated-from-cr-name",
    ),
)


def kind_of(api_version: str, kind: str) -> JobKind | None:
    """Return how to handle a kind, whatever its version; None: it cannot borrow."""
    group = api_version.rpartition("/")[0]
    return next((one for one in KINDS if (one.group, one.kind) == (group, kind)), None)
