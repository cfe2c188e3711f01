"""A load played against a grid of settings: what ``kvtide tune`` does."""

import itertools
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
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
from scaler.report.tuning import html, title, told
from scaler.simulation.grid import TODAY, Candidate, Row, Stage
from scaler.source import Trigger
from scaler.wiring.grid import Player

from .flags import output_folder
from .recorded import Recorded, recorded_stage
from .staging import Asked, staged

Settings = tuple[tuple[str, str], ...]
"""A point of the grid: keys of the trigger's metadata and their values."""

GRID = ("targetUtilization=0.6,0.7,0.8,0.9", "forecastQuantile=0.8,0.9,0.97")
"""What is varied unless it is said."""
MOST = 400
"""Settings of a grid, today's among them: each plays the whole load."""


def tuned(
    asked: Asked,
    *,
    load: pathlib.Path | Recorded,
    vary: Sequence[str],
    slo: float,
    player: Player,
    output: pathlib.Path | None,
) -> tuple[dict[str, Any], Group]:
    """
    Play a load against each of a grid of settings; return the result as a document and a table.

    Raises:
        ConfigurationError: the trace, the object or a value of the grid cannot be read.
        NoDataError: what was recorded cannot be read, or there is nothing.
    """
    output_folder(output)
    triggers = list(_triggers(asked, vary or GRID))
    candidates = [
        Candidate(settings=point, policy=policy)
        for point, trigger in triggers
        if isinstance(policy := trigger.policy, InferencePolicy)
    ]
    stage, about = _load(asked, load, triggers[0][1])
    rows = _all(stage, candidates, player)
    front = _front(rows)
    result = {
        **about,
        "requests": sum(one.at_s >= 0 for one in stage.arrivals),
        "length_s": stage.setup.length_s,
        "seed": asked.seed,
        "slo": slo,
        "settings": {row["name"]: {**row, "front": row["name"] in front} for row in rows},
        "today": TODAY,
        "paste": _paste(rows, slo),
    }
    if output is not None:
        (output / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        (output / "report.html").write_text(html(result), encoding="utf-8")
    return result, _shown(result)


def _load(
    asked: Asked, load: pathlib.Path | Recorded, trigger: Trigger
) -> tuple[Stage, dict[str, Any]]:
    """Return the stage of a trace, or of what was recorded, and what is told of it."""
    if isinstance(load, Recorded):
        return recorded_stage(asked, load, trigger)
    return staged(asked, load), {"trace": load.name, "cold_start_s": asked.cold_start_s}


def _triggers(asked: Asked, vary: Sequence[str]) -> Iterator[tuple[Settings, Trigger]]:
    """Yield today's trigger and that of every point, each read as the server reads it."""
    path = pathlib.Path(asked.policies[0])
    configuration = Configuration() if asked.config is None else load_configuration(asked.config)
    texts = {str(path): read_text(path)}
    axes = [_axis(text) for text in vary]
    points = [(), *itertools.product(*axes)]
    if len(points) > MOST:
        got = f"{len(points) - 1} settings"
        raise ConfigurationError(Problem(field="--vary", got=got, allowed=f"at most {MOST - 1}"))
    for point in points:
        found = triggers_in(texts, configuration, changes=dict(point)).values()
        triggers = [one for one in found if isinstance(one.policy, InferencePolicy)]
        if len(triggers) != 1:
            got = f"{len(triggers)} triggers of inference"
            problem = Problem(field="--scaled-object", got=got, allowed="one")
            raise ConfigurationError(problem)
        yield point, triggers[0]


def _axis(text: str) -> list[tuple[str, str]]:
    key, _, values = text.partition("=")
    found = [(key.strip(), value.strip()) for value in values.split(",")]
    if not all(key and value for key, value in found):
        allowed = "KEY=A,B such as targetUtilization=0.7,0.8"
        raise ConfigurationError(Problem(field="--vary", got=repr(text), allowed=allowed))
    return found


def _all(stage: Stage, candidates: Sequence[Candidate], player: Player) -> list[Row]:
    """Play every candidate, in the order of the grid whichever is done first."""
    rows: dict[int, Row] = {}
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("tune", total=len(candidates))
        for number, row in player(stage, candidates):
            rows[number] = row
            bar.advance(task)
    return [rows[number] for number in range(len(candidates))]


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
    table = Table(title=f"{title(result)}, {result['requests']} requests", title_justify="left")
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
    return Group(table, Text("\n".join((*told(result), advice(result)))))


def advice(result: Mapping[str, Any]) -> str:
    """Say what to paste, in words."""
    share = f"{100 * result['slo']:g} %"
    if result["paste"] is None:
        return f"None of these serves {share} in time: more GPUs, or a longer objective."
    if not result["paste"]:
        return f"Today's settings are the cheapest of these that serve {share} in time."
    lines = "\n".join(f'  {key}: "{value}"' for key, value in result["paste"].items())
    return f"The cheapest of these that serve {share} in time; in the trigger's metadata:\n{lines}"
