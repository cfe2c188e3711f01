"""
Settings played side by side on one load: what each came to.

A point is played by whoever has room for it (a process of this machine, a node of a cluster); what
it comes to is a function of the stage, the requests and the point, and of nothing else.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from scaler.decision.policy import InferencePolicy

from .keda import kvtide
from .simulate import Moment, Setup, simulate
from .spooled import Spooled

TODAY = "today"
"""What the settings are called that nothing is changed in."""
DAY_S = 86_400.0

Row = dict[str, Any]
"""What one point came to, as a JSON object."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One point of the grid."""

    settings: tuple[tuple[str, str], ...]
    """Keys of the trigger's metadata and their values; none: as they are today."""
    policy: InferencePolicy

    @property
    def name(self) -> str:
        """The settings as a person reads them."""
        return " ".join(f"{key}={value}" for key, value in self.settings) or TODAY


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What every point is played on."""

    setup: Setup
    arrivals: Spooled


def play(stage: Stage, candidate: Candidate) -> Row:
    """Play one point; return what it served in time and what it cost."""
    setup = stage.setup
    scaler = kvtide(candidate.name, candidate.policy, max_replicas=setup.max_replicas)
    run = simulate(setup, stage.arrivals, scaler)
    score = run.score
    return {
        "name": candidate.name,
        "metadata": dict(candidate.settings),
        "slo_attainment": score.slo_attainment,
        "gpu_hours": score.gpu_hours,
        "gpu_hours_by_day": _by_day(run.moments, setup.length_s),
        "ttft_p99_s": score.ttft_s.p99,
        "itl_p99_s": score.itl_s.p99,
        "scale_events": score.scale_events,
        "max_replicas": score.max_replicas,
    }


def _by_day(moments: Sequence[Moment], length_s: float) -> list[float]:
    """Return the GPU-hours of each day of the load; a moment stands until the next."""
    hours = [0.0] * int(-(-length_s // DAY_S))
    scored = [one for one in moments if 0 <= one.at_s < length_s]
    for one, after in itertools.zip_longest(scored, scored[1:]):
        end_s = length_s if after is None else after.at_s
        hours[int(one.at_s // DAY_S)] += one.inference_units * (end_s - one.at_s) / 3600
    return [round(each, 3) for each in hours]
