"""The ways to lend that are measured beside each other, ours first."""

import dataclasses
from collections.abc import Callable, Sequence

from benchmarks.lending_cases import WARM_UP_S, Case
from scaler.simulation.baselines.lending_oracle import Instant
from scaler.simulation.lenders import Clock, Everything, Kvtide
from scaler.simulation.simulate import Lender
from scaler.simulation.training import TrainingConfig

Make = Callable[[Case, Sequence[Instant]], Lender]
TRAINER = TrainingConfig(name="train")
SLOW = dataclasses.replace(TRAINER, checkpoint_s=1200.0, grace_s=1200.0)
HARD = dataclasses.replace(TRAINER, grace_s=0.0)
QUICK_TRAINER = dataclasses.replace(TRAINER, checkpoint_s=30.0, grace_s=30.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """One way to lend, with the trainer that borrows."""

    make: Make
    trainer: TrainingConfig = TRAINER
    evicts: bool = False


def _ours(case: Case, _: Sequence[Instant], **changes: object) -> Kvtide:
    lending = dataclasses.replace(case.lending, **changes)  # type: ignore[arg-type] # field names
    return Kvtide(lending, case.inference)


def _slow(case: Case, seen: Sequence[Instant]) -> Kvtide:
    return _ours(case, seen, reclaim_time_s=1200.0)


def _two_spare(case: Case, seen: Sequence[Instant]) -> Kvtide:
    return _ours(case, seen, headroom_units=2)


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


WAYS: dict[str, Way] = {
    "kvtide": Way(make=_ours),
    "kvtide + PriorityClass": Way(make=_ours, evicts=True),
    "kvtide, no headroom": Way(make=_no_headroom),
    "kvtide, 2 spare": Way(make=_two_spare),
    "kvtide, trainer stops in 20 min": Way(make=_slow, trainer=SLOW),
    "kvtide, trainer killed at once": Way(make=_ours, trainer=HARD),
    "nights by the clock": Way(make=_nights, evicts=True),
    "PriorityClass, stops in 30 s": Way(make=_everything, trainer=QUICK_TRAINER, evicts=True),
    "PriorityClass, stops in 20 min": Way(make=_everything, trainer=SLOW, evicts=True),
}
