"""Why there is no window: a crowd of pods, a pod of two ScaledObjects, silence."""

from collections.abc import Sequence

from scaler.decision.sample import Sample
from scaler.errors import ConfigurationError, NoDataError, Problem
from scaler.said import Said
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
            Said(
                "{key}: {target} has {pods} pods, and of one workload at most {most} are read",
                key=workload.key,
                target=_target(workload),
                pods=pods,
                most=MOST_PODS,
            )
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
                got=Said(
                    "{target}, whose pod {pod} the ScaledObject {other} claims",
                    target=_target(workload),
                    pod=pod,
                    other=other,
                ),
                allowed=Said("each pod in one ScaledObject"),
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
    what = Said("{key}: no fresh readings of {target}", key=workload.key, target=_target(workload))
    if not samples:
        raise NoDataError(Said("{what}, and none before", what=what))
    age_s = newest_s - samples[-1].at_s
    if age_s > most_s:
        raise NoDataError(
            Said(
                "{what}; the newest ended {age_s:.0f} s ago"
                " (an engine's readings stand for {stale_s:g} s)",
                what=what,
                age_s=age_s,
                stale_s=stale_after_s,
            ),
            newest_s=samples[-1].at_s,
        )
    return age_s


def _target(workload: Workload) -> str:
    return f"{workload.kind}/{workload.name}"
