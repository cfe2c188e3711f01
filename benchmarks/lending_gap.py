"""What the bound oracle lends and we do not, by the reason that our decision gave then."""

import collections
from collections.abc import Mapping, Sequence

from scaler.decision.decision import Decision
from scaler.simulation.simulate import Moment

_READ_LATE = "nothing was read yet"


def gap(
    moments: Sequence[Moment],
    most: Sequence[int],
    decisions: Sequence[Decision],
    *,
    warm_up_s: float,
) -> dict[str, float]:
    """
    Return the worker-hours between an oracle's counts and a run's, by reason, the largest first.

    Below zero where the run had more: inference asked for less than in the oracle's run, or workers
    were still leaving.

    Args:
        moments: of the run.
        most: the oracle's counts at the same instants.
        decisions: of the run, by the time of their readings.
        warm_up_s: what the readings' clock is ahead of the moments'.
    """
    answered = {round(one.at_s - warm_up_s): one for one in decisions}
    hours: dict[str, float] = collections.defaultdict(float)
    for moment, after, count in zip(moments, moments[1:], most, strict=False):
        if moment.at_s >= 0:
            decision = answered.get(round(moment.at_s))
            why = _why(decision, moment.workers) if decision else _READ_LATE
            hours[why] += (count - moment.workers) * (after.at_s - moment.at_s) / 3600
    return dict(sorted(hours.items(), key=lambda one: -one[1]))


def _why(decision: Decision, workers: int) -> str:
    said = decision.steps[-1].reason.value
    waits = decision.replicas is not None and decision.replicas > workers
    return f"{said}, waits for the sync to grow" if waits else said


def reasons(hours: Mapping[str, float]) -> str:
    """Return the hours by reason as a Markdown table."""
    rows = (f"| {why} | {value:.2f} |" for why, value in hours.items())
    return "\n".join(("| our decision then | GPU-h below the oracle |", "|---|---|", *rows))
