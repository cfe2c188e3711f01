"""
Lending on traces: what 30/70 lends of what could be lent, and what it does to those who are served.

Run: python -m benchmarks.lending [--quick] [--jobs 1] [--trace NAME] [--output FOLDER]
"""

import argparse
import concurrent.futures
import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence

from benchmarks.lending_cases import CASES, WARM_UP_S, Case, trace
from benchmarks.lending_report import Result, Row, figure, plot, row, table
from benchmarks.lending_ways import WAYS, Way
from scaler.decision.online import averages
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.baselines.lending_oracle import Instant, bound, gpu_hours, unbound
from scaler.simulation.cluster import ClusterConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.keda import kvtide
from scaler.simulation.lenders import Kvtide
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.simulate import Autoscaler, Lender, Run, Setup, simulate
from scaler.simulation.traffic import Arrival

LEND_BELOW = (0.2, 0.3, 0.4, 0.5, 0.65)


def play(
    case: Case, arrivals: list[Arrival], lender: Lender | None, way: Way, cold_s: float = 60.0
) -> Run:
    """Return one run."""
    fleet = FleetConfig(name="llm", engine=case.engine, cold_start_s=cold_s)
    setup = Setup(
        cluster=ClusterConfig(
            nodes=(NodeConfig(name="gpus", units=case.units),),
            fleets=(fleet,),
            jobs=(way.trainer,),
            preempt_training=way.evicts,
        ),
        length_s=case.length_s,
        warm_up_s=WARM_UP_S,
        replicas=case.fixed or case.units // 2,
        min_replicas=max(1, case.reserved),
        max_replicas=case.units,
        scrape_s=case.scrape_s,
    )
    scaler: Autoscaler = (
        FixedFleet(replicas=case.fixed)
        if case.fixed
        else kvtide(
            "kvtide",
            case.inference,
            min_replicas=max(1, case.reserved),
            max_replicas=case.units,
        )
    )
    return simulate(setup, arrivals, scaler, lender=lender)


def watched(case: Case, arrivals: list[Arrival]) -> tuple[Run, list[Instant]]:
    """Return the run without lending, and what an oracle is told of it."""
    watcher = Kvtide(case.lending, case.inference, lends=False)
    run = play(case, arrivals, watcher, WAYS["kvtide"])
    panics = averages(watcher.seen, case.lending.panic_window_s)
    read = {
        round(point.at_s): (point.load, panic)
        for point, panic in zip(watcher.seen, panics, strict=True)
    }
    nothing = (None, None)
    seen = [
        Instant(at_s=m.at_s, load=load, panic_load=panic, held_units=m.inference_units)
        for m in run.moments
        for load, panic in [read.get(round(m.at_s + WARM_UP_S), nothing)]
    ]
    return run, seen


def measure(name: str, ways: Sequence[str], below: Sequence[float]) -> Result:
    """Return everything of one case."""
    case = CASES[name]
    arrivals = trace(case)
    without, seen = watched(case, arrivals)

    def oracle(share: float) -> float:
        policy = dataclasses.replace(case.lending, lend_below=share)
        return gpu_hours(seen, bound(seen, policy), policy)

    rows = {"no lending": told(name, "no lending", row(without, case))}
    for title in ways:
        way = WAYS[title]
        run = play(case, arrivals, way.make(case, seen), way)
        rows[title] = told(name, title, row(run, case))
    sweep = {}
    for share in below:
        policy = dataclasses.replace(case.lending, lend_below=share)
        run = play(case, arrivals, Kvtide(policy, case.inference), WAYS["kvtide"])
        sweep[share] = told(name, f"lendBelow {share}", row(run, case))
    return Result(
        requests=without.score.requests,
        highest_load=max((one.load or 0.0) for one in seen if one.at_s >= 0),
        bound=oracle(case.lending.lend_below),
        unbound=gpu_hours(seen, unbound(seen, case.lending), case.lending),
        bounds={share: oracle(share) for share in LEND_BELOW},
        ways=rows,
        sweep=sweep,
    )


def told(name: str, title: str, figures: Row) -> Row:
    """Say on stderr what is done: the whole takes minutes."""
    print(f"{name}: {title}: {figures}", file=sys.stderr, flush=True)
    return figures


def cold_starts(name: str, seconds: Sequence[float]) -> dict[float, Row]:
    """Return the run without lending by how long a new replica takes."""
    case = CASES[name]
    arrivals = trace(case)
    return {
        cold_s: row(play(case, arrivals, None, WAYS["kvtide"], cold_s), case) for cold_s in seconds
    }


def main() -> None:
    """Print the tables; write figures and the plot to --output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one day, few ways")
    parser.add_argument("--jobs", type=int, default=1, help="cases at once")
    parser.add_argument("--trace", action="append", choices=CASES, help="only these")
    parser.add_argument("--cold-starts", choices=CASES, help="only this case, by cold start")
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    if options.cold_starts:
        for cold_s, one in cold_starts(options.cold_starts, (70, 60, 90, 120, 180, 240)).items():
            print(
                f"| {cold_s:g} s | {figure(one.ttft_p99_s, 2)} | {figure(one.slo, 4)} "
                f"| {one.inference_gpu_hours:.1f} |",
                flush=True,
            )
        return
    names = options.trace or (["monday", "burst"] if options.quick else list(CASES))
    ways = ["kvtide", "PriorityClass, stops in 30 s"] if options.quick else list(WAYS)
    results = {}
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        jobs = {
            name: pool.submit(
                measure,
                name,
                [way for way in ways if name != "burst" or way != "nights by the clock"],
                () if options.quick or name not in {"monday", "deepseek"} else LEND_BELOW,
            )
            for name in names
        }
        for name, job in jobs.items():
            results[name] = job.result()
            print(table(name, results[name]), flush=True)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "lending.json").write_text(
            json.dumps({name: dataclasses.asdict(one) for name, one in results.items()}, indent=1)
            + "\n"
        )
        (options.output / "lending.svg").write_text(plot(results))


if __name__ == "__main__":
    main()
