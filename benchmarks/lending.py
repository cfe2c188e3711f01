"""
Lending on traces: what 30/70 lends of what could be lent, and what it does to those who are served.

Run: python -m benchmarks.lending [--quick] [--trace NAME]... [--way NAME]... [--seeds 3]

Finished runs are kept in build/lending and not played again while the code is the same. The whole
(no --quick, no filter) also writes docs/lending-benchmark.md between its markers, and its plot.
"""

import argparse
import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterator, Sequence

from benchmarks.kept import played
from benchmarks.lending_cases import CASES, SWEPT, Case
from benchmarks.lending_gap import reasons
from benchmarks.lending_report import Oracles, Result, sweeps, table, write_page
from benchmarks.lending_runs import NONE, ROOT, Task, below, play, row, watched, why
from benchmarks.lending_ways import CHECKPOINT_S, OWN, STARTUP_S, WAYS
from scaler.simulation.baselines.lending_oracle import (
    Instant,
    bound,
    gpu_hours,
    trained_hours,
    unbound,
)

LEND_BELOW = (0.2, 0.3, 0.4, 0.5, 0.65)
QUICK = ("burst", "monday")
QUICK_WAYS = (OWN, "PriorityClass, stops in 30 s")


def ways(name: str, asked: argparse.Namespace) -> list[str]:
    """Return the titles of the ways that a case is played with, beside no lending."""
    return [
        title
        for title, way in WAYS.items()
        if (way.everywhere or name in QUICK)
        and (CASES[name].speed > 1 or title != "nights by the clock")
        and (not asked.quick or title in QUICK_WAYS)
        and (not asked.way or title in asked.way)
    ]


def shares(name: str, asked: argparse.Namespace) -> Sequence[float]:
    """Return the thresholds that a case is played at, the default among them."""
    return LEND_BELOW if name in SWEPT and not (asked.quick or asked.way) else ()


def title_at(name: str, share: float) -> str:
    """Return the title of our run at a threshold; at the default that is the way itself."""
    return OWN if share == CASES[name].lending.lend_below else below(share)


def tasks(asked: argparse.Namespace, seeds: Sequence[int]) -> Iterator[Task]:
    """Yield what the tables need beside the runs without lending."""
    for seed, name in itertools.product(seeds, chosen(asked)):
        swept = [title_at(name, share) for share in shares(name, asked)]
        for title in dict.fromkeys((*ways(name, asked), *swept)):
            yield Task(case=name, seed=seed, title=title)


def chosen(asked: argparse.Namespace) -> Sequence[str]:
    """Return the cases that are played."""
    return asked.trace or (QUICK if asked.quick else list(CASES))


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


def result(name: str, seed: int, asked: argparse.Namespace) -> Result:
    """Return everything of one case with one seed, from runs that are kept."""
    case, seen = CASES[name], watched(name, seed)

    def at(title: str) -> Task:
        return Task(case=name, seed=seed, title=title)

    return Result(
        highest_load=max((one.load or 0.0) for one in seen if one.at_s >= 0),
        oracles=oracles(case, seen, case.lending.lend_below),
        by_share={share: oracles(case, seen, share) for share in LEND_BELOW},
        ways={title: row(at(title)) for title in (NONE, *ways(name, asked))},
        sweep={share: row(at(title_at(name, share))) for share in shares(name, asked)},
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0].strip())
    parser.add_argument("--quick", action="store_true", help="one day and the bursts, few ways")
    parser.add_argument("--trace", action="append", choices=CASES, help="only these")
    parser.add_argument("--way", action="append", choices=WAYS, help="only these")
    parser.add_argument("--seeds", type=int, help="1 to N; 3, with --quick 1")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--why", choices=CASES, help="only what the oracle lends and we do not")
    return parser.parse_args()


def main() -> None:
    """Play what is not kept, print the tables, and write the page when all of it was asked for."""
    asked = _arguments()
    if asked.why:
        print(reasons(why(asked.why, seed=1)))
        return
    seeds = range(1, (asked.seeds or (1 if asked.quick else 3)) + 1)
    # The clock's hours are chosen by what the run without lending held, so that comes first.
    pairs = itertools.product(seeds, chosen(asked))
    without = [Task(case=name, seed=seed, title=NONE) for seed, name in pairs]
    cpu_s = 0.0
    for some in (without, list(tasks(asked, seeds))):
        for found in played(some, play, asked.processes, told="{case}  {seed}  {title}".format_map):
            cpu_s += found["cpu_s"]
    print(f"{cpu_s / 60:.1f} minutes of CPU in all, kept runs included", file=sys.stderr)
    results = {name: [result(name, seed, asked) for seed in seeds] for name in chosen(asked)}
    for name, each in results.items():
        print(table(name, each))
    print(sweeps(results))
    if not (asked.trace or asked.way or asked.quick):
        write_page(results, ROOT / "docs")


if __name__ == "__main__":
    main()
