"""
Lending on traces: what 30/70 lends of what could be lent, and what it does to those who are served.

Run: python -m benchmarks.lending [--quick] [--trace NAME]... [--seed 1]

Finished runs are kept in build/lending and not played again while the code is the same. The whole
(no --quick, no filter) also writes docs/lending-benchmark.md between its markers, and its plot.
"""

import argparse
import dataclasses
import functools
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.kept import code, file_of, kept
from benchmarks.lending_cases import CASES, SWEPT, WARM_UP_S, Case, trace
from benchmarks.lending_gap import gap, reasons
from benchmarks.lending_report import NONE, Oracles, Result, Row, row, table, write_page
from benchmarks.lending_ways import CHECKPOINT_S, OWN, STARTUP_S, WAYS, Way
from scaler.decision.online import averages
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.baselines.lending_oracle import (
    Instant,
    bound,
    gpu_hours,
    trained_hours,
    unbound,
)
from scaler.simulation.cluster import ClusterConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.keda import kvtide
from scaler.simulation.lenders import Kvtide
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.simulate import Autoscaler, Lender, Run, Setup, simulate
from scaler.simulation.traffic import Arrival

ROOT = pathlib.Path(__file__).parent.parent
KEPT = ROOT / "build" / "lending"
LEND_BELOW = (0.2, 0.3, 0.4, 0.5, 0.65)
QUICK = ("burst", "monday")


def play(case: Case, arrivals: list[Arrival], lender: Lender, way: Way) -> Run:
    """Return one run."""
    fleet = FleetConfig(name="llm", engine=case.engine, cold_start_s=60.0)
    setup = Setup(
        cluster=ClusterConfig(
            nodes=(NodeConfig(name="gpus", units=case.units),),
            fleets=(fleet,),
            jobs=(way.trainer(case),),
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


@functools.lru_cache(maxsize=1)
def requests_of(name: str, seed: int) -> list[Arrival]:
    """Return the requests of a case; runs that are kept need none."""
    return trace(CASES[name], seed)


@dataclasses.dataclass(frozen=True, slots=True)
class Player:
    """One case with one seed."""

    name: str
    seed: int

    @property
    def case(self) -> Case:
        """What is played."""
        return CASES[self.name]

    def watched(self) -> tuple[Row, list[Instant]]:
        """Return the run without lending, and what an oracle is told of it."""
        figures = self._kept(NONE, self._watch)
        return Row(**figures["row"]), [Instant(**one) for one in figures["instants"]]

    def _watch(self) -> dict[str, object]:
        case = self.case
        watcher = Kvtide(case.lending, case.inference, lends=False)
        run = play(case, requests_of(self.name, self.seed), watcher, WAYS[OWN])
        loads = watcher.seen
        panics = averages(loads, case.lending.panic_window_s)
        read = {
            round(point.at_s): (point.load, panic)
            for point, panic in zip(loads, panics, strict=True)
        }
        nothing = (None, None)
        instants = [
            Instant(at_s=m.at_s, load=load, panic_load=panic, held_units=m.inference_units)
            for m in run.moments
            for load, panic in [read.get(round(m.at_s + WARM_UP_S), nothing)]
        ]
        return {
            "row": dataclasses.asdict(row(run, case)),
            "instants": [dataclasses.asdict(one) for one in instants],
        }

    def way(self, title: str, seen: Sequence[Instant]) -> Row:
        """Return the run of one way."""
        way = WAYS[title]
        return self._row(title, way, lambda: way.make(self.case, seen))

    def why(self) -> dict[str, float]:
        """Return the hours that the bound oracle lends and we do not, by the reason given."""
        case, (_, seen) = self.case, self.watched()
        lender = Kvtide(case.lending, case.inference)
        run = play(case, requests_of(self.name, self.seed), lender, WAYS[OWN])
        most = bound(seen, case.lending)
        return gap(run.moments, most, lender.decisions, warm_up_s=WARM_UP_S)

    def below(self, share: float) -> Row:
        """Return our run at another ``lendBelow``."""
        if share == self.case.lending.lend_below:
            return self.way(OWN, ())
        policy = dataclasses.replace(self.case.lending, lend_below=share)
        lender = functools.partial(Kvtide, policy, self.case.inference)
        return self._row(f"lendBelow {share:g}", WAYS[OWN], lender)

    def _row(self, title: str, way: Way, lender: Callable[[], Lender]) -> Row:
        def now() -> dict[str, object]:
            began_s = time.process_time()
            run = play(self.case, requests_of(self.name, self.seed), lender(), way)
            found = row(run, self.case)
            cpu_s = time.process_time() - began_s
            print(
                f"{self.name}: {title}: {found} ({cpu_s:.0f} s of CPU)", file=sys.stderr, flush=True
            )
            return dataclasses.asdict(found)

        return Row(**self._kept(title, now))

    def _kept(self, title: str, play: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        about = [title, self.seed, dataclasses.asdict(self.case), _code()]
        of = {"case": self.name, "run": title, "seed": self.seed}
        found = kept(file_of(KEPT, about), lambda: {**of, "figures": play()})
        return dict(found["figures"])


@functools.cache
def _code() -> str:
    """Return a fingerprint of all code that a run depends on."""
    return code(
        [
            *sorted((ROOT / "scaler" / "simulation").rglob("*.py")),
            *sorted((ROOT / "scaler" / "decision").rglob("*.py")),
            *(ROOT / "benchmarks" / f"lending_{part}.py" for part in ("cases", "ways")),
        ]
    )


def oracles(case: Case, seen: Sequence[Instant], share: float) -> Oracles:
    """Return what could have been lent under a threshold, and what a trainer could make of it."""
    policy = dataclasses.replace(case.lending, lend_below=share)
    ruled, free = bound(seen, policy), unbound(seen, policy)
    trained = functools.partial(
        trained_hours,
        seen,
        policy=policy,
        startup_s=STARTUP_S,
        checkpoint_s=CHECKPOINT_S,
    )
    return Oracles(
        bound=gpu_hours(seen, ruled, policy),
        unbound=gpu_hours(seen, free, policy),
        trained=trained(ruled),
    )


def measure(name: str, seed: int, *, quick: bool, only: Sequence[str]) -> Result:
    """Return everything of one case; ``only`` some ways, or all where none is named."""
    case, player = CASES[name], Player(name, seed)
    without, seen = player.watched()
    ways = [
        title
        for title, way in WAYS.items()
        if (way.everywhere or name in QUICK)
        and (case.speed > 1 or title != "nights by the clock")
        and (not quick or title in {OWN, "PriorityClass, stops in 30 s"})
        and (not only or title in only)
    ]
    rows = {title: player.way(title, seen) for title in ways}
    shares = LEND_BELOW if name in SWEPT and not (quick or only) else ()
    return Result(
        highest_load=max((one.load or 0.0) for one in seen if one.at_s >= 0),
        oracles=oracles(case, seen, case.lending.lend_below),
        by_share={share: oracles(case, seen, share) for share in LEND_BELOW},
        ways={NONE: without, **rows},
        sweep={share: player.below(share) for share in shares},
    )


def main() -> None:
    """Play what is not kept, print the tables, and write the page when all of it was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0].strip())
    parser.add_argument("--quick", action="store_true", help="one day and the bursts, few ways")
    parser.add_argument("--trace", action="append", choices=CASES, help="only these")
    parser.add_argument("--way", action="append", choices=WAYS, help="only these")
    parser.add_argument("--seed", type=int, default=1, help="another draw; the page shows 1")
    parser.add_argument("--why", choices=CASES, help="only what the oracle lends and we do not")
    options = parser.parse_args()
    if options.why:
        print(reasons(Player(options.why, options.seed).why()))
        return
    results = {}
    for name in options.trace or (QUICK if options.quick else list(CASES)):
        results[name] = measure(name, options.seed, quick=options.quick, only=options.way or ())
        print(table(name, results[name]), flush=True)
    if options.seed == 1 and not (options.trace or options.way or options.quick):
        write_page(results, ROOT / "docs")


if __name__ == "__main__":
    main()
