"""
How fast the simulator is: an hour of 400,000 requests on one core, with and without decisions.

Run: python benchmarks/simulator.py
"""

import time

from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.decide import decide
from scaler.decision.policy import InferencePolicy, StepCost
from scaler.simulation.cluster import Cluster, ClusterConfig
from scaler.simulation.engine import EngineConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.hpa import ExternalMetric, HorizontalPodAutoscaler, HpaConfig, wide_open
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.score import Outcomes, Score, Slo
from scaler.simulation.scrape import Scraper
from scaler.simulation.traffic import Lengths, day, sampled

REQUESTS = 400_000
HOUR_S = 3600.0
SCRAPE_S = 5.0
SYNC_S = 15.0
ENGINE = EngineConfig(
    step_cost=StepCost(a_s=0.0075, b_s=0.000044, c_s=0.000025),
    num_blocks=25_625,
    max_num_seqs=512,
    max_num_batched_tokens=2048,
)
POLICY = InferencePolicy(min_replicas=1, max_replicas=40, itl_target=LatencyTarget(seconds=0.1))


def run(*, deciding: bool) -> Score:
    """Return the score of an hour, with a fleet that is decided on or one that is fixed."""
    world = Cluster(
        ClusterConfig(
            nodes=(NodeConfig(name="gpus", units=40),),
            fleets=(FleetConfig(name="llm", engine=ENGINE, cold_start_s=60.0),),
        ),
        Outcomes(Slo()),
    )
    rates = day(
        length_s=HOUR_S,
        peak_per_s=REQUESTS / HOUR_S / 0.385,
        prompt=Lengths(mean_tokens=1155, sigma=0.9, most_tokens=7000),
        output=Lengths(mean_tokens=211, sigma=0.9, most_tokens=1000),
    )
    world.feed("llm", sampled(rates, seed=1))
    world.start_ready("llm", 4 if deciding else 16)
    scraper = Scraper(world, "llm", interval_s=SCRAPE_S, lag_s=SCRAPE_S, keep_s=POLICY.lookback_s)
    hpa = HorizontalPodAutoscaler(HpaConfig(min_replicas=1, max_replicas=40, behavior=wide_open()))
    while world.now_s < HOUR_S or not world.idle:
        world.advance(world.now_s + SCRAPE_S)
        world.waiting()
        if not deciding:
            continue
        scraper.scrape()
        if world.now_s % SYNC_S == 0:
            scale(world, scraper, hpa)
    return world.score()


def scale(world: Cluster, scraper: Scraper, hpa: HorizontalPodAutoscaler) -> None:
    """Decide, and let the HPA act on it."""
    window = scraper.window()
    wanted = decide(window, POLICY).replicas if window else None
    fleet = world.fleets["llm"]
    synced = hpa.sync(
        [ExternalMetric(value=None if wanted is None else float(wanted), target=1.0)],
        now_s=world.now_s,
        spec_replicas=fleet.spec_replicas,
        status_replicas=len(fleet.living),
        ready_replicas=fleet.ready,
    )
    world.set_replicas("llm", synced.replicas)


def main() -> None:
    """Print seconds of one core, and what the hour came to."""
    for name, deciding in (("a fixed fleet", False), ("decided on every 15 s", True)):
        before_s = time.process_time()
        score = run(deciding=deciding)
        spent_s = time.process_time() - before_s
        attained = 100 * (score.slo_attainment or 0.0)
        print(
            f"{name}: {score.requests} requests in {spent_s:.1f} s of one core "
            f"({1e6 * spent_s / score.requests:.1f} us a request); "
            f"{score.gpu_hours:.1f} GPU-hours, {attained:.1f} % within the objective"
        )


if __name__ == "__main__":
    main()
