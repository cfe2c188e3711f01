"""
The ways to lend that are measured beside each other, ours first.

Where a case's day passes faster, what a trainer does by the clock of its day (a checkpoint every
ten minutes, twenty minutes to go) is as much faster. What is short in the field stays as it is:
start-up, a checkpoint of seconds, and every window and delay of the decision.
"""

import dataclasses
from collections.abc import Callable, Sequence

from benchmarks.lending_cases import WARM_UP_S, Case
from scaler.simulation.baselines.lending_oracle import Instant
from scaler.simulation.lenders import Clock, Everything, Kvtide
from scaler.simulation.simulate import Lender
from scaler.simulation.training import TrainingConfig

Make = Callable[[Case, Sequence[Instant]], Lender]
STARTUP_S, CHECKPOINT_S = 20.0, 10.0
CHECKPOINT_EVERY_S, SLOW_S = 600.0, 1200.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """One way to lend, with the trainer that borrows."""

    make: Make
    checkpoint_s: float = CHECKPOINT_S
    grace_s: float = 30.0
    slow: bool = False
    """Its checkpoint and grace take twenty minutes of the case's day."""
    evicts: bool = False
    everywhere: bool = True
    """Played on every case; else on the bursts and monday alone."""

    def trainer(self, case: Case) -> TrainingConfig:
        """Return who borrows."""
        slow_s = SLOW_S / case.speed
        return TrainingConfig(
            name="train",
            startup_s=STARTUP_S,
            checkpoint_every_s=CHECKPOINT_EVERY_S / case.speed,
            checkpoint_s=slow_s if self.slow else self.checkpoint_s,
            grace_s=slow_s if self.slow else self.grace_s,
        )


def _ours(case: Case, _: Sequence[Instant], **changes: object) -> Kvtide:
    lending = dataclasses.replace(case.lending, **changes)  # type: ignore[arg-type] # field names
    return Kvtide(lending, case.inference)


def _slow(case: Case, seen: Sequence[Instant]) -> Kvtide:
    return _ours(case, seen, reclaim_time_s=SLOW_S / case.speed)


def _stated(case: Case, seen: Sequence[Instant]) -> Kvtide:
    return _ours(case, seen, reclaim_time_s=CHECKPOINT_S)


def _no_headroom(case: Case, seen: Sequence[Instant]) -> Kvtide:
    return _ours(case, seen, headroom_units=0)


def _nights(case: Case, seen: Sequence[Instant]) -> Clock:
    """The eight hours in which the day's inference holds least, with what they always leave."""
    hour_s = 3600 / case.speed

    def most_held(start_h: int) -> int:
        return max(
            one.held_units
            for one in seen
            if one.at_s >= 0 and (one.at_s / hour_s - start_h) % 24 < 8
        )

    start_h = min(range(24), key=most_held)
    return Clock(
        workers=case.units - most_held(start_h),
        start_h=start_h,
        length_h=8,
        hour_s=hour_s,
        shift_s=WARM_UP_S,
    )


def _everything(case: Case, _: Sequence[Instant]) -> Everything:
    return Everything(workers=case.units)


OWN = "kvtide"
WAYS: dict[str, Way] = {
    OWN: Way(make=_ours),
    "kvtide, trainer killed at once": Way(make=_ours, grace_s=0.0, everywhere=False),
    "kvtide, trainer stops in 20 min": Way(make=_slow, slow=True, everywhere=False),
    "kvtide, reclaimTime 10s": Way(make=_stated, everywhere=False),
    "kvtide, no headroom": Way(make=_no_headroom, everywhere=False),
    "nights by the clock": Way(make=_nights, evicts=True),
    "PriorityClass, stops in 30 s": Way(
        make=_everything, checkpoint_s=30.0, grace_s=30.0, evicts=True
    ),
    "PriorityClass, stops in 20 min": Way(make=_everything, slow=True, evicts=True),
}
