"""
Knative's autoscaler as it is: raw concurrency counted every second, decided on every two.

It counts the requests in its proxies itself, so it needs no Prometheus and sees no lag. Its rules
are those of ``decision/kpa.py`` with Knative's gap rule and numbers.
"""

import collections
import math

import numpy as np

from scaler.decision.kpa import over
from scaler.decision.pace import KNATIVE_PRESET, Pace, pace_of
from scaler.decision.point import Curve
from scaler.decision.policy import InferencePolicy
from scaler.decision.sliding import GapRule
from scaler.simulation.simulate import View

_BUCKET_S = 1.0
_DECIDES_EVERY = 2


class Knative:
    """
    KPA with ``target`` concurrent requests per replica, of which 70 % are aimed at.

    Source: knative/serving, ``pkg/autoscaler/scaling``; 100 is its default target, 10 what its
    documentation uses for slow requests.
    """

    every_s = _BUCKET_S
    lookback_s = 0.0
    history_s = 0.0

    def __init__(
        self, *, target: float = 100.0, scale_down_delay_s: float = 0.0, least: int = 1
    ) -> None:
        delay = f", {scale_down_delay_s:g} s delay" if scale_down_delay_s else ""
        self.name = f"knative {target:g}{delay}"
        preset = {**KNATIVE_PRESET, "scale_down_delay_s": scale_down_delay_s}
        policy = InferencePolicy(**preset)  # type: ignore[arg-type]
        self._target = target
        self._least = least
        self._pace: Pace = pace_of(
            policy, lead_time_s=None, bucket_s=_BUCKET_S, gap_rule=GapRule.ZERO
        )
        self._points = collections.deque[tuple[float, float, int, int]](
            maxlen=math.ceil(self._pace.lookback_s / _BUCKET_S)
        )
        self._seconds = 0

    def act(self, view: View) -> int | None:
        """Count; decide on every second call."""
        load = view.in_flight / self._target
        self._points.append((view.now_s, load, view.ready_replicas, 0))
        self._seconds += 1
        if self._seconds % _DECIDES_EVERY:
            return None
        wanted = over(Curve(*np.array(self._points).T), self._pace).desired
        return None if wanted is None else max(self._least, wanted)
