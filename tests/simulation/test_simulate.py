import pytest

from scaler.simulation.baselines.catalog import NAMED, named, terms_of
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.baselines.oracle import oracle
from scaler.simulation.presets import one_fleet
from scaler.simulation.simulate import Setup, repeated, simulate
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled

LENGTH_S = 240.0
SETUP = Setup(cluster=one_fleet(gpus=6), length_s=LENGTH_S, max_replicas=6)


def traffic(*, per_s: float = 25.0, seed: int = 3, length_s: float = LENGTH_S) -> list[Arrival]:
    rate = Rate(
        start_s=0,
        end_s=length_s,
        per_s=per_s,
        prompt=Lengths(mean_tokens=900),
        output=Lengths(mean_tokens=150, most_tokens=2000),
    )
    return list(sampled([rate], seed))


TERMS = terms_of(SETUP, traffic())


@pytest.mark.parametrize("name", NAMED)
def test_the_same_seed_gives_the_same_run(name):
    first, second = (simulate(SETUP, traffic(), named(name, TERMS)) for _ in range(2))

    assert first == second


@pytest.mark.parametrize("name", NAMED)
def test_every_request_has_one_outcome_and_no_policy_passes_the_maximum(name):
    arrivals = traffic(per_s=60.0)

    run = simulate(SETUP, arrivals, named(name, TERMS))

    assert run.score.requests == len(arrivals)
    assert run.score.failed_requests <= len(arrivals)
    assert run.score.max_replicas <= SETUP.max_replicas
    assert all(1 <= moment.spec_replicas <= 6 for moment in run.moments)


def test_a_fixed_fleet_costs_its_size_times_the_time():
    run = simulate(SETUP, traffic(), FixedFleet(replicas=1))

    assert run.score.gpu_hours == pytest.approx(LENGTH_S / 3600)


def test_a_warm_up_is_neither_scored_nor_paid():
    setup = Setup(
        cluster=one_fleet(gpus=6), length_s=300.0, warm_up_s=300.0, replicas=2, max_replicas=6
    )
    arrivals = traffic(length_s=300.0)

    run = simulate(setup, list(repeated(arrivals, 300.0, 300.0)), FixedFleet(replicas=2))

    assert run.score.requests == len(arrivals)
    assert run.score.gpu_hours == pytest.approx(2 * 300 / 3600)
    assert run.moments[0].at_s < 0


def test_a_warm_up_is_the_end_of_the_trace():
    trace = [Arrival(0.0, 1, 1), Arrival(70.0, 2, 2), Arrival(99.0, 3, 3)]

    assert [(one.at_s, one.prompt_tokens) for one in repeated(trace, 100.0, 40.0)] == [
        (10.0, 2),
        (39.0, 3),
        (40.0, 1),
        (110.0, 2),
        (139.0, 3),
    ]


def test_the_clairvoyant_meets_the_objective_with_no_more_hours_than_the_least_fixed_fleet():
    arrivals = traffic(per_s=25.0)
    fixed = [simulate(SETUP, arrivals, FixedFleet(replicas=n)).score for n in range(1, 7)]
    enough = next(score for score in fixed if (score.slo_attainment or 0) >= 0.99)

    found = oracle(SETUP, arrivals)

    assert found is not None
    assert (found.score.slo_attainment or 0) >= 0.99
    assert found.score.gpu_hours <= enough.gpu_hours + 0.05


def test_progress_is_told_in_simulated_seconds():
    told: list[float] = []

    simulate(SETUP, traffic(per_s=2.0), FixedFleet(replicas=1), progress=told.append)

    assert told == [60.0 * minute for minute in range(1, 5)]
