"""Runs of the lending benchmark: one case, one seed, one way to lend; played once and kept."""

import dataclasses
import functools
import itertools
import math
import pathlib
import time
from typing import Any

from benchmarks.kept import code, file_of, kept
from benchmarks.lending_cases import CASES, WARM_UP_S, Case, trace
from benchmarks.lending_gap import gap
from benchmarks.lending_ways import OWN, WAYS, Way
from scaler.decision.online import Online, averages
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.baselines.lending_oracle import Instant, bound
from scaler.simulation.cluster import ClusterConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.keda import kvtide
from scaler.simulation.lenders import Kvtide, Watcher
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.simulate import Autoscaler, Lender, Run, Setup, simulate
from scaler.simulation.traffic import Arrival

ROOT = pathlib.Path(__file__).parent.parent
KEPT = ROOT / "build" / "lending"
NONE = "no lending"
_BELOW = "lendBelow "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The figures of a run that the tables show."""

    requests: int
    training_gpu_hours: float
    """Work that was kept or is under way."""
    lost_gpu_hours: float
    ttft_p99_s: float | None
    slo: float | None
    inference_gpu_hours: float
    told_to_go: int
    """Workers, as seen from scrape to scrape."""
    reclaim_p50_s: float | None
    reclaim_p99_s: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run."""

    case: str
    seed: int
    title: str
    """:data:`NONE`, one of the ways, or ours :func:`below` another threshold."""


def below(share: float) -> str:
    """Return the title of our run at another ``lendBelow``."""
    return f"{_BELOW}{share:g}"


def play(task: Task) -> dict[str, Any]:
    """Return one run as JSON says it, from where it is kept or played now."""
    about = [task.title, task.seed, dataclasses.asdict(CASES[task.case]), _code()]
    return kept(file_of(KEPT, about), lambda: _play(task))


def row(task: Task) -> Row:
    """Return the figures of one run."""
    return Row(**play(task)["row"])


def watched(name: str, seed: int) -> list[Instant]:
    """Return what an oracle is told of a case: its run without lending."""
    found = play(Task(case=name, seed=seed, title=NONE))
    return [Instant(**one) for one in found["instants"]]


def why(name: str, seed: int) -> dict[str, float]:
    """Return the hours that the bound oracle lends and we do not, by the reason given."""
    case = CASES[name]
    lender = Kvtide(case.lending, case.inference)
    run = _run(case, _requests(name, seed), lender, WAYS[OWN])
    most = bound(watched(name, seed), case.lending)
    return gap(run.moments, most, lender.decisions, warm_up_s=WARM_UP_S)


@functools.cache
def _code() -> str:
    """Return a fingerprint of all code that a run depends on."""
    return code(
        [
            *sorted((ROOT / "scaler" / "simulation").rglob("*.py")),
            *sorted((ROOT / "scaler" / "decision").rglob("*.py")),
            *(ROOT / "benchmarks" / f"lending_{part}.py" for part in ("cases", "runs", "ways")),
        ]
    )


@functools.lru_cache(maxsize=1)
def _requests(name: str, seed: int) -> list[Arrival]:
    return trace(CASES[name], seed)


def _play(task: Task) -> dict[str, Any]:
    case, way = CASES[task.case], WAYS.get(task.title, WAYS[OWN])
    requests = _requests(task.case, task.seed)
    lender = _lender(task)
    began_s = time.process_time()
    run = _run(case, requests, lender, way)
    seen = _instants(case, lender, run) if isinstance(lender, Watcher) else []
    return {
        **dataclasses.asdict(task),
        "cpu_s": round(time.process_time() - began_s, 1),
        "row": dataclasses.asdict(_row(run)),
        "instants": [dataclasses.asdict(one) for one in seen],
    }


def _lender(task: Task) -> Lender:
    case = CASES[task.case]
    if task.title == NONE:
        return Watcher(case.lending, case.inference)
    if task.title.startswith(_BELOW):
        share = float(task.title.removeprefix(_BELOW))
        return Kvtide(dataclasses.replace(case.lending, lend_below=share), case.inference)
    return WAYS[task.title].make(case, watched(task.case, task.seed))


def _run(case: Case, arrivals: list[Arrival], lender: Lender, way: Way) -> Run:
    fleet = FleetConfig(name="llm", engine=case.engine, cold_start_s=60.0)
    least = max(1, case.reserved)
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
        min_replicas=least,
        max_replicas=case.units,
    )
    scaler: Autoscaler = (
        FixedFleet(replicas=case.fixed)
        if case.fixed
        else kvtide("kvtide", case.inference, min_replicas=least, max_replicas=case.units)
    )
    return simulate(setup, arrivals, scaler, lender=lender)


def _instants(case: Case, watcher: Watcher, run: Run) -> list[Instant]:
    loads = watcher.seen
    panics = averages(Online.of(loads), case.lending.panic_window_s).tolist()
    read = {
        round(point.at_s): (point.load, None if math.isnan(panic) else panic)
        for point, panic in zip(loads, panics, strict=True)
    }
    return [
        Instant(at_s=m.at_s, load=load, panic_load=panic, held_units=m.inference_units)
        for m in run.moments
        for load, panic in [read.get(round(m.at_s + WARM_UP_S), (None, None))]
    ]


def _row(run: Run) -> Row:
    score = run.score
    scored = [moment.workers for moment in run.moments if moment.at_s >= 0]
    return Row(
        requests=score.requests,
        told_to_go=sum(max(0, now - then) for now, then in itertools.pairwise(scored)),
        training_gpu_hours=score.training_gpu_hours,
        lost_gpu_hours=score.training_lost_gpu_hours,
        ttft_p99_s=score.ttft_s.p99,
        slo=score.slo_attainment,
        inference_gpu_hours=score.gpu_hours,
        reclaim_p50_s=score.reclaim_s.p50,
        reclaim_p99_s=score.reclaim_s.p99,
    )
