"""
Every policy beside ours on real traces: SLO attainment against GPU-hours, swept over its knob.

Run: python -m benchmarks.policies [--quick | --full] [--trace NAME]... [--policy NAME]...

Three days are also played slower, with every policy at its defaults (policy_days.py).

Finished runs are kept in build/policies as JSON and are not played again while the code they
depend on is the same; an interrupted run goes on where it was. The whole table (no --quick, no
filter) also writes docs/benchmarks.md between its markers, and the plots beside it.
"""

import argparse
import dataclasses
import functools
import itertools
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.kept import code, file_of, kept, played
from benchmarks.policy_days import DAYS
from benchmarks.policy_days_report import days_table, write_days
from benchmarks.policy_report import OWN, Point, print_goals, write_page
from benchmarks.policy_traces import BY_NAME, QUICK, TraceSpec, arrivals_of, folder
from scaler.decision.policy import Forecast
from scaler.simulation.baselines.bound import lower_bound_gpu_hours
from scaler.simulation.baselines.catalog import NAMED, Terms, named, own_defaults, terms_of
from scaler.simulation.baselines.oracle import oracle
from scaler.simulation.keda import kvtide
from scaler.simulation.presets import one_fleet
from scaler.simulation.simulate import Autoscaler, Run, Setup, simulate

ROOT = pathlib.Path(__file__).parent.parent
KEPT = ROOT / "build" / "policies"
GPUS = 40
COLD_START_S = 60.0
SPECS = BY_NAME | {spec.name: spec for spec in DAYS}

RIVALS = {
    "fixed": (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 22, 25, 30),
    "hpa-gpu": (0.95, 0.9, 0.7, 0.5),
    "hpa-rps": (1.0, 0.7, 0.5, 0.35, 0.25),
    "keda-queue": (20.0, 2.0, 1.0),
    "keda-kv": (0.4, 0.2, 0.1, 0.05),
    "knative": (10.0, 30.0, 60.0),
    "knative-300s": (10.0, 20.0, 40.0, 70.0),
    "aibrix-apa": (0.2, 0.1, 0.05),
    "aibrix-apa-steady": (0.2, 0.1, 0.05),
    "token-velocity": (0.8, 0.6, 0.4, 0.25),
    "llm-d-tokens": (0.5, 0.1),
    "llm-d-tokens-fast": (0.5, 0.1, 0.02),
    "ray-serve": (10.0, 25.0, 60.0, 120.0),
    "slo-planner": (0.5, 0.25, 0.15, 0.11),
    "slo-planner-both": (0.5, 0.25, 0.15, 0.11),
}
"""What each knob is set to beside its default; requests per second as shares of the safe rate."""
FIXED_ON_DAYS = (3, 4, 5, 6, 7, 8, 9, 10)
FLOORS = (4, 8, 11, 14, 17)
FLOORED = {"knative-300s": (20.0, 40.0), "hpa-rps": (0.7,)}
"""Rivals that are also given a least count of replicas, by hindsight, with these knobs."""
QUICK_RIVALS = ("fixed", "hpa-rps", "knative-300s", "ray-serve", "slo-planner-both")
OWN_QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.99)
OWN_DELAYS_S = (60.0, 120.0, 300.0, 600.0)
OWN_TARGETS = (0.8, 0.9)
OWN_PAIRS = (
    "quantile=off",
    "quantile=off,delay=60",
    "quantile=off,delay=120",
    "quantile=off,delay=60,target=0.8",
    "quantile=off,delay=60,target=0.9",
    "quantile=off,delay=120,target=0.9",
    "quantile=off,delay=300,target=0.9",
    "quantile=0.5,delay=60,target=0.8",
    "quantile=0.8,delay=60",
    "quantile=0.8,delay=60,target=0.8",
    "quantile=0.9,delay=60,target=0.8",
    "quantile=0.9,delay=120,target=0.8",
    "quantile=0.95,delay=60",
    "quantile=0.95,delay=120",
    "quantile=0.95,delay=300",
    "quantile=0.95,delay=450",
    "quantile=0.99,delay=600",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run; everything in it is what its result depends on, but for the code."""

    trace: str
    policy: str
    setting: str
    """The knob as text: ``default``, ``20``, ``20,min=14``; for ours ``quantile=0.9,delay=60``."""
    seed: int

    @property
    def path(self) -> pathlib.Path:
        """Where its result is kept, for the code as it is."""
        of_trace = ("policy_traces",) if self.trace in BY_NAME else ("policy_traces", "policy_days")
        about = [dataclasses.asdict(self), _about(self), _code(self.policy, *of_trace)]
        return file_of(KEPT, about, prefix=f"{self.trace}-{self.policy}-")


def _about(task: Task) -> str:
    spec = SPECS[task.trace]
    return f"{spec.about} {spec.warm_up_s} {spec.length_s} {GPUS} {COLD_START_S}"


_OF_TRAINING = ("lenders", "lending", "lending_oracle", "online", "pool", "training", "workers")
"""Modules that no run here reaches: nobody lends."""


@functools.cache
def _code(policy: str, *traces: str) -> str:
    """Return a fingerprint of the code that a policy's run and the traces depend on."""
    shared = ("average", "demand", "kpa", "pace", "point", "sample", "sliding", "window")
    files = sorted((ROOT / "scaler" / "simulation").rglob("*.py"))
    if policy == OWN:
        files += sorted((ROOT / "scaler" / "decision").rglob("*.py"))
    else:
        files += [ROOT / "scaler" / "decision" / f"{name}.py" for name in shared]
        files += sorted((ROOT / "scaler" / "decision" / "facts").glob("*.py"))
    files = [path for path in files if path.stem not in _OF_TRAINING]
    files += (ROOT / "benchmarks" / f"{name}.py" for name in traces)
    return code(files)


def _setup(spec: TraceSpec, seed: int, floor: int = 1) -> Setup:
    return Setup(
        cluster=one_fleet(gpus=GPUS, cold_start_s=COLD_START_S, seed=seed),
        length_s=spec.length_s,
        warm_up_s=spec.warm_up_s,
        replicas=max(4, floor),
        min_replicas=floor,
        max_replicas=GPUS,
    )


def play(task: Task) -> dict[str, Any]:
    """Return the figures of one run, from where they are kept or played now."""
    return kept(task.path, lambda: _play(task))


def _play(task: Task) -> dict[str, Any]:
    spec = SPECS[task.trace]
    _, _, floor = task.setting.partition(",min=")
    setup, arrivals = _setup(spec, task.seed, int(floor or 1)), arrivals_of(spec, task.seed)
    began_s = time.process_time()
    run: Run | None
    bound: float | None = None
    if task.policy == "oracle":
        run = oracle(setup, arrivals, attainment=float(task.setting))
        bound = lower_bound_gpu_hours(setup, arrivals, attainment=float(task.setting))
    else:
        run = simulate(setup, arrivals, _autoscaler(task, terms_of(setup, arrivals)))
    return {
        **dataclasses.asdict(task),
        "name": (run.name if run else "oracle") + (f", {floor} at least" if floor else ""),
        "lower_bound_gpu_hours": bound,
        "score": dataclasses.asdict(run.score) if run else None,
        "cpu_s": round(time.process_time() - began_s, 1),
    }


def _autoscaler(task: Task, terms: Terms) -> Autoscaler:
    if task.policy == OWN:
        return _own(task.setting, terms)
    if task.setting == "default":
        return named(task.policy, terms)
    knob = float(task.setting.partition(",")[0])
    if task.policy == "hpa-rps":
        knob *= terms.safe_rps
    return NAMED[task.policy].make(knob, terms)


def _own(setting: str, terms: Terms) -> Autoscaler:
    policy = own_defaults(terms)
    for part in setting.split(",") if setting != "default" else ():
        name, _, value = part.partition("=")
        if name == "delay":
            policy = dataclasses.replace(policy, scale_down_delay_s=float(value))
        elif name == "target":
            policy = dataclasses.replace(policy, target_utilization=float(value))
        elif value == "off":
            policy = dataclasses.replace(policy, forecast=Forecast.OFF)
        else:
            policy = dataclasses.replace(
                policy, forecast=Forecast.RISE, forecast_quantile=float(value)
            )
    return kvtide(f"{OWN} {setting}", policy, max_replicas=terms.most)


def tasks(asked: argparse.Namespace) -> Iterator[Task]:
    """Yield the runs, each trace's one after another."""
    chosen = asked.trace or (QUICK if asked.quick else list(SPECS))
    seeds = range(1, (asked.seeds or (3 if asked.full else 1 if asked.quick else 2)) + 1)
    of_a_day = range(1, (asked.seeds or 1) + 1)
    for trace in filter(_is_there, chosen):
        if trace not in BY_NAME:
            for seed, (policy, setting) in itertools.product(of_a_day, _points_of_a_day(asked)):
                yield Task(trace=trace, policy=policy, setting=setting, seed=seed)
            continue
        for seed in seeds:
            for policy, setting in _points(asked, sweep=seed == 1 or asked.full):
                yield Task(trace=trace, policy=policy, setting=setting, seed=seed)


def _is_there(trace: str) -> bool:
    spec = SPECS[trace]
    if not spec.published or (folder() / spec.file).exists():
        return True
    print(f"{trace}: skipped, for want of {spec.file} in {folder()} (from {spec.published})")
    return False


def _points_of_a_day(asked: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield every policy at its defaults, our targets, fleets of a fixed size, and the oracle."""
    yield from _points(asked, sweep=False)
    if not asked.policy or OWN in asked.policy:
        yield from ((OWN, f"target={each:g}") for each in OWN_TARGETS)
    if not asked.policy or "fixed" in asked.policy:
        yield from (("fixed", str(count)) for count in FIXED_ON_DAYS)
    if not asked.policy or "oracle" in asked.policy:
        yield "oracle", "0.99"


def _points(asked: argparse.Namespace, *, sweep: bool) -> Iterator[tuple[str, str]]:
    """Yield policies with a setting each; without a sweep, each at its defaults."""
    rivals = [name for name in RIVALS if not asked.quick or name in QUICK_RIVALS]
    wanted = asked.policy or ["oracle", OWN, *rivals]
    for policy in wanted:
        if policy == "oracle":
            yield from ((policy, level) for level in (("0.99",) if sweep else ()))
            continue
        if policy != "fixed":
            yield policy, "default"
        if not sweep:
            continue
        if policy == OWN:
            yield from ((policy, f"quantile={each:g}") for each in OWN_QUANTILES)
            yield from ((policy, f"delay={each:g}") for each in OWN_DELAYS_S)
            yield from ((policy, f"target={each:g}") for each in OWN_TARGETS)
            yield from ((policy, setting) for setting in OWN_PAIRS)
        else:
            yield from ((policy, f"{each:g}") for each in RIVALS[policy])
            for knob in FLOORED.get(policy, ()):
                yield from ((policy, f"{knob:g},min={floor}") for floor in FLOORS)


def points(found: Iterable[dict[str, Any]]) -> list[Point]:
    """Return what the report needs of the results, in a fixed order."""
    each = [
        Point(
            trace=one["trace"],
            policy=one["policy"],
            setting=one["setting"],
            name=one["name"],
            seed=one["seed"],
            gpu_hours=one["score"]["gpu_hours"],
            attainment=one["score"]["slo_attainment"] or 0.0,
            ttft_p99_s=one["score"]["ttft_s"]["p99"],
            most=one["score"]["max_replicas"],
            lower_bound_gpu_hours=one["lower_bound_gpu_hours"],
        )
        for one in found
        if one["score"] is not None
    ]
    return sorted(each, key=lambda p: (p.trace, p.seed, p.policy, p.gpu_hours, p.setting))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0].strip())
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="three traces, the best rivals")
    size.add_argument("--full", action="store_true", help="every point with three seeds")
    parser.add_argument("--trace", action="append", choices=SPECS, help="only these")
    policies = ["oracle", OWN, *RIVALS]
    parser.add_argument("--policy", action="append", choices=policies, help="only these")
    parser.add_argument("--seeds", type=int, help="1 to N; the sweep is played with the first")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--print-only", action="store_true", help="write no page and no plots")
    return parser.parse_args()


def main() -> None:
    """Play, print the goals, and write the page."""
    asked = _arguments()
    chosen = list(tasks(asked))
    told = "{trace}  {name}".format_map
    every = points(played(chosen, play, asked.processes, told=told))
    print_goals(every)
    print(days_table(every))
    is_whole = not (asked.quick or asked.trace or asked.policy or asked.print_only)
    if is_whole:
        write_page(every, ROOT / "docs")
        write_days(every, ROOT / "docs")


if __name__ == "__main__":
    main()
