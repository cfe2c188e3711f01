"""Policies side by side on a trace, in simulated time: what ``kvtide simulate`` does."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, Group
from rich.progress import Progress
from rich.table import Table

from scaler.check.triggers import triggers_in
from scaler.configuration import Configuration
from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.documents.configuration import load_configuration
from scaler.errors import ConfigurationError, Problem
from scaler.files import read_text
from scaler.readings.traces import open_trace
from scaler.report.simulation import html, moments_csv
from scaler.simulation.baselines.catalog import SAFE_RHO, named, own_defaults, terms_of
from scaler.simulation.baselines.oracle import ROUNDS, oracle
from scaler.simulation.keda import kvtide
from scaler.simulation.lenders import Kvtide
from scaler.simulation.score import Score
from scaler.simulation.simulate import Autoscaler, Run, Setup, simulate
from scaler.simulation.spooled import Spooled
from scaler.simulation.traffic import (
    Arrival,
)
from scaler.simulation.training import TrainingConfig

from .flags import output_folder
from .staging import Asked, arrivals_of, engine_of, setup_of, warmed_up

_MINUTE_S = 60.0
_DEFAULT = ("kvtide", "keda-queue", "knative", "hpa-gpu")


def played(
    asked: Asked, trace: pathlib.Path, *, output: pathlib.Path | None
) -> tuple[dict[str, Any], Group]:
    """
    Play a trace against policies; return the result as a document and as tables.

    Raises:
        ConfigurationError: the trace, the slice or a policy cannot be read.
    """
    output_folder(output)
    lending = _lending(asked.training, asked.config) if asked.training else None
    gpus = lending.pool_units if lending else asked.gpus
    opened = open_trace(trace)
    arrivals = arrivals_of(opened, asked)
    engine, fitted = engine_of(asked)
    setup = setup_of(asked, engine, arrivals, gpus=gpus)
    length_s = setup.length_s
    if lending:
        setup = dataclasses.replace(
            setup, cluster=dataclasses.replace(setup.cluster, jobs=(_job(lending),))
        )
    autoscalers = list(_policies(asked.policies or _DEFAULT, setup, arrivals, asked.config))
    runs, fewest = _run(
        setup,
        warmed_up(arrivals, length_s, setup.warm_up_s),
        autoscalers,
        lending=lending,
        clairvoyant=asked.clairvoyant,
    )
    tick_s = opened.tick_s()
    result = {
        "trace": trace.name,
        "sampled": opened.is_rates,
        "spread_over_s": tick_s,
        "requests": len(arrivals),
        "length_s": length_s,
        "warm_up_s": setup.warm_up_s,
        "seed": asked.seed,
        "speed_up": asked.speed_up,
        "scale": asked.scale,
        "slice": asked.slice,
        "training": str(asked.training) if asked.training else None,
        "replica": {**dataclasses.asdict(engine), "fit": fitted},
        "policies": {run.name: _figures(run.score, fewest) for run in runs},
    }
    if output is not None:
        _write(output, result, runs, _demand(arrivals, setup))
    how = f", spread over the {tick_s:g} s that its times are rounded to" if tick_s else ""
    table = _table(runs, fewest, f"{trace.name}, {len(arrivals)} requests{how}")
    return result, Group(table, *((_lent(runs),) if lending else ()))


def _policies(
    asked: Iterable[str], setup: Setup, arrivals: Spooled, config: pathlib.Path | None
) -> Iterator[Autoscaler]:
    terms = terms_of(setup, arrivals)
    for text in asked:
        path = pathlib.Path(text)
        if path.suffix in (".yaml", ".yml") or path.is_file():
            yield from _from_file(path, setup, config)
        else:
            yield named(text, terms)


def _from_file(
    path: pathlib.Path, setup: Setup, config: pathlib.Path | None
) -> Iterator[Autoscaler]:
    configuration = Configuration() if config is None else load_configuration(config)
    for key, trigger in triggers_in({str(path): read_text(path)}, configuration).items():
        if isinstance(trigger.policy, InferencePolicy):
            yield kvtide(key, trigger.policy, max_replicas=setup.max_replicas)


def _lending(path: pathlib.Path, config: pathlib.Path | None) -> LendingPolicy:
    """Return the policy of the training ScaledObject in a file."""
    configuration = Configuration() if config is None else load_configuration(config)
    triggers = triggers_in({str(path): read_text(path)}, configuration)
    for trigger in triggers.values():
        if isinstance(trigger.policy, LendingPolicy):
            return trigger.policy
    allowed = "a ScaledObject with role: training"
    raise ConfigurationError(Problem(field="--training", got=", ".join(triggers), allowed=allowed))


def _job(lending: LendingPolicy) -> TrainingConfig:
    return TrainingConfig(
        name="training",
        units_per_worker=lending.units_per_worker,
        grace_s=lending.effective_reclaim_time_s(None),
    )


def _run(
    setup: Setup,
    arrivals: Spooled,
    autoscalers: list[Autoscaler],
    *,
    lending: LendingPolicy | None,
    clairvoyant: bool,
) -> tuple[list[Run], float | None]:
    def lender() -> Kvtide | None:
        return Kvtide(lending, own_defaults(terms_of(setup, arrivals))) if lending else None

    with Progress(console=Console(stderr=True), transient=True) as progress:
        runs = [_watched(setup, arrivals, one, progress, lender()) for one in autoscalers]
        if not clairvoyant:
            return runs, None
        task = progress.add_task("clairvoyant", total=ROUNDS)
        found = oracle(setup, arrivals, progress=lambda done: progress.update(task, completed=done))
    return runs, None if found is None else found.score.gpu_hours


def _watched(
    setup: Setup,
    arrivals: Spooled,
    autoscaler: Autoscaler,
    progress: Progress,
    lender: Kvtide | None,
) -> Run:
    task = progress.add_task(autoscaler.name, total=setup.end_s)
    return simulate(
        setup,
        arrivals,
        autoscaler,
        lender=lender,
        progress=lambda done_s: progress.update(task, completed=done_s),
    )


def _figures(score: Score, fewest: float | None) -> dict[str, Any]:
    return {**dataclasses.asdict(score), "oracle_gpu_hours": fewest}


def _table(runs: list[Run], fewest: float | None, title: str) -> Table:
    columns = ("GPU-h", "in SLO %", "TTFT p99", "ITL p99", "queue", "most")
    table = _of_policies(title, columns)
    for run in runs:
        score = run.score
        table.add_row(
            run.name,
            f"{score.gpu_hours:.2f}",
            "–" if score.slo_attainment is None else f"{100 * score.slo_attainment:.2f}",
            _seconds(score.ttft_s.p99),
            _seconds(score.itl_s.p99),
            str(score.queue_peak),
            str(score.max_replicas),
        )
    if fewest is not None:
        table.caption = f"a clairvoyant was seen to reach 99 % with {fewest:.2f} GPU-hours"
    return table


def _lent(runs: list[Run]) -> Table:
    columns = ("GPU-h kept", "GPU-h lost", "reclaim p50", "reclaim p99")
    table = _of_policies("lent to training", columns)
    for run in runs:
        score = run.score
        table.add_row(
            run.name,
            f"{score.training_gpu_hours:.2f}",
            f"{score.training_lost_gpu_hours:.2f}",
            _seconds(score.reclaim_s.p50),
            _seconds(score.reclaim_s.p99),
        )
    return table


def _of_policies(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def _demand(arrivals: Iterable[Arrival], setup: Setup) -> list[tuple[float, float | None]]:
    """Return how many replicas the work that arrived in each minute would fill, safely."""
    cost = setup.cluster.fleets[0].engine.step_cost
    work_s = [0.0] * math.ceil(setup.length_s / _MINUTE_S)
    for one in arrivals:
        minute = min(len(work_s) - 1, int(one.at_s // _MINUTE_S))
        work_s[minute] += one.prompt_tokens * cost.c_s + one.output_tokens * cost.b_s
    ends_s = [min((at + 1) * _MINUTE_S, setup.length_s) for at in range(len(work_s))]
    return [
        (at * _MINUTE_S, each / (end_s - at * _MINUTE_S) / SAFE_RHO)
        for (at, each), end_s in zip(enumerate(work_s), ends_s, strict=True)
    ]


def _write(
    folder: pathlib.Path,
    result: dict[str, Any],
    runs: list[Run],
    demand: list[tuple[float, float | None]],
) -> None:
    moments = {run.name: [dataclasses.asdict(one) for one in run.moments] for run in runs}
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(html(result, moments, demand=demand), encoding="utf-8")
    (folder / "moments.csv").write_text(moments_csv(moments), encoding="utf-8")
