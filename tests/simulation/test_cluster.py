"""The cluster: pods, units, routing, training, and what is conserved whatever is asked of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.policy import StepCost
from scaler.simulation.cluster import Cluster, ClusterConfig
from scaler.simulation.engine import EngineConfig
from scaler.simulation.fleet import FleetConfig, Phase
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.score import Outcomes, Slo
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled
from scaler.simulation.training import TrainingConfig

ENGINE = EngineConfig(
    step_cost=StepCost(a_s=0.01, b_s=0.0002, c_s=0.0001),
    num_blocks=400,
    max_num_seqs=16,
    max_num_batched_tokens=512,
    max_model_len=2048,
)


def cluster(*, units=8, nodes=1, seed=0, preempt=False, fleet=None, job=None) -> Cluster:
    return Cluster(
        ClusterConfig(
            nodes=tuple(NodeConfig(name=f"node-{n}", units=units) for n in range(nodes)),
            fleets=(
                FleetConfig(
                    **{"name": "llm", "engine": ENGINE, "cold_start_s": 30.0, **(fleet or {})}
                ),
            ),
            jobs=(TrainingConfig(**{"name": "train", **(job or {})}),),
            preempt_training=preempt,
            seed=seed,
        ),
        Outcomes(Slo()),
    )


def rate(*, per_s: float, cv: float = 1.0) -> Rate:
    lengths = Lengths(mean_tokens=150), Lengths(mean_tokens=80)
    return Rate(start_s=0, end_s=300, per_s=per_s, cv=cv, prompt=lengths[0], output=lengths[1])


def phases(world: Cluster) -> list[Phase]:
    return [replica.phase for replica in world.fleets["llm"].replicas.values()]


def long_requests(count: int, at_s: float = 0.0) -> list[Arrival]:
    return [Arrival(at_s, 50, 1000)] * count


def test_a_replica_serves_after_its_cold_start():
    world = cluster()
    world.set_replicas("llm", 1)
    world.advance(29.9)
    assert phases(world) == [Phase.LOADING]
    world.advance(30.0)
    assert phases(world) == [Phase.READY]


def test_requests_at_zero_replicas_are_held_until_one_is_ready():
    world = cluster()
    world.feed("llm", [Arrival(1.0, 100, 10), Arrival(2.0, 100, 10)])
    world.advance(10.0)
    assert world.waiting() == len(world.gateways["llm"].held) == 2
    world.set_replicas("llm", 1)
    world.advance(60.0)
    assert world.idle
    assert world.outcomes.finished == 2
    assert world.outcomes.ttft_s.highest == pytest.approx(39.0, abs=0.2)


def test_each_request_goes_to_the_replica_with_the_fewest_open():
    world = cluster()
    world.start_ready("llm", 4)
    world.feed("llm", long_requests(10))
    world.advance(1.0)
    opened = [r.engine.open_requests for r in world.fleets["llm"].replicas.values()]
    assert sorted(opened) == [2, 2, 3, 3]


def test_units_that_are_not_there_leave_pods_pending_until_one_goes():
    world = cluster(units=2)
    world.start_ready("llm", 2)
    world.set_replicas("llm", 3)
    world.advance(100.0)
    assert phases(world) == [Phase.READY, Phase.READY, Phase.PENDING]
    assert world.nodes.free == {"node-0": 0}


def test_scaling_down_takes_pending_then_loading_then_the_youngest_ready():
    world = cluster(units=4)
    world.start_ready("llm", 2)
    world.advance(100.0)
    world.set_replicas("llm", 6)
    names = list(world.fleets["llm"].replicas)
    world.advance(110.0)
    assert phases(world)[2:] == [Phase.LOADING, Phase.LOADING, Phase.PENDING, Phase.PENDING]
    world.set_replicas("llm", 3)
    assert list(world.fleets["llm"].replicas) == names[:3]
    world.advance(140.0)
    world.set_replicas("llm", 2)
    assert list(world.fleets["llm"].replicas) == names[:2]


def test_a_draining_replica_answers_what_it_has_and_takes_nothing_new():
    world = cluster()
    world.start_ready("llm", 2)
    world.feed("llm", [*long_requests(4), Arrival(2.0, 50, 10)])
    world.advance(1.0)
    world.set_replicas("llm", 1)
    world.advance(2.1)
    assert sorted(r.engine.open_requests for r in world.fleets["llm"].replicas.values()) == [2, 3]
    world.advance(60.0)
    assert world.outcomes.finished == 5
    assert phases(world) == [Phase.READY]


@pytest.mark.parametrize(
    ("grace_s", "failed"),
    [
        pytest.param(0.0, 2, id="no grace: aborted at once"),
        pytest.param(5.0, 2, id="a grace that is too short"),
        pytest.param(60.0, 0, id="long enough"),
    ],
)
def test_what_is_unanswered_after_the_grace_fails(grace_s, failed):
    world = cluster(fleet={"drain_grace_s": grace_s})
    world.start_ready("llm", 2)
    world.feed("llm", long_requests(4))
    world.advance(1.0)
    world.set_replicas("llm", 1)
    world.advance(100.0)
    assert (world.outcomes.failed, world.outcomes.finished) == (failed, 4 - failed)


def test_gpu_hours_count_loading_and_draining():
    world = cluster()
    world.set_replicas("llm", 2)
    world.advance(1800.0)
    world.set_replicas("llm", 0)
    world.advance(3600.0)
    assert world.score().gpu_hours == pytest.approx(1.0)


def test_a_prompt_longer_than_the_model_is_refused_and_an_output_is_cut():
    world = cluster()
    world.start_ready("llm", 1)
    world.feed("llm", [Arrival(0.0, 2048, 1), Arrival(0.1, 2000, 500)])
    world.advance(100.0)
    assert (world.outcomes.failed, world.outcomes.finished) == (1, 1)
    engine = next(iter(world.fleets["llm"].replicas.values())).engine
    assert engine.generation_tokens_total == 48


@pytest.mark.parametrize(
    ("job", "kept_h", "lost_h", "reclaim_s"),
    [
        pytest.param(
            {"checkpoint_s": 10, "grace_s": 30}, 2 * 3580 / 3600, 0.0, 10.0, id="grace: kept"
        ),
        pytest.param(
            {"checkpoint_s": 40, "grace_s": 30},
            2 * 3000 / 3600,
            2 * 580 / 3600,
            30.0,
            id="a grace shorter than the checkpoint loses what is after the last one",
        ),
        pytest.param(
            {"grace_s": 0}, 2 * 3000 / 3600, 2 * 580 / 3600, 0.0, id="killed at once: lost likewise"
        ),
    ],
)
def test_what_a_worker_told_to_go_keeps(job, kept_h, lost_h, reclaim_s):
    world = cluster(job={"startup_s": 20.0, "checkpoint_every_s": 600.0, **job})
    world.set_workers("train", 2)
    world.advance(3600.0)
    world.set_workers("train", 0)
    world.advance(3700.0)
    score = world.score()
    assert score.training_gpu_hours == pytest.approx(kept_h)
    assert score.training_lost_gpu_hours == pytest.approx(lost_h)
    assert world.jobs["train"].reclaim_s.highest == pytest.approx(reclaim_s)
    assert world.nodes.free == {"node-0": 8}


def test_a_killed_worker_loses_its_work_and_is_replaced():
    world = cluster(job={"startup_s": 0.0, "checkpoint_every_s": 1e9})
    world.set_workers("train", 1)
    world.advance(100.0)
    world.kill_worker("train", next(iter(world.jobs["train"].workers)))
    world.advance(150.0)
    assert world.jobs["train"].lost_unit_s == pytest.approx(100.0)
    assert world.jobs["train"].work_unit_s(150.0) == pytest.approx(50.0)


def test_without_priorities_a_replica_waits_for_the_lender_and_with_them_it_evicts():
    waits = cluster(units=2)
    evicts = cluster(units=2, preempt=True)
    for world in (waits, evicts):
        world.set_workers("train", 2)
        world.advance(100.0)
        world.set_replicas("llm", 1)
        world.advance(200.0)
    assert phases(waits) == [Phase.PENDING]
    assert phases(evicts) == [Phase.READY]
    assert evicts.jobs["train"].running == 1


def test_the_cold_start_is_drawn_with_the_seed():
    def ready(seed):
        world = cluster(seed=seed, fleet={"cold_start_sigma": 0.5})
        world.set_replicas("llm", 3)
        world.advance(1000.0)
        return [replica.ready_s for replica in world.fleets["llm"].replicas.values()]

    assert ready(1) == ready(1) != ready(2)


steps = st.lists(
    st.tuples(st.floats(0.1, 60), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12
)


@given(steps, st.integers(0, 3), st.booleans(), st.sampled_from([0.0, 5.0, 120.0]))
def test_nothing_is_lost_and_no_node_gives_more_than_it_has(plan, seed, preempt, grace_s):
    world = cluster(units=2, nodes=2, seed=seed, preempt=preempt, fleet={"drain_grace_s": grace_s})
    world.feed("llm", sampled([rate(per_s=3, cv=2.0)], seed))
    gateway, outcomes, job = world.gateways["llm"], world.outcomes, world.jobs["train"]
    for seconds, replicas, workers in plan:
        world.advance(world.now_s + seconds)
        world.set_replicas("llm", replicas)
        world.set_workers("train", workers)
        assert gateway.arrived_total == outcomes.finished + outcomes.failed + gateway.in_flight
        inside = sum(r.engine.open_requests for r in world.fleets["llm"].replicas.values())
        assert gateway.in_flight == len(gateway.held) + inside
        used = sum(r.node is not None for r in world.fleets["llm"].replicas.values())
        assert 4 - sum(world.nodes.free.values()) == used + job.held_units
        assert min(world.nodes.free.values()) >= 0
    world.set_workers("train", 0)
    world.set_replicas("llm", 1)
    world.advance(5000.0)
    assert world.idle
    assert gateway.arrived_total == outcomes.finished + outcomes.failed


@given(st.integers(0, 5), steps)
def test_the_same_seed_gives_the_same_run(seed, plan):
    def run():
        world = cluster(units=4, seed=seed, fleet={"cold_start_sigma": 0.4})
        world.feed("llm", sampled([rate(per_s=4)], seed))
        for seconds, replicas, workers in plan:
            world.advance(world.now_s + seconds)
            world.set_replicas("llm", replicas)
            world.set_workers("train", workers)
        return world.score()

    assert run() == run()
