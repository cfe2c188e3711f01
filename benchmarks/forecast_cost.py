"""
What a forecast costs when it is wrong: replica-hours after traffic has ceased to do what it did.

    python -m benchmarks.forecast_cost

A day of load teaches the forecast, then it changes. The answers of the days after it, with the
forecast and without, are added up; nothing is simulated but the load.
"""

import dataclasses
from collections.abc import Callable, Sequence

from scaler.decision.forecast import forecast
from scaler.decision.kpa import recommend
from scaler.decision.point import LoadPoint
from scaler.decision.policy import Forecast, InferencePolicy

BUCKET_S = 15.0
DAY_S = 86_400.0
HOUR_S = 3600.0
LEAD_S = 180.0
STEP_S = 60.0
"""Between two answers that are added up."""
BASE = 4.0
"""Load in full replicas."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A way to be wrong."""

    name: str
    forecast: Forecast
    load: Callable[[float], float]
    """Load at a time, seconds; the second day is the one that is looked at."""


def bursts(at_s: float, height: float = 4.0) -> float:
    """Return two minutes of more load every twenty."""
    return BASE + height if at_s % 1200 < 120 else BASE


def ramp(at_s: float) -> float:
    """Return load that triples in half an hour and then stays."""
    return BASE * (1 + 2 * min(1.0, max(0.0, (at_s - DAY_S) / 1800)))


CASES = (
    Case(name="bursts that go on", forecast=Forecast.RISE, load=bursts),
    Case(
        name="bursts that cease",
        forecast=Forecast.RISE,
        load=lambda at_s: bursts(at_s) if at_s < DAY_S else BASE,
    ),
    Case(
        name="bursts of ten times the load that cease",
        forecast=Forecast.RISE,
        load=lambda at_s: bursts(at_s, 36.0) if at_s < DAY_S else BASE,
    ),
    Case(
        name="one spike of ten times the load",
        forecast=Forecast.RISE,
        load=lambda at_s: 10 * BASE if 0 <= at_s - DAY_S / 2 < 120 else BASE,
    ),
    Case(name="a climb that stops, by its trend", forecast=Forecast.TREND, load=ramp),
)


def points_of(load: Callable[[float], float], days: float) -> list[LoadPoint]:
    """Return the load of some days in buckets."""
    times = (k * BUCKET_S for k in range(int(days * DAY_S / BUCKET_S)))
    return [LoadPoint(at_s=at_s, load=load(at_s), ready=8) for at_s in times]


def answers(points: Sequence[LoadPoint], end: int, policy: InferencePolicy) -> tuple[int, int]:
    """Return the replicas without and with a forecast, as of the point before ``end``."""
    fine = int(policy.lookback_s / BUCKET_S)
    asked = recommend(
        points[max(0, end - fine) : end], policy, lead_time_s=LEAD_S, bucket_s=BUCKET_S
    )
    count = asked.desired or 0
    day = points[max(0, end - int(DAY_S / BUCKET_S)) : end]
    ahead = forecast(day, count, policy, lead_time_s=LEAD_S, bucket_s=BUCKET_S)
    return count, count if ahead is None else ahead.replicas or 0


def main() -> None:
    """Print replica-hours by case, over the day after the change and the hours after that."""
    print("| load | without | with | more | most at once |\n|---|---|---|---|---|")
    for case in CASES:
        policy = InferencePolicy(forecast=case.forecast, lead_time_s=LEAD_S)
        points = points_of(case.load, days=2.25)
        for part, start_s, stop_s in (
            ("the day after", DAY_S, 2 * DAY_S),
            ("6 h later", 2 * DAY_S, 2.25 * DAY_S),
        ):
            steps = range(int(start_s / BUCKET_S), int(stop_s / BUCKET_S), int(STEP_S / BUCKET_S))
            both = [answers(points, end, policy) for end in steps]
            without, with_it = (sum(count) * STEP_S / HOUR_S for count in zip(*both, strict=True))
            most = max(more - count for count, more in both)
            print(
                f"| {case.name}, {part} | {without:.0f} | {with_it:.0f} "
                f"| {with_it / without - 1:+.0%} | {most} |"
            )


if __name__ == "__main__":
    main()
