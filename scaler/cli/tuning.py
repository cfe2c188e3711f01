"""A load played against a grid of settings, in processes: what ``kvtide tune`` does."""

import concurrent.futures
import dataclasses
import functools
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from scaler.check.triggers import triggers_in
from scaler.configuration import Configuration
from scaler.decision.policy import InferencePolicy
from scaler.documents.configuration import load_configuration
from scaler.errors import ConfigurationError, Problem
from scaler.files import read_text
from scaler.report.tuning import html
from scaler.simulation.keda import kvtide
from scaler.simulation.simulate import Moment, simulate

from .flags import output_folder
from .staging import Asked, staged

GRID = ("targetUtilization=0.6,0.7,0.8,0.9", "forecastQuantile=0.8,0.9,0.97")
"""What is varied unless it is said."""
MOST = 400
"""Settings of a grid, today's among them: each plays the whole load."""
_DAY_S = 86_400.0
_TODAY = "today"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One point of the grid."""

    settings: tuple[tuple[str, str], ...]
    """Keys of the trigger's metadata and their values; none: as they are today."""
    policy: InferencePolicy

    @property
    def name(self) -> str:
        """The settings as a person reads them."""
        return " ".join(f"{key}={value}" for key, value in self.settings) or _TODAY


def tuned(
    asked: Asked,
    *,
    vary: Sequence[str],
    slo: float,
    processes: int,
    output: pathlib.Path | None,
) -> tuple[dict[str, Any], Group]:
    """
    Play a load against each of a grid of settings; return the result as a document and a table.

    Raises:
        ConfigurationError: the trace, the object or a value of the grid cannot be read.
    """
    output_folder(output)
    candidates = list(_candidates(asked, vary or GRID))
    setup, arrivals = staged(asked)
    rows = _all(asked, candidates, processes or os.cpu_count() or 1)
    front = _front(rows)
    result = {
        "trace": asked.trace.name,
        "requests": len(arrivals),
        "length_s": setup.length_s,
        "seed": asked.seed,
        "slo": slo,
        "settings": {row["name"]: {**row, "front": row["name"] in front} for row in rows},
        "today": _TODAY,
        "paste": _paste(rows, slo),
    }
    if output is not None:
        (output / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        (output / "report.html").write_text(html(result), encoding="utf-8")
    return result, _shown(result)


def _candidates(asked: Asked, vary: Sequence[str]) -> Iterable[Candidate]:
    """Yield today's settings and every point of the grid, each read as the server reads it."""
    path = pathlib.Path(asked.policies[0])
    configuration = Configuration() if asked.config is None else load_configuration(asked.config)
    texts = {str(path): read_text(path)}
    axes = [_axis(text) for text in vary]
    points = [(), *itertools.product(*axes)]
    if len(points) > MOST:
        got = f"{len(points) - 1} settings"
        raise ConfigurationError(Problem(field="--vary", got=got, allowed=f"at most {MOST - 1}"))
    for point in points:
        triggers = triggers_in(texts, configuration, changes=dict(point))
        policies = [t.policy for t in triggers.values() if isinstance(t.policy, InferencePolicy)]
        if len(policies) != 1:
            got = f"{len(policies)} triggers of inference"
            problem = Problem(field="--scaled-object", got=got, allowed="one")
            raise ConfigurationError(problem)
        yield Candidate(settings=point, policy=policies[0])


def _axis(text: str) -> list[tuple[str, str]]:
    key, _, values = text.partition("=")
    found = [(key.strip(), value.strip()) for value in values.split(",")]
    if not all(key and value for key, value in found):
        allowed = "KEY=A,B such as targetUtilization=0.7,0.8"
        raise ConfigurationError(Problem(field="--vary", got=repr(text), allowed=allowed))
    return found


def _all(asked: Asked, candidates: Sequence[Candidate], processes: int) -> list[dict[str, Any]]:
    """Play every candidate, in the order of the grid whichever is done first."""
    rows: dict[Candidate, dict[str, Any]] = {}
    with (
        Progress(console=Console(stderr=True), transient=True) as bar,
        concurrent.futures.ProcessPoolExecutor(min(processes, len(candidates))) as pool,
    ):
        task = bar.add_task("tune", total=len(candidates))
        playing = {pool.submit(_play, asked, one): one for one in candidates}
        for future in concurrent.futures.as_completed(playing):
            rows[playing[future]] = future.result()
            bar.advance(task)
    return [rows[one] for one in candidates]


_staged = functools.lru_cache(maxsize=1)(staged)
"""A process reads the trace once."""


def _play(asked: Asked, candidate: Candidate) -> dict[str, Any]:
    setup, arrivals = _staged(asked)
    scaler = kvtide(candidate.name, candidate.policy, max_replicas=setup.max_replicas)
    run = simulate(setup, arrivals, scaler)
    score = run.score
    return {
        "name": candidate.name,
        "metadata": dict(candidate.settings),
        "slo_attainment": score.slo_attainment,
        "gpu_hours": score.gpu_hours,
        "gpu_hours_by_day": _by_day(run.moments, setup.length_s),
        "ttft_p99_s": score.ttft_s.p99,
        "itl_p99_s": score.itl_s.p99,
        "scale_events": score.scale_events,
        "max_replicas": score.max_replicas,
    }


def _by_day(moments: Sequence[Moment], length_s: float) -> list[float]:
    """Return the GPU-hours of each day of the trace; a moment stands until the next."""
    hours = [0.0] * int(-(-length_s // _DAY_S))
    scored = [one for one in moments if 0 <= one.at_s < length_s]
    ends_s = [*(one.at_s for one in scored[1:]), length_s]
    for one, end_s in zip(scored, ends_s, strict=True):
        hours[int(one.at_s // _DAY_S)] += one.inference_units * (end_s - one.at_s) / 3600
    return [round(each, 3) for each in hours]


def _front(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the settings that no other one beats in both what is served in time and the cost."""

    def beaten(row: Mapping[str, Any]) -> bool:
        served, cost = row["slo_attainment"] or 0.0, row["gpu_hours"]
        return any(
            (other["slo_attainment"] or 0.0) >= served
            and other["gpu_hours"] <= cost
            and ((other["slo_attainment"] or 0.0) > served or other["gpu_hours"] < cost)
            for other in rows
        )

    return {row["name"] for row in rows if not beaten(row)}


def _paste(rows: Sequence[Mapping[str, Any]], slo: float) -> dict[str, str] | None:
    """Return the cheapest settings that serve enough in time; {}: today's; None: there are none."""
    enough = [row for row in rows if (row["slo_attainment"] or 0.0) >= slo]
    if not enough:
        return None
    return dict(min(enough, key=lambda row: row["gpu_hours"])["metadata"])


def _shown(result: Mapping[str, Any]) -> Group:
    table = Table(title=f"{result['trace']}, {result['requests']} requests", title_justify="left")
    table.add_column("settings (* none is better in both)")
    for column in ("in SLO %", "GPU-h", "TTFT p99 s", "changes"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in sorted(result["settings"].values(), key=lambda one: one["gpu_hours"]):
        table.add_row(
            f"{row['name']}{' *' if row['front'] else ''}",
            "–" if row["slo_attainment"] is None else f"{100 * row['slo_attainment']:.2f}",
            f"{row['gpu_hours']:.2f}",
            "–" if row["ttft_p99_s"] is None else f"{row['ttft_p99_s']:.2f}",
            str(row["scale_events"]),
        )
    return Group(table, Text(advice(result)))


def advice(result: Mapping[str, Any]) -> str:
    """Say what to paste, in words."""
    share = f"{100 * result['slo']:g} %"
    if result["paste"] is None:
        return f"None of these serves {share} in time: more GPUs, or a longer objective."
    if not result["paste"]:
        return f"Today's settings are the cheapest of these that serve {share} in time."
    lines = "\n".join(f'  {key}: "{value}"' for key, value in result["paste"].items())
    return f"The cheapest of these that serve {share} in time; in the trigger's metadata:\n{lines}"
