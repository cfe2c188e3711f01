import dataclasses

import pytest

from scaler.simulation.baselines.bound import fastest, lower_bound_gpu_hours
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.baselines.oracle import oracle
from scaler.simulation.presets import ENGINE_8B_H100, one_fleet
from scaler.simulation.simulate import Setup, simulate
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled

SETUP = Setup(cluster=one_fleet(gpus=8), length_s=300.0, max_replicas=8)


def test_a_full_step_is_the_fastest_an_engine_works():
    work_s = 512 * 0.000044 + (2048 - 512) * 0.000025

    assert fastest(ENGINE_8B_H100) == pytest.approx(work_s / (0.0075 + work_s))


def test_an_idle_trace_costs_the_least_replicas():
    assert lower_bound_gpu_hours(SETUP, [Arrival(1.0, 10, 10)]) == pytest.approx(300 / 3600)


def test_a_burst_between_silences_costs_its_work_and_the_silences_the_least():
    burst = [Arrival(100.0 + n / 100, 4000, 1) for n in range(1000)]
    work_s = 1000 * (4000 * 0.000025 + 0.000044) / fastest(ENGINE_8B_H100)

    bound = lower_bound_gpu_hours(SETUP, burst, attainment=1.0)

    # The burst is due within the span from 90 to 120 s; what precedes and follows it costs one.
    assert 3600 * bound == pytest.approx(work_s + 300 - 30)


def test_the_heaviest_requests_may_be_missed():
    burst = [Arrival(100.0 + n / 100, 4000, 1) for n in range(1000)]
    each_s = (4000 * 0.000025 + 0.000044) / fastest(ENGINE_8B_H100)

    all_of, most = (lower_bound_gpu_hours(SETUP, burst, attainment=a) for a in (1.0, 0.9))

    assert 3600 * (all_of - most) == pytest.approx(100 * each_s)


def test_a_warm_up_is_not_in_it():
    setup = dataclasses.replace(SETUP, warm_up_s=600.0)
    before = [Arrival(n / 10, 8000, 100) for n in range(5000)]

    assert lower_bound_gpu_hours(setup, before) == pytest.approx(300 / 3600)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_schedule_that_was_found_is_below_it(seed):
    rate = Rate(
        start_s=0,
        end_s=300.0,
        per_s=40.0,
        prompt=Lengths(mean_tokens=1500),
        output=Lengths(mean_tokens=150, most_tokens=1000),
        cv=3.0,
    )
    arrivals = list(sampled([rate], seed))

    setup = dataclasses.replace(SETUP, replicas=8)
    bound = lower_bound_gpu_hours(setup, arrivals)
    found = oracle(setup, arrivals)
    fixed = [simulate(setup, arrivals, FixedFleet(replicas=n)).score for n in range(1, 9)]
    reached = [one for one in fixed if (one.slo_attainment or 0) >= 0.99]

    assert reached
    assert found is not None
    assert bound <= found.score.gpu_hours
    assert all(bound <= one.gpu_hours for one in reached)
