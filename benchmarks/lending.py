"""
Lending on traces: what 30/70 lends of what could be lent, and what it does to those who are served.

Run: python -m benchmarks.lending [--quick] [--jobs 1] [--trace NAME] [--output FOLDER]
"""

import argparse
import concurrent.futures
import csv
import dataclasses
import gzip
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.lending_plot import shares
from scaler.decision.online import averages
from scaler.decision.policy import InferencePolicy, LendingPolicy, LoadBase, StepCost
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.baselines.lending_oracle import Instant, bound, gpu_hours, unbound
from scaler.simulation.cluster import ClusterConfig
from scaler.simulation.engine import EngineConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.keda import kvtide
from scaler.simulation.lenders import Clock, Everything, Kvtide
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.simulate import Autoscaler, Lender, Run, Setup, repeated, simulate
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled, scaled
from scaler.simulation.training import TrainingConfig

DATA = pathlib.Path(os.environ.get("KVTIDE_DATA", "../shared/data")) / "traces"
L40S_8B = EngineConfig(
    step_cost=StepCost(a_s=0.023, b_s=0.00019, c_s=0.00007),
    num_blocks=11_900,
    max_num_seqs=256,
    max_num_batched_tokens=2048,
    max_model_len=16_384,
)
"""8B, bf16: 16 GB and 131 kB a token at 0.7 TB/s, 16 GFLOP a token at 230 TFLOP/s; rooflines."""
MIG_1G = EngineConfig(
    step_cost=StepCost(a_s=0.019, b_s=0.000185, c_s=0.000113),
    num_blocks=1_500,
    max_num_seqs=64,
    max_num_batched_tokens=2048,
    max_model_len=8_192,
)
"""1.5B, bf16, on a seventh of an A100 (5 GB): an 8B model's weights would not fit; rooflines."""
CODE = (Lengths(mean_tokens=2540, sigma=1.0, most_tokens=7700), Lengths(mean_tokens=28))
CHAT = (Lengths(mean_tokens=1155, sigma=0.9, most_tokens=7000), Lengths(mean_tokens=211, sigma=0.9))
WARM_UP_S = 1800.0
LEND_BELOW = (0.2, 0.3, 0.4, 0.5, 0.65)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One trace on one pool."""

    name: str
    speed: float
    """How much faster than in the field its day passes."""
    length_s: float
    scrape_s: float = 15.0
    units: int = 8
    reserved: int = 0
    fixed: int | None = None
    """Replicas of a fleet of fixed size; None: kvtide scales it."""
    engine: EngineConfig = L40S_8B
    peak: float = 0.72
    """Work of the busiest span over what the pool may safely do."""

    @property
    def lending(self) -> LendingPolicy:
        """The defaults, with the six hours of the latch as fast as the day."""
        return LendingPolicy(
            pool_units=self.units,
            reserved_units=max(self.reserved, self.fixed or 0),
            latch_lookback_s=21_600 / self.speed,
            load_base=LoadBase.POOL if self.fixed is None else LoadBase.SERVICE,
        )

    @property
    def inference(self) -> InferencePolicy:
        """The defaults; the delay is what auto comes to at this cold start."""
        return InferencePolicy(
            min_replicas=max(1, self.reserved),
            max_replicas=self.units,
            itl_target_s=0.1,
            scale_down_delay_s=300.0,
        )


DAY_S = 86_400.0
CASES = {
    "week": Case(name="week", speed=7.0, length_s=DAY_S),
    "monday": Case(name="monday", speed=7.0, length_s=DAY_S / 7),
    "deepseek": Case(name="deepseek", speed=6.0, length_s=DAY_S / 6),
    "burst": Case(name="burst", speed=1.0, length_s=3436.0, scrape_s=5.0, units=16),
    "fixed": Case(name="fixed", speed=7.0, length_s=DAY_S / 7, fixed=6),
    "mig": Case(name="mig", speed=6.0, length_s=DAY_S / 6, units=7, reserved=3, engine=MIG_1G),
}
"""monday and fixed are a day of the week trace, mig the deepseek day on 3 + 4 slices."""


def trace(case: Case) -> list[Arrival]:
    """Return the requests of a case with its warm-up before them."""
    if case.name == "burst":
        with gzip.open(DATA / "azure2023_code.csv.gz", "rt") as file:
            rows = csv.DictReader(file)
            read = [
                Arrival(float(r["arrival_s"]), int(r["prompt_tokens"]), int(r["output_tokens"]))
                for r in rows
            ]
        arrivals = list(scaled(read, 2, seed=1))
    else:
        arrivals = list(sampled(_rates(case), seed=1))
    return repeated(arrivals, case.length_s, WARM_UP_S)


def _rates(case: Case) -> Iterable[Rate]:
    chat = case.name in {"deepseek", "mig"}
    prompt, output = CHAT if chat else CODE
    shape = _shape(chat=chat)
    cost = case.engine.step_cost
    request_s = prompt.mean_tokens * cost.c_s + output.mean_tokens * cost.b_s
    full = case.peak * case.units * 0.87 / request_s / max(shape)
    span_s = (900.0 if chat else 600.0) / case.speed
    if case.name in {"monday", "fixed"}:
        shape = shape[3 * 144 : 4 * 144]
    for number, share in enumerate(shape):
        yield Rate(
            start_s=number * span_s,
            end_s=(number + 1) * span_s,
            per_s=share * full,
            prompt=prompt,
            output=output,
        )


def _shape(*, chat: bool) -> list[float]:
    name, column = (
        ("deepseek_v3r1_24h_15min.csv", "load_rel_to_peak_hour")
        if chat
        else ("azure2024_code_1week_10min_digitized.csv.gz", "requests_per_min")
    )
    raw = (DATA / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith("gz") else raw).decode()
    return [float(row[column]) for row in csv.DictReader(text.splitlines())]


Make = Callable[[Case, Sequence[Instant]], Lender]
TRAINER = TrainingConfig(name="train")
SLOW = dataclasses.replace(TRAINER, checkpoint_s=1200.0, grace_s=1200.0)
HARD = dataclasses.replace(TRAINER, grace_s=0.0)
QUICK_TRAINER = dataclasses.replace(TRAINER, checkpoint_s=30.0, grace_s=30.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """One way to lend, with the trainer that borrows."""

    make: Make
    trainer: TrainingConfig = TRAINER
    evicts: bool = False


def _ours(case: Case, _: Sequence[Instant], **changes: object) -> Kvtide:
    lending = dataclasses.replace(case.lending, **changes)  # type: ignore[arg-type] # field names
    return Kvtide(lending, case.inference)


def _slow(case: Case, seen: Sequence[Instant]) -> Kvtide:
    return _ours(case, seen, reclaim_time_s=1200.0)


def _two_spare(case: Case, seen: Sequence[Instant]) -> Kvtide:
    return _ours(case, seen, headroom_units=2)


def _no_headroom(case: Case, seen: Sequence[Instant]) -> Kvtide:
    return _ours(case, seen, headroom_units=0)


def _nights(case: Case, seen: Sequence[Instant]) -> Clock:
    """The eight hours in which the day's inference holds least, with what they always leave."""
    hour_s = 3600 / case.speed

    def most_held(start_h: int) -> int:
        return max(
            one.held_units
            for one in seen
            if one.at_s >= 0 and (one.at_s / hour_s - start_h) % 24 < 8
        )

    start_h = min(range(24), key=most_held)
    return Clock(
        workers=case.units - most_held(start_h),
        start_h=start_h,
        length_h=8,
        hour_s=hour_s,
        shift_s=WARM_UP_S,
    )


def _everything(case: Case, _: Sequence[Instant]) -> Everything:
    return Everything(workers=case.units)


WAYS: dict[str, Way] = {
    "kvtide": Way(make=_ours),
    "kvtide + PriorityClass": Way(make=_ours, evicts=True),
    "kvtide, no headroom": Way(make=_no_headroom),
    "kvtide, 2 spare": Way(make=_two_spare),
    "kvtide, trainer stops in 20 min": Way(make=_slow, trainer=SLOW),
    "kvtide, trainer killed at once": Way(make=_ours, trainer=HARD),
    "nights by the clock": Way(make=_nights, evicts=True),
    "PriorityClass, stops in 30 s": Way(make=_everything, trainer=QUICK_TRAINER, evicts=True),
    "PriorityClass, stops in 20 min": Way(make=_everything, trainer=SLOW, evicts=True),
}


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
    run = play(case, arrivals, watcher, Way(make=_ours))
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The figures of a run that the table shows."""

    training_gpu_hours: float
    """Work that was kept or is under way."""
    lent_gpu_hours: float
    """What workers held, starting ones included."""
    lost_gpu_hours: float
    ttft_p99_s: float | None
    slo: float | None
    inference_gpu_hours: float
    reclaim_p50_s: float | None
    reclaim_p99_s: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Everything of one case; hours of the oracles, and rows by way and by ``lendBelow``."""

    requests: int
    highest_load: float
    bound: float
    unbound: float
    bounds: dict[float, float]
    ways: dict[str, Row]
    sweep: dict[float, Row]


def row(run: Run, case: Case) -> Row:
    """Return the figures of a run."""
    score = run.score
    held = sum(m.workers for m in run.moments if m.at_s >= 0) * case.scrape_s / 3600
    return Row(
        training_gpu_hours=score.training_gpu_hours,
        lent_gpu_hours=held,
        lost_gpu_hours=score.training_lost_gpu_hours,
        ttft_p99_s=score.ttft_s.p99,
        slo=score.slo_attainment,
        inference_gpu_hours=score.gpu_hours,
        reclaim_p50_s=score.reclaim_s.p50,
        reclaim_p99_s=score.reclaim_s.p99,
    )


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
        cold_s: row(play(case, arrivals, None, Way(make=_ours), cold_s), case) for cold_s in seconds
    }


def table(name: str, result: Result) -> str:
    """Return one case as a Markdown table."""
    bounds = ", ".join(f"{below:g}: {hours:.1f}" for below, hours in result.bounds.items())
    head = (
        f"\n**{name}**: {result.requests} requests, highest online load {result.highest_load:.2f}; "
        f"unbound oracle {result.unbound:.1f} GPU-hours, bound by lendBelow {bounds}\n"
    )
    columns = (
        "| way | training GPU-h | of bound | of unbound | lost | TTFT p99 s | SLO "
        "| inference GPU-h | reclaim p50/p99 s |\n|---|---|---|---|---|---|---|---|---|"
    )
    rows = [_line(title, one, result.bound, result.unbound) for title, one in result.ways.items()]
    rows += [
        _line(f"lendBelow {below:g}", one, result.bounds[below], result.unbound)
        for below, one in result.sweep.items()
    ]
    return "\n".join((head, columns, *rows))


def _line(title: str, one: Row, most: float, free: float) -> str:
    done, lost = one.training_gpu_hours, one.lost_gpu_hours
    cells = (
        title,
        f"{done:.2f}",
        _percent(done, most),
        _percent(done, free),
        _percent(lost, done + lost),
        _figure(one.ttft_p99_s, 3),
        _figure(one.slo, 4),
        f"{one.inference_gpu_hours:.1f}",
        f"{_figure(one.reclaim_p50_s, 0)}/{_figure(one.reclaim_p99_s, 0)}",
    )
    return f"| {' | '.join(cells)} |"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def plot(results: Mapping[str, Result]) -> str:
    """Return the price of the rule: shares of what the unbound oracle lends, over lendBelow."""
    series: dict[str, list[tuple[float, float]]] = {}
    for name, result in results.items():
        free = result.unbound
        if not free:
            continue
        series[f"{name}: bound oracle"] = [(b, 100 * h / free) for b, h in result.bounds.items()]
        if result.sweep:
            series[f"{name}: kvtide"] = [
                (below, 100 * one.training_gpu_hours / free) for below, one in result.sweep.items()
            ]
    return shares(series)


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
                f"| {cold_s:g} s | {_figure(one.ttft_p99_s, 2)} | {_figure(one.slo, 4)} "
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
