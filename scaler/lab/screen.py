"""The demo as a person watches it: the pool, the demand, what the scaler answers and why."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from scaler.telemetry.observed import Observation

from . import scene
from .gpus import Holder
from .keda import LabObject
from .stage import Stage

_CELLS = {
    "Ready": ("■", "green"),
    "Loading": ("▨", "yellow"),
    "Draining": ("□", "green"),
    "Running": ("▲", "blue"),
    "Leaving": ("△", "blue"),
}
_FREE = ("·", "dim")
_EVENTS = 7
_DETAIL = 78


def frame(stage: Stage, links: Iterable[str]) -> RenderableType:
    """Return one picture of the stage; ``links`` are lines about where to look."""
    return Panel(
        Group(
            *(Text(link) for link in links),
            Text(),
            _pool(stage),
            _demand(stage),
            Text(),
            _answers(stage),
            Text(),
            events(stage, most=_EVENTS),
        ),
        title=f"kvtide demo · {clock_text(stage)} · speed {stage.play.speed:g}",
        title_align="left",
    )


def clock_text(stage: Stage) -> str:
    """Return how far the play is, in true minutes."""
    return f"{_minutes(stage.true_s)} of {_minutes(stage.play.length_s)}"


def line(stage: Stage) -> str:
    """Return the same in one line, for output that is no terminal."""
    fleet, job = stage.cluster.fleets[scene.FLEET], stage.cluster.jobs[scene.JOB]
    said = [stage.answer(one) for one in (stage.inference, stage.training)]
    reasons = ", ".join(f"{one.scaled_object} {one.reason}" for one in said if one)
    return (
        f"{clock_text(stage)}  replicas {fleet.ready}/{fleet.spec_replicas}  "
        f"workers {job.running}/{job.spec_workers}  in flight {_in_flight(stage)}  "
        f"waiting {stage.cluster.waiting()}  {reasons}"
    )


def _pool(stage: Stage) -> Text:
    text = Text("GPUs    ")
    node = ""
    for (name, _), holder in stage.gpus.held().items():
        if name != node:
            text.append(f"  {name} ")
            node = name
        symbol, style = _cell(holder)
        text.append(f"{symbol} ", style=style)
    text.append("   ")
    for label, state in (("serving", "Ready"), ("loading", "Loading"), ("training", "Running")):
        text.append(_CELLS[state][0], style=_CELLS[state][1])
        text.append(f" {label}  ")
    return text


def _cell(holder: Holder | None) -> tuple[str, str]:
    return _FREE if holder is None else _CELLS[holder.state]


def _demand(stage: Stage) -> Text:
    outcomes = stage.cluster.outcomes
    met = outcomes.slo_attainment
    slo = "–" if met is None else f"{100 * met:.1f} %"
    return Text(
        f"requests  {_in_flight(stage)} in flight, {stage.cluster.waiting()} waiting; "
        f"{outcomes.finished} answered, {slo} of them within the objective"
    )


def _in_flight(stage: Stage) -> int:
    return stage.cluster.gateways[scene.FLEET].in_flight


def _answers(stage: Stage) -> Table:
    table = Table(expand=True, show_edge=False)
    for column in ("object", "wanted", "now", "load", "why"):
        table.add_column(column, justify="right" if column in ("wanted", "now", "load") else "left")
    for one in (stage.inference, stage.training):
        table.add_row(one.name, *_row(stage.answer(one), one))
    return table


def _row(answer: Observation | None, one: LabObject) -> tuple[str, str, str, str]:
    now = f"{one.target.ready()}/{one.target.spec()}"
    if answer is None:
        return "–", now, "–", "not asked about yet"
    decision = answer.decision
    wanted = "hold" if decision is None or decision.replicas is None else str(decision.replicas)
    load = "–" if decision is None or decision.load is None else f"{decision.load:.2f}"
    detail = answer.detail if len(answer.detail) <= _DETAIL else f"{answer.detail[:_DETAIL]}…"
    return wanted, now, load, f"{answer.reason}: {detail}"


def events(stage: Stage, *, most: int) -> Table:
    """Return the last counts that were written: when, from what to what, why and by whom."""
    table = Table.grid(padding=(0, 2))
    for *row, who in list(event_rows(stage))[-most:]:
        table.add_row(*row, f"by {who}")
    return table


def event_rows(stage: Stage) -> Iterator[tuple[str, ...]]:
    """Yield every count that was written: when, whose, from what to what, why, by whom."""
    for event in stage.events:
        change = f"{event.before} → {event.after}"
        yield _minutes(event.at_s), event.name, change, event.reason, event.who


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
