"""
What several days of history change at night and by day: replicas held, samples kept, time taken.

    python -m benchmarks.forecast_days

A synthetic week: from 8 h to 20 h a load of 3 replicas with four minutes of 6 every quarter of an
hour, at night a hundredth of a burst. The answers of the fifth day are told with one day of history
and with four, thinned as the server thins it.
"""

import math
import random
import time

from scaler.decision.compose import fine_after_s, lookback_s
from scaler.decision.decide import decide
from scaler.decision.facts.record import Record
from scaler.decision.history import DAY_S, HOUR_S, coarse_before_s, coarsen, thinned
from scaler.decision.policy import InferencePolicy
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Kept, Window

BUCKET_S = 15.0
BASE_S = 1_700_000_000 // DAY_S * DAY_S
SAFE = 20
HOURS = (2.0, 5.0, 7.9, 9.0, 12.3, 15.0, 22.0)


def requests(at_s: float) -> float:
    """Return the mean of the requests in flight at a time, seconds."""
    by_day = 8 <= at_s / HOUR_S % 24 < 20
    if not by_day:
        return 3.0
    return 120.0 if at_s % 900 < 240 else 60.0


def samples(days: float) -> list[Sample]:
    """Return some days of one workload, a sample every quarter of a minute."""
    seen, dice, done = [], random.Random(1), 0.0
    for number in range(1, int(days * DAY_S / BUCKET_S) + 1):
        at_s = number * BUCKET_S
        replicas = 8 if requests(at_s) > SAFE else 1
        mean = requests(at_s)
        open_now = max(0.0, dice.gauss(mean, math.sqrt(mean)))
        done += open_now * BUCKET_S / 8
        each = tuple(
            Replica(
                name=f"llm-{one}",
                requests_running=open_now / replicas,
                requests_waiting=0.0,
                requests_finished_total=done / replicas,
            )
            for one in range(replicas)
        )
        seen.append(
            Sample(
                at_s=BASE_S + at_s, replicas=each, ready_replicas=replicas, spec_replicas=replicas
            )
        )
    return seen


def window(past: list[Sample], policy: InferencePolicy) -> Window:
    """Return what a server would decide on after a past."""
    now_s = past[-1].at_s
    after_s = fine_after_s(now_s, lookback_s(policy))
    oldest_s = now_s - policy.forecast_lookback_s
    old = Record(thinned(one for one in past if oldest_s < one.at_s <= after_s))
    coarsen(old, coarse_before_s(now_s))
    fine = Record([one for one in past if one.at_s > after_s])
    kept = Kept(fine.until(math.inf), old.until(math.inf))
    return Window(
        samples=kept.samples.samples,
        history=kept.history.samples,
        kept=kept,
        interval_s=BUCKET_S,
    )


def main() -> None:
    """Print a line per hour."""
    past = samples(5)
    print("| hour | with 1 day | with 4 days | samples kept | CPU of a decision, ms |")
    print("|---|---|---|---|---|")
    for hour in HOURS:
        until = past[: int((4 * DAY_S + hour * HOUR_S) / BUCKET_S)]
        told = []
        for days in (1, 4):
            policy = InferencePolicy(
                max_concurrency=SAFE, lead_time_s=180.0, forecast_lookback_s=days * DAY_S
            )
            seen = window(until, policy)
            decide(seen, policy)
            began_s = time.process_time()
            count = decide(seen, policy).replicas
            took_ms = 1000 * (time.process_time() - began_s)
            told.append((count, len(seen.history), took_ms))
        (one, few, quick), (four, many, slow) = told
        print(f"| {hour:g} | {one} | {four} | {few:,}, {many:,} | {quick:.1f}, {slow:.1f} |")


if __name__ == "__main__":
    main()
