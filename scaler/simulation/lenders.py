"""
Who lends the units that inference leaves free: ours, the clock, and whoever takes all there is.

Each plays :class:`.simulate.Lender`. Ours calls the decision that the server calls, on the readings
that the server would have.

What must stay true: a count goes down at once and up only at a sync, as the controller and KEDA do.
"""

import dataclasses

from scaler.decision.compose import lookback_s, reach_s
from scaler.decision.decide import decide
from scaler.decision.decision import Decision
from scaler.decision.foresight import Foresight
from scaler.decision.online import OnlinePoint, online_load
from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.decision.pool import Member, PoolWindow, Units
from scaler.decision.window import Window

_NAME = "default/llm"
_SYNC_S = 15.0
"""The HPA's period: a higher count waits for it, a lower one comes by the stream."""


class Kvtide:
    """
    The 30/70 decision on one workload's readings.

    Attributes:
        decisions: what was answered at each instant that had readings.
    """

    def __init__(
        self, lending: LendingPolicy, inference: InferencePolicy, *, units_per_replica: int = 1
    ) -> None:
        self._lending, self._inference = lending, inference
        self._units = Units(per_replica=units_per_replica)
        self._foresight = Foresight()
        self._workers = 0
        self._workers_since_s: float | None = None
        self._silent_since_s: float | None = None
        self._rise_due_s = 0.0
        self.decisions: list[Decision] = []

    @property
    def lookback_s(self) -> float:
        """What the workload's own decision reads."""
        return lookback_s(self._inference)

    @property
    def history_s(self) -> float:
        """What the latch reads, and the workload's forecast."""
        return max(reach_s(self._lending), reach_s(self._inference))

    def act(self, now_s: float, window: Window | None, workers: int) -> int | None:
        """Return the workers that may run; None: hold, or a rise that waits for its sync."""
        pool = self._pool(now_s, window, workers)
        decision = decide(pool, self._lending)
        if window is not None:
            self.decisions.append(decision)
        wanted = decision.replicas
        if wanted is None or (wanted > workers and now_s < self._rise_due_s):
            return None
        if wanted > workers:
            self._rise_due_s = now_s + _SYNC_S
        return wanted

    def _pool(self, now_s: float, window: Window | None, workers: int) -> PoolWindow:
        """Return what the server would compose; the time is that of the readings."""
        at_s = now_s if window is None else window.now_s
        if window is not None:
            window = self._foresight.given(_NAME, window, self._inference)
        if workers != self._workers:
            self._workers, self._workers_since_s = workers, at_s
        if window is not None:
            self._silent_since_s = None
        elif self._silent_since_s is None:
            self._silent_since_s = now_s
        member = Member(
            name=_NAME,
            policy=self._inference,
            window=window,
            silent_since_s=self._silent_since_s,
            units=self._units,
        )
        return PoolWindow(
            at_s=at_s,
            members=(member,),
            workers=workers,
            workers_since_s=self._workers_since_s,
        )


class Watcher:
    """
    Lends nothing, and sees what ours would go by.

    Attributes:
        seen: the newest online load at each instant that had readings.
    """

    def __init__(self, lending: LendingPolicy, inference: InferencePolicy) -> None:
        self._lending, self._inference = lending, inference
        self.lookback_s = lookback_s(inference)
        self.history_s = max(reach_s(lending), reach_s(inference))
        self.seen: list[OnlinePoint] = []

    def act(self, now_s: float, window: Window | None, workers: int) -> int | None:  # noqa: ARG002
        """Note the load; write nothing."""
        if window is not None:
            member = Member(
                name=_NAME, policy=self._inference, window=window, units=Units(per_replica=1)
            )
            pool = PoolWindow(at_s=window.now_s, members=(member,))
            self.seen += online_load(pool, self._lending).points(-1)
        return None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """So many workers between two hours of the day, none outside them; it reads nothing."""

    workers: int
    start_h: float
    length_h: float
    hour_s: float = 3600.0
    """Seconds that one hour of the trace's day takes."""
    shift_s: float = 0.0
    """Where midnight lies, seconds from the start."""
    lookback_s: float = 0.0
    history_s: float = 0.0

    def act(self, now_s: float, window: Window | None, workers: int) -> int | None:  # noqa: ARG002
        """Return the count of the hour."""
        hour = (now_s - self.shift_s) / self.hour_s % 24
        return self.workers if (hour - self.start_h) % 24 < self.length_h else 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """A low-priority job that asks for the whole pool and takes what the scheduler leaves it."""

    workers: int
    lookback_s: float = 0.0
    history_s: float = 0.0

    def act(self, now_s: float, window: Window | None, workers: int) -> int | None:  # noqa: ARG002
        """Return the same count."""
        return self.workers
