"""Recorded load, decided on again: what ``kvtide backtest`` does."""

import asyncio
import dataclasses
import gc
import json
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from scaler.check.triggers import triggers_in
from scaler.decision.policy import InferencePolicy
from scaler.errors import ConfigurationError, Problem
from scaler.files import read_text
from scaler.report.backtest import html
from scaler.report.decision_json import instant
from scaler.report.moments import Moment, figures, lending_figures
from scaler.report.simulation import moments_csv
from scaler.serving.replay import Span
from scaler.source import Trigger
from scaler.wiring.past import backtest

from .explanation import configuration_of
from .flags import duration_s, output_folder, span_s

_ALLOCATED = 100_000
"""Objects made before garbage is looked for. What is read and decided on goes without: only cycles
need looking for, and to look through a day of samples every 700 objects takes an eighth of all."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for; the names are those of the flags."""

    files: tuple[pathlib.Path, ...]
    prometheus: str | None
    config: pathlib.Path | None
    since: str
    until: str | None
    every: str


def backtested(asked: Asked, *, output: pathlib.Path | None) -> tuple[dict[str, Any], Table]:
    """
    Decide on recorded load; return the result as a document and as a table.

    Raises:
        ConfigurationError: in a flag, a file or a trigger.
        SourceError: some of the span could not be read.
    """
    output_folder(output)
    configuration = configuration_of(asked.config, asked.prometheus)
    triggers = triggers_in({str(path): read_text(path) for path in asked.files}, configuration)
    span = _span(asked, time.time())  # noqa: TID251 -- "now" where no --until is given
    gc.set_threshold(_ALLOCATED)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("backtest", total=span.until_s - span.since_s)
        moments = asyncio.run(
            backtest(
                triggers,
                span,
                configuration=configuration,
                progress=lambda at_s: bar.update(task, completed=at_s - span.since_s),
            )
        )
    result = {
        "since": instant(span.since_s),
        "until": instant(span.until_s),
        "every_s": span.every_s,
        "objects": {
            key: _figures(trigger, moments[key], span.every_s) for key, trigger in triggers.items()
        },
    }
    if output is not None:
        _write(output, result, moments)
    return result, _table(result, moments)


def _span(asked: Asked, now_s: float) -> Span:
    since_s, until_s = span_s(asked.since, asked.until, now_s)
    every_s = duration_s("--every", asked.every, least_s=1.0, most_s=3600.0)
    if since_s + every_s > until_s:
        allowed = "at least one poll before the end"
        raise ConfigurationError(Problem(field="--since", got=repr(asked.since), allowed=allowed))
    return Span(since_s=since_s, until_s=until_s, every_s=every_s)


def _figures(trigger: Trigger, moments: list[Moment], every_s: float) -> dict[str, Any]:
    of: Callable[..., dict[str, Any]]
    if isinstance(trigger.policy, InferencePolicy):
        of, units = figures, trigger.policy.units_per_replica or 1
    else:
        of, units = lending_figures, trigger.policy.units_per_worker
    return {"role": trigger.role.value, "units": units} | of(moments, every_s=every_s, units=units)


def _table(result: Mapping[str, Any], moments: Mapping[str, list[Moment]]) -> Table:
    table = Table(
        title=f"{result['since']} to {result['until']}, a poll every {result['every_s']:g} s",
        title_justify="left",
    )
    table.add_column("", no_wrap=True)
    for key in result["objects"]:
        table.add_column(key, justify="right")
    for name, cell in _ROWS.items():
        cells = [cell(figures) for figures in result["objects"].values()]
        if any(cells):
            table.add_row(name, *cells)
    table.caption = "\n".join(_silent(each) for each in moments.values()).strip() or None
    return table


def _silent(moments: list[Moment]) -> str:
    """Return why nothing at all could be decided; nothing where something could."""
    return "" if any(one.wanted is not None for one in moments) else moments[-1].detail


def _hours(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda figures: f"{figures[name]:.1f}" if name in figures else ""


def _whole(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda figures: str(figures[name]) if figures.get(name) is not None else ""


def _minutes(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda figures: f"{figures[name] / 60:.0f}" if name in figures else ""


def _safe(figures: Mapping[str, Any]) -> str:
    safe = figures.get("safe_concurrency")
    if not safe or safe["median"] is None:
        return ""
    limits = ", ".join(
        f"{100 * share:.0f} % {name}" for name, share in figures["binding_limits"].items()
    )
    return f"{safe['median']} ({safe['min']} to {safe['max']}; {limits})"


def _reasons(figures: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} {100 * share:.1f} %" for name, share in figures["reasons"].items())


_ROWS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "hours compared": _hours("hours_compared"),
    "hours without data": _hours("hours_missing"),
    "hours held": _hours("hours_held"),
    "GPU-hours wanted": _hours("gpu_hours_wanted"),
    "GPU-hours that ran": _hours("gpu_hours_ran"),
    "minutes short (wanted > ready)": _minutes("short_s"),
    "GPU-hours short": _hours("short_gpu_hours"),
    "GPU-hours over": _hours("over_gpu_hours"),
    "scale events wanted": _whole("scale_events_wanted"),
    "scale events that were": _whole("scale_events_ran"),
    "most wanted": _whole("max_wanted"),
    "most that ran": _whole("max_ran"),
    "GPU-hours lent": _hours("lent_gpu_hours"),
    "reclaims": _whole("reclaims"),
    "safe concurrency": _safe,
    "reasons": _reasons,
}


def _write(
    folder: pathlib.Path, result: dict[str, Any], moments: Mapping[str, list[Moment]]
) -> None:
    plain = {key: [dataclasses.asdict(one) for one in each] for key, each in moments.items()}
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(html(result, plain), encoding="utf-8")
    (folder / "moments.csv").write_text(moments_csv(plain, of="object"), encoding="utf-8")
