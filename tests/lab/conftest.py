import pytest

from scaler.decision.policy import StepCost
from scaler.simulation.cluster import Cluster, ClusterConfig
from scaler.simulation.engine import EngineConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.score import Outcomes, Slo
from scaler.simulation.traffic import Lengths, Rate, sampled
from scaler.simulation.training import TrainingConfig


def small_world(seed: int = 1) -> Cluster:
    """Return four GPUs on two nodes, a fleet ``chat`` and a job ``finetune``, with traffic."""
    engine = EngineConfig(
        step_cost=StepCost(a_s=0.01, b_s=0.0002, c_s=0.0001),
        num_blocks=400,
        max_num_seqs=8,
        max_num_batched_tokens=512,
        max_model_len=2048,
    )
    world = Cluster(
        ClusterConfig(
            nodes=(NodeConfig(name="gpu-a", units=2), NodeConfig(name="gpu-b", units=2)),
            fleets=(
                FleetConfig(
                    name="chat",
                    namespace="online",
                    service="chat",
                    model="demo",
                    engine=engine,
                    cold_start_s=20.0,
                ),
            ),
            jobs=(TrainingConfig(name="finetune", namespace="batch"),),
            seed=seed,
        ),
        Outcomes(Slo()),
    )
    rate = Rate(
        start_s=0,
        end_s=60,
        per_s=6,
        prompt=Lengths(mean_tokens=200),
        output=Lengths(mean_tokens=100),
    )
    world.feed("chat", sampled([rate], seed))
    return world


@pytest.fixture
def world() -> Cluster:
    return small_world()
