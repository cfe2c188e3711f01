"""The law of work on simulated engines, whose step costs are known."""

import dataclasses
import itertools

import numpy as np
import pytest

from scaler.decision import work
from scaler.decision.facts.bucket import came as came_in
from scaler.decision.facts.columns import Columns
from scaler.decision.policy import InferencePolicy, StepCost
from scaler.decision.sample import Sample
from scaler.decision.steps import Busy, Mix, fit
from scaler.decision.work import Work
from scaler.simulation.cluster import Cluster, ClusterConfig
from scaler.simulation.engine import EngineConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.score import Outcomes, Slo
from scaler.simulation.scrape import Scraper
from scaler.simulation.traffic import Lengths, Rate, sampled

H100 = StepCost(a_s=0.0075, b_s=44e-6, c_s=25e-6)
"""An 8B model on an H100, as a trial of policies assumed it."""
CHAT = (Lengths(mean_tokens=1000, sigma=0.6), Lengths(mean_tokens=200, sigma=0.6))
CODE = (Lengths(mean_tokens=2000, sigma=0.3), Lengths(mean_tokens=28, sigma=0.3))
PHASE_S = 300.0
INTERVAL_S = 5.0
SETTLED_S = 100.0


@dataclasses.dataclass(frozen=True)
class Law:
    """What was learned of a step, and of the mean request."""

    cost: StepCost
    mix: Mix

    def stay_s(self, rho):
        """Return how long a request runs: (O·a + w) / (1 − ρ)."""
        return self.mix.alone_s(self.cost) / (1 - rho)


@dataclasses.dataclass(frozen=True)
class Seen:
    """One phase of a run, and what the law said of it."""

    offered: float
    """Work that arrived, as the true costs have it, seconds a second."""
    arrived_per_s: float
    rho: float
    running: float
    token_s: float
    load: float


def play(phases, *, replicas=1):
    """Run phases of (lengths, rate per second); return what the law learned and what it saw."""
    engine = EngineConfig(
        step_cost=H100, num_blocks=100_000, max_num_seqs=512, max_num_batched_tokens=8192
    )
    world = Cluster(
        ClusterConfig(
            nodes=(NodeConfig(name="gpus", units=replicas),),
            fleets=(FleetConfig(name="llm", engine=engine, cold_start_s=1.0),),
        ),
        Outcomes(Slo()),
    )
    rates = [
        Rate(
            start_s=number * PHASE_S,
            end_s=(number + 1) * PHASE_S,
            per_s=per_s,
            prompt=lengths[0],
            output=lengths[1],
        )
        for number, (lengths, per_s) in enumerate(phases)
    ]
    world.feed("llm", sampled(rates, seed=5))
    world.start_ready("llm", replicas)
    scraper = Scraper(world, "llm", interval_s=INTERVAL_S, lag_s=0.0, keep_s=1e6)
    while world.now_s < PHASE_S * len(phases):
        world.advance(world.now_s + INTERVAL_S)
        scraper.scrape()
    window = scraper.window()
    assert window is not None
    found = work.learn(window.earlier, InferencePolicy(), None)
    mix = work.mean_request(window.columns)
    assert found is not None
    assert mix is not None
    cost = fit(Busy.of(window.columns), mix)
    assert cost is not None
    return Law(cost, mix), [seen(window.samples, found, number) for number in range(len(phases))]


def seen(samples: tuple[Sample, ...], found: Work, number: int) -> Seen:
    begin_s, end_s = number * PHASE_S + SETTLED_S, (number + 1) * PHASE_S
    part = [sample for sample in samples if begin_s <= sample.at_s <= end_s]
    seconds = part[-1].at_s - part[0].at_s

    def rose(counter):
        return sum(getattr(r, counter) for r in part[-1].replicas) - sum(
            getattr(r, counter) for r in part[0].replicas
        )

    came = sum(came_in(*pair) or 0.0 for pair in itertools.pairwise(part)) / seconds
    served_s = rose("prompt_tokens_total") * H100.c_s + rose("generation_tokens_total") * H100.b_s
    columns = Columns.of(part)
    loads = work.loads(columns, found, InferencePolicy())
    return Seen(
        offered=served_s / seconds,
        arrived_per_s=came,
        rho=came * found.request_s,
        running=float(columns.instants.running.mean()),
        token_s=rose("itl_sum_s") / rose("itl_count"),
        load=float(np.nanmean(loads)),
    )


@pytest.fixture(scope="module")
def chat():
    return play([(CHAT, per_s) for per_s in (5.0, 12.0, 18.0, 22.0)])


def test_varied_traffic_tells_the_costs_of_a_step(chat):
    law, _ = chat

    assert law.cost.a_s == pytest.approx(H100.a_s, rel=0.02)
    assert law.cost.b_s == pytest.approx(H100.b_s, rel=0.05)
    assert law.cost.c_s == pytest.approx(H100.c_s, rel=0.02)


def test_requests_that_run_are_what_the_law_says(chat):
    law, phases = chat

    for phase in phases:
        expected = phase.arrived_per_s * law.stay_s(phase.rho)
        assert phase.running == pytest.approx(expected, rel=0.1)


def test_inter_token_latency_is_what_the_law_says(chat):
    law, phases = chat

    for phase in phases:
        expected_s = law.stay_s(phase.rho) / law.mix.output_tokens
        assert phase.token_s == pytest.approx(expected_s, rel=0.08)


def test_load_of_work_is_linear_where_concurrency_is_not(chat):
    _, phases = chat
    slow, fast = phases[0], phases[-1]
    traffic = fast.arrived_per_s / slow.arrived_per_s

    assert fast.load / slow.load == pytest.approx(traffic, rel=0.05)
    assert fast.running / slow.running > 2.5 * traffic


def test_prompts_that_leave_idle_gaps_do_not_read_as_slow_steps():
    """Code answers last for less than a bucket: running requests at its ends tell nothing."""
    law, _ = play([(CODE, per_s) for per_s in (2.0, 4.0, 6.0, 8.0, 10.0)])

    assert law.cost.a_s == pytest.approx(H100.a_s, rel=0.2)
    assert law.mix.work_s(law.cost) == pytest.approx(law.mix.work_s(H100), rel=0.1)


def test_one_law_for_chat_and_code_in_turn():
    law, _ = play([(CHAT, 10.0), (CODE, 10.0), (CHAT, 20.0), (CODE, 5.0)])

    assert law.cost.a_s == pytest.approx(H100.a_s, rel=0.03)
    assert law.cost.b_s == pytest.approx(H100.b_s, rel=0.2)
    assert law.cost.c_s == pytest.approx(H100.c_s, rel=0.06)


def test_a_fleet_has_the_load_of_its_replicas_together():
    law, (quiet, busy) = play([(CHAT, 20.0), (CHAT, 40.0)], replicas=3)

    assert law.cost.a_s == pytest.approx(H100.a_s, rel=0.03)
    assert quiet.load == pytest.approx(quiet.offered / 0.95, rel=0.05)
    assert busy.load == pytest.approx(busy.offered / 0.95, rel=0.05)
