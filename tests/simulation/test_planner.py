"""What the SLO-driven planners want, by numbers a pencil can follow."""

import pytest

from scaler.decision.policy import StepCost
from scaler.simulation.baselines.planner import SloPlanner, ThroughputPlanner
from scaler.simulation.score import Slo
from tests.builders import replica, sample_of

COST = StepCost(a_s=0.01, b_s=0.0001, c_s=0.00001)


def engine(finished, prompt, output, *, running=0.0, waiting=0.0):
    return replica(
        running=running,
        waiting=waiting,
        requests_finished_total=finished,
        prompt_tokens_total=prompt,
        generation_tokens_total=output,
    )


def minutes(before, after):
    return [sample_of(before, at_s=0.0), sample_of(after, at_s=180.0)]


@pytest.mark.parametrize(
    ("share", "rho"),
    [
        pytest.param(1.0, 0.90, id="a step may take a tenth of the objective"),
        pytest.param(0.5, 0.80, id="at half of it, a fifth"),
        pytest.param(0.1, 0.05, id="never none at all"),
    ],
)
def test_the_safe_share_of_time_keeps_the_inter_token_latency(share, rho):
    planner = ThroughputPlanner(share=share, cost=COST, slo=Slo(itl_s=0.1))

    assert planner.safe_rho == pytest.approx(rho)


def test_replicas_are_the_rate_times_the_work_over_what_is_safe():
    planner = ThroughputPlanner(cost=COST, slo=Slo(itl_s=0.1))
    # 1,800 requests in 180 s, of 1,000 prompt tokens (10 ms) and 200 output tokens (20 ms): 0.3.
    samples = minutes(engine(0, 0, 0), engine(1800, 1_800_000, 360_000))

    assert planner.count(samples) == 1
    # Ten times as many: 3.0 engines' time, of which nine tenths are safe.
    busy = minutes(engine(0, 0, 0), engine(18_000, 18_000_000, 3_600_000))
    assert planner.count(busy) == 4


def test_requests_that_piled_up_are_counted_as_come():
    planner = ThroughputPlanner(cost=COST, slo=Slo(itl_s=0.1))
    calm = minutes(engine(0, 0, 0), engine(5400, 5_400_000, 1_080_000))
    piled = minutes(engine(0, 0, 0), engine(5400, 5_400_000, 1_080_000, waiting=5400.0))

    assert (planner.count(calm), planner.count(piled)) == (1, 2)


def test_nothing_finished_predicts_nothing():
    planner = ThroughputPlanner(cost=COST, slo=Slo())

    assert planner.count(minutes(engine(7, 70, 7), engine(7, 70, 7))) is None


BUSY = replica(running=10.0, waiting=300.0)
IDLE = replica(running=10.0, waiting=0.0)
FULL = replica(running=1000.0, waiting=0.0)
WARM = replica(running=800.0, waiting=0.0)


@pytest.mark.parametrize(
    ("engines", "step"),
    [
        pytest.param([BUSY, BUSY], 1, id="every engine's next request waits too long"),
        pytest.param([BUSY, IDLE], 0, id="one that is free is enough"),
        pytest.param([FULL, FULL], 1, id="every engine's tokens come too slowly"),
        pytest.param([WARM, IDLE], 0, id="one within the last fifth of it keeps what there is"),
        pytest.param([IDLE, IDLE], -1, id="all of them have room"),
        pytest.param([], 0, id="nobody reports"),
    ],
)
def test_the_load_planner_takes_one_step_at_most(engines, step):
    planner = SloPlanner(cost=COST, slo=Slo(ttft_least_s=2.0, itl_s=0.1))

    assert planner.step(engines, 1000.0) == step
