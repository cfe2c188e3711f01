"""
``kvtide demo``: the whole loop on one machine, shown while it runs and summed up at its end.

What connects the stage with a scaler (its server, its source) is put together in ``wiring``.
"""

import asyncio
import dataclasses
import itertools
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TextIO, cast

from rich.console import Console
from rich.live import Live

from scaler.errors import ConfigurationError, Problem
from scaler.numerals import decimal_text
from scaler.output import Watched, drop_all, is_reader_gone
from scaler.readings.traces import Trace, TraceRate, open_trace
from scaler.report.demo import html
from scaler.simulation.score import Score
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled, scaled, spread
from scaler.telemetry.observed import Observation

from . import scene
from .record import Moment, follow
from .screen import event_rows, events, frame, line
from .stage import Play, Stage
from .summary import Row, fixed_rows, summary_rows, summary_table

MOST_EVENTS = 40
"""What remains on the screen at the end."""
_REFRESH_S = 0.5
_LINE_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a person may choose."""

    trace: pathlib.Path | None = None
    """None: the built-in demand curve."""
    duration_s: float = 180.0
    """How long it takes to watch."""
    speed: float = 10.0
    scale: float | None = None
    """What the rate of a trace is multiplied by; None: so that it needs most of the pool."""
    seed: int = 1
    prometheus: str = "auto"
    """``embedded``, the address of a server, or ``auto``."""

    def __post_init__(self) -> None:
        """Refuse what cannot be played."""
        limits = (
            ("--duration", self.duration_s, 1, 86_400, "seconds"),
            ("--speed", self.speed, 0.1, 100, "times as fast"),
            ("--scale", 1.0 if self.scale is None else self.scale, 0.001, 1e5, "times as many"),
        )
        problems = tuple(
            Problem(field=field, got=decimal_text(value), allowed=f"{low:g} to {high:g} {unit}")
            for field, value, low, high, unit in limits
            if not low <= value <= high
        )
        if not self.prometheus.startswith(("http://", "https://")) and self.prometheus not in (
            "auto",
            "embedded",
        ):
            allowed = "auto, embedded, or an address such as http://localhost:9090"
            problems += (Problem(field="--prometheus", got=self.prometheus, allowed=allowed),)
        if problems:
            raise ConfigurationError(*problems)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What is played, and what has to be said about it."""

    play: Play
    notes: tuple[str, ...]


def programme(options: DemoOptions) -> Programme:
    """
    Return what the options ask for.

    Raises:
        ConfigurationError: the trace cannot be read.
    """
    length_s = options.duration_s * options.speed
    if options.trace is None:
        demand, about = _built_in(options, length_s)
    else:
        demand, about = _of_trace(open_trace(options.trace), options, length_s)
    play = Play(
        arrivals=demand,
        length_s=length_s,
        speed=options.speed,
        seed=options.seed,
        replicas=scene.replicas_at_first(demand()),
        forecast="off" if options.trace is None else "rise",
    )
    pace = f"every duration of policies, KEDA and the HPA is divided by {options.speed:g}"
    kept = scene.objects(options.speed).kept_long
    return Programme(play=play, notes=(about, "; ".join((pace, *kept))))


Demand = Callable[[], Iterator[Arrival]]


def _built_in(options: DemoOptions, length_s: float) -> tuple[Demand, str]:
    about = (
        f"a demand curve of {scene.DAY_S / 60:.0f} minutes shaped like a day (quiet night, busy "
        f"day, one burst), sampled with seed {options.seed}"
    )
    return lambda: scene.demand(length_s=length_s, seed=options.seed), about


def _of_trace(trace: Trace, options: DemoOptions, length_s: float) -> tuple[Demand, str]:
    def unscaled() -> Iterator[Arrival]:
        arrivals: Iterable[Arrival] = (
            _sampled(trace.rates(), options.seed)
            if trace.is_rates
            else spread(map(Arrival._make, trace.requests()), trace.tick_s(), options.seed)
        )
        return itertools.takewhile(lambda arrival: arrival.at_s < length_s, arrivals)

    factor = scene.fitting_scale(unscaled()) if options.scale is None else options.scale
    how = "requests sampled from its rates" if trace.is_rates else f"{trace.format} format"
    about = (
        f"{trace.path.name} ({how}), the first {length_s / 60:.0f} minutes at its own pace, "
        f"{factor:.3g} times as many requests"
    )
    return lambda: scaled(unscaled(), factor, options.seed), about


def _sampled(rates: Iterable[TraceRate], seed: int) -> Iterator[Arrival]:
    """Sample requests from rates; lengths that the file leaves out are those of the demo's own."""

    def lengths(mean_tokens: float | None, otherwise: Lengths) -> Lengths:
        return (
            otherwise
            if not mean_tokens
            else dataclasses.replace(otherwise, mean_tokens=mean_tokens)
        )

    return sampled(
        (
            Rate(
                start_s=rate.start_s,
                end_s=rate.end_s,
                per_s=rate.per_s,
                prompt=lengths(rate.prompt_tokens_mean, scene.PROMPT),
                output=lengths(rate.output_tokens_mean, scene.OUTPUT),
            )
            for rate in rates
        ),
        seed,
    )


async def perform(
    stage: Stage,
    address: str,
    answers: Callable[[], Sequence[Observation]],
    *,
    links: Sequence[str],
    console: Console,
) -> list[Moment]:
    """Run the stage with the scaler at an address, and show it; return what was to be seen."""
    running = asyncio.create_task(stage.run(address, answers))
    seen: list[Moment] = []
    looking = asyncio.create_task(follow(stage, seen))
    try:
        await _show(stage, running, links=links, console=console)
    finally:
        looking.cancel()
    running.result()
    return seen


async def _show(
    stage: Stage, running: asyncio.Task[None], *, links: Sequence[str], console: Console
) -> None:
    if console.is_terminal:
        await _draw(stage, running, links=links, console=console)
        return
    for link in links:
        console.print(link, soft_wrap=True)
    while not running.done():
        console.print(line(stage), soft_wrap=True)
        await asyncio.wait({running}, timeout=_LINE_S)


async def _draw(
    stage: Stage, running: asyncio.Task[None], *, links: Sequence[str], console: Console
) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not running.done():
            if not console.is_terminal:  # taken away: nothing is drawn, and nothing fails
                stage.stop()
            live.update(frame(stage, links), refresh=True)
            await asyncio.wait({running}, timeout=_REFRESH_S)


async def curtain(stage: Stage, console: Console, notes: Sequence[str]) -> tuple[Row, ...]:
    """Sum up a play that has ended, with fixed fleets on the same requests beside it."""
    ours = stage.score()
    ended_s = min(stage.play.length_s, stage.true_s)
    played = dataclasses.replace(stage.play, length_s=ended_s)
    console.print(events(stage, most=MOST_EVENTS))
    console.print("the same requests with fixed fleets, simulated …", style="dim")
    rows = (
        Row(name="kvtide", score=ours),
        *await asyncio.to_thread(fixed_rows, played, ours),
    )
    console.print(summary_table(rows, title=_title(ours, ended_s)))
    for note in notes:
        console.print(f"· {note}", soft_wrap=True, style="dim")
    return rows


def day(stage: Stage, rows: tuple[Row, ...], seen: Sequence[Moment], notes: Sequence[str]) -> str:
    """Return a play that has ended as an HTML page: figures, plots, everything that happened."""
    ended_s = min(stage.play.length_s, stage.true_s)
    return html(
        title=_title(rows[0].score, ended_s),
        notes=notes,
        figures=summary_rows(rows),
        moments=seen,
        events=[*event_rows(stage)],
    )


def _title(ours: Score, ended_s: float) -> str:
    return f"{ended_s / 60:.0f} minutes, {ours.requests} requests"


def screen(on_gone: Callable[[], object], *, for_json: bool) -> Console:
    """
    Return where to show it: standard output, or standard error beside a JSON document.

    ``on_gone`` is called once nobody can see it any more: its terminal or pipe is closed.
    """
    file = sys.stderr if for_json else sys.stdout

    def drop_the_rest(error: OSError) -> None:
        if not is_reader_gone(error):
            raise error
        drop_all(file)
        on_gone()

    watched = Watched(file, drop_the_rest) if file is not None else None
    return Console(file=cast("TextIO | None", watched), highlight=False)
