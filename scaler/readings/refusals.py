"""Why there is no window: a crowd of pods, a pod of two ScaledObjects, silence."""

from collections.abc import Sequence

from scaler.decision.sample import Sample
from scaler.errors import ConfigurationError, NoDataError, Problem
from scaler.source import Workload

MOST_PODS = 4_000
"""Of one workload. A bucket of so many takes a fifth of a second to assemble, which others wait."""


def refuse_crowd(workload: Workload, pods: int) -> None:
    """
    Refuse a workload of too many pods.

    Raises:
        NoDataError: it has more than :data:`MOST_PODS`.
    """
    if pods > MOST_PODS:
        raise NoDataError(
            f"{workload.key}: {_target(workload)} has {pods} pods, and of one workload at most"
            f" {MOST_PODS} are read"
        )


def refuse_rival(workload: Workload, rival: tuple[str, str] | None) -> None:
    """
    Refuse a workload with a rival: another ScaledObject, and the pod that both claim.

    Raises:
        ConfigurationError: there is one.
    """
    if rival is not None:
        other, pod = rival
        raise ConfigurationError(
            Problem(
                field="workload",
                got=f"{_target(workload)}, whose pod {pod} the ScaledObject {other} claims",
                allowed="each pod in one ScaledObject",
            )
        )


def silence_s(
    workload: Workload,
    samples: Sequence[Sample],
    *,
    newest_s: float,
    most_s: float,
    stale_after_s: float,
) -> float:
    """
    Return how long before ``newest_s`` the newest sample ended.

    Raises:
        NoDataError: there is none, or that is more than ``most_s``.
    """
    what = f"{workload.key}: no fresh readings of {_target(workload)}"
    if not samples:
        raise NoDataError(f"{what}, and none before")
    age_s = newest_s - samples[-1].at_s
    if age_s > most_s:
        raise NoDataError(
            f"{what}; the newest ended {age_s:.0f} s ago (an engine's readings stand for"
            f" {stale_after_s:g} s)",
            newest_s=samples[-1].at_s,
        )
    return age_s


def _target(workload: Workload) -> str:
    return f"{workload.kind}/{workload.name}"
