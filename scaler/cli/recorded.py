"""A user's own load, read from their Prometheus: what ``kvtide tune`` plays without a trace."""

import asyncio
import dataclasses
import time
from typing import Any

from rich.console import Console
from rich.progress import Progress

from scaler.decision.outlook import quantile
from scaler.readings.load import Load
from scaler.report.decision_json import instant
from scaler.simulation.grid import Stage
from scaler.simulation.traffic import Count, counted
from scaler.source import Trigger
from scaler.wiring.past import recorded_load

from .explanation import configuration_of
from .flags import span_s
from .staging import Asked, outputs, played_part, prompts, slice_of, stage_of

_SLOW_START = 0.9
"""The quantile of start-up times that a cold start takes, as the forecast has it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Which load; the names are those of the flags."""

    prometheus: str | None
    since: str
    until: str | None
    cold_start_stated: bool


def recorded_stage(
    asked: Asked, recorded: Recorded, trigger: Trigger
) -> tuple[Stage, dict[str, Any]]:
    """
    Read the load of a trigger's workload; return the stage and what is told of it.

    Raises:
        ConfigurationError: in a flag or the configuration.
        NoDataError: some of it could not be read, or there is nothing in it.
    """
    load = _read(asked, recorded, trigger)
    if not recorded.cold_start_stated and load.startup_s:
        asked = dataclasses.replace(asked, cold_start_s=quantile(load.startup_s, _SLOW_START))
    counts = (
        Count(
            max(0.0, one.start_s - load.since_s),
            one.end_s - load.since_s,
            one.requests,
            prompts(one.prompt_tokens_mean),
            outputs(one.output_tokens_mean),
        )
        for one in load.counted()
    )
    arrivals = played_part(counted(counts, asked.seed), asked, origin=trigger.workload.key)
    about = {
        "trace": None,
        "recorded": {
            "object": trigger.workload.key,
            "since": instant(load.since_s),
            "until": instant(load.until_s),
            "hours_missing": round(max(0.0, load.until_s - load.since_s - load.known_s) / 3600, 3),
            "cold_start": _about_start(recorded, load),
        },
        "cold_start_s": asked.cold_start_s,
    }
    return stage_of(asked, arrivals, _length_s(asked, load)), about


def _read(asked: Asked, recorded: Recorded, trigger: Trigger) -> Load:
    now_s = time.time()  # noqa: TID251 -- "now" where no --until is given
    since_s, until_s = span_s(recorded.since, recorded.until, now_s)
    configuration = configuration_of(asked.config, recorded.prometheus)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("read", total=until_s - since_s)
        return asyncio.run(
            recorded_load(
                trigger,
                since_s=since_s,
                until_s=until_s,
                configuration=configuration,
                progress=lambda done_s: bar.update(task, completed=done_s),
            )
        )


def _length_s(asked: Asked, load: Load) -> float:
    """Return how long the part that is played lasts: also where nothing comes at its end."""
    length_s = load.until_s - load.since_s
    if (part := slice_of(asked.slice)) is not None:
        length_s = min(part[1], length_s) - part[0]
    return length_s / asked.speed_up


def _about_start(recorded: Recorded, load: Load) -> str:
    if recorded.cold_start_stated:
        return "stated"
    if not load.startup_s:
        return "assumed, no pod was seen to start"
    return f"90 % of {len(load.startup_s)} starts that were seen were faster"
