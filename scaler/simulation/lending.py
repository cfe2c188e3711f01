"""
Our lending beside a simulated fleet: the same ``decide`` on the pool that the server makes.

The controller follows the stream of answers, so a lower count takes effect at the next look; a
higher one does as well here, where KEDA would take up to a poll and an HPA sync longer.
"""

from scaler.decision.decide import decide
from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.decision.pool import Member, PoolWindow
from scaler.decision.window import Window

_NAME = "default/llm"


class PoolLender:
    """Lends the pool's idle units by a policy, seeing the fleet's load by ``online``."""

    def __init__(self, policy: LendingPolicy, online: InferencePolicy) -> None:
        self._policy = policy
        self._online = online
        self.lookback_s = max(online.lookback_s, policy.stable_window_s + policy.panic_window_s)
        self.history_s = policy.latch_lookback_s
        self._silent_since_s: float | None = None
        self._workers = 0
        self._since_s: float | None = None

    def act(self, now_s: float, window: Window | None, workers: int) -> int | None:
        """Return the workers to write now; None: they stay."""
        if workers != self._workers:
            self._workers, self._since_s = workers, now_s
        if window is not None:
            self._silent_since_s = None
        elif self._silent_since_s is None:
            self._silent_since_s = now_s
        member = Member(
            name=_NAME,
            policy=self._online,
            window=window,
            silent_since_s=self._silent_since_s,
        )
        pool = PoolWindow(
            at_s=window.latest.at_s if window is not None else now_s,
            members=(member,),
            workers=workers,
            workers_since_s=self._since_s,
        )
        return decide(pool, self._policy).replicas
