"""Lending beside a simulated fleet: idle units are lent after a minute, and all go back in load."""

import dataclasses

from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.lenders import Kvtide, Watcher
from scaler.simulation.presets import one_fleet
from scaler.simulation.simulate import Setup, simulate
from scaler.simulation.traffic import Arrival
from scaler.simulation.training import TrainingConfig

ONLINE = InferencePolicy(min_replicas=1, max_replicas=8, max_concurrency=64)
POLICY = LendingPolicy(pool_units=8, headroom_units=0)
CLUSTER = dataclasses.replace(one_fleet(gpus=8), jobs=(TrainingConfig(name="training"),))


def calm(seconds):
    return [Arrival(float(n), 100, 20) for n in range(seconds)]


def played(arrivals, *, replicas=2):
    setup = Setup(cluster=CLUSTER, length_s=600.0, replicas=replicas, max_replicas=8)
    lender = Kvtide(POLICY, ONLINE)
    return simulate(setup, arrivals, FixedFleet(replicas=replicas), lender=lender)


def test_an_idle_fleet_lends_what_it_does_not_hold_after_a_stable_minute():
    run = played(calm(600))

    lent = [(one.at_s, one.workers) for one in run.moments]
    first_s = next(at_s for at_s, workers in lent if workers)
    assert 60 <= first_s <= 90
    assert max(workers for _, workers in lent) == 6
    assert run.score.training_gpu_hours > 0


def test_load_over_the_upper_threshold_takes_everything_back():
    rush = [Arrival(300 + n / 40, 2000, 400) for n in range(12_000)]
    run = played([*calm(300), *rush])

    before = [one.workers for one in run.moments if 200 <= one.at_s < 300]
    after = [one.workers for one in run.moments if one.at_s >= 400]
    assert min(before) == 6
    assert max(after) == 0
    assert run.score.reclaim_s.p99 is not None


def test_who_only_watches_sees_the_load_that_ours_goes_by():
    setup = Setup(cluster=CLUSTER, length_s=300.0, replicas=2, max_replicas=8)
    watcher, ours = Watcher(POLICY, ONLINE), Kvtide(POLICY, ONLINE)

    runs = [
        simulate(setup, calm(300), FixedFleet(replicas=2), lender=lender)
        for lender in (watcher, ours)
    ]

    assert [run.score.training_gpu_hours > 0 for run in runs] == [False, True]
    assert [one.load for one in watcher.seen] == [one.load for one in ours.decisions]


class Counts:
    """Wants six workers, then two, and keeps what it was told of those there are."""

    lookback_s = history_s = 0.0

    def __init__(self):
        self.told = {}

    def act(self, now_s, window, workers):
        self.told[now_s] = workers
        return 6 if now_s < 300 else 2


def test_workers_are_those_that_run_or_start_and_none_that_was_told_to_go():
    """What the server counts (``serving.compose.workers_of``): one rule for both."""
    job = TrainingConfig(name="training", checkpoint_s=60.0, grace_s=60.0)
    cluster = dataclasses.replace(one_fleet(gpus=7), jobs=(job,))
    setup = Setup(cluster=cluster, length_s=600.0, replicas=2, max_replicas=8)
    lender = Counts()

    run = simulate(setup, calm(600), FixedFleet(replicas=2), lender=lender)

    before, after = (
        [n for at_s, n in lender.told.items() if at_s > 200 and (at_s < 300) == early]
        for early in (True, False)
    )
    assert set(before) == {6}  # five run, and one waits for a GPU
    assert max(one.workers for one in run.moments) == 5
    assert set(after[1:]) == {2}  # the others write their checkpoints for a minute
