"""
Knative's autoscaler as it is: raw concurrency counted every second, decided on every two.

It counts the requests in its proxies itself, so it needs no Prometheus and sees no lag. Its rules
are those of ``decision/kpa.py`` with Knative's gap rule and numbers.
"""

from scaler.decision.kpa import KpaState, start, step
from scaler.decision.pace import KNATIVE_PRESET, Pace, pace_of
from scaler.decision.point import LoadPoint
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
        self._state: KpaState = start(self._pace)
        self._seconds = 0

    def act(self, view: View) -> int | None:
        """Count; decide on every second call."""
        point = LoadPoint(
            at_s=view.now_s, load=view.in_flight / self._target, ready=view.ready_replicas
        )
        self._state = step(self._state, point, self._pace)
        self._seconds += 1
        proposal = self._state.rules.proposal
        if self._seconds % _DECIDES_EVERY or proposal is None:
            return None
        return max(self._least, proposal.stabilized)
