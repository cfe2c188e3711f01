"""What the demo came to, beside fleets whose size never changes, simulated on the same day."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from rich.table import Table

from scaler.simulation.baselines.fixed import fixed_fleet
from scaler.simulation.score import Score

from . import scene
from .stage import Play


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to run the pool, and what it came to."""

    name: str
    score: Score


def fixed_rows(play: Play, ours: Score) -> tuple[Row, ...]:
    """
    Return fixed fleets on the same requests: as large as ours ever was, and as its mean.

    Whatever they leave of the pool trains throughout.
    """
    mean = ours.gpu_hours * 3600 / play.length_s
    sizes = {
        "its peak, fixed": ours.max_replicas,
        "its mean, fixed": max(1, min(ours.max_replicas, math.ceil(mean - 0.05))),
    }
    return tuple(
        Row(
            name=f"{name} ({replicas})",
            score=fixed_fleet(
                scene.cluster(play.seed),
                play.arrivals(),
                slo=scene.SLO,
                replicas=replicas,
                workers=scene.UNITS - replicas,
                length_s=play.length_s,
            ),
        )
        for name, replicas in sizes.items()
    )


def summary_table(rows: tuple[Row, ...], *, title: str) -> Table:
    """Return the runs side by side, as a table for a terminal of 80 columns."""
    table = Table(title=title, title_justify="left")
    head, body = summary_rows(rows)
    for name in head:
        table.add_column(name, justify="right" if name else "left")
    for cells in body:
        table.add_row(*cells)
    return table


def summary_rows(rows: tuple[Row, ...]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of that table as texts."""
    body = [[label, *(shown(row.score) for row in rows)] for label, shown in _FIGURES.items()]
    return ["", *(row.name for row in rows)], body


_FIGURES: dict[str, Callable[[Score], str]] = {
    "inference, GPU-hours": lambda score: f"{score.gpu_hours:.2f}",
    "training, GPU-hours": lambda score: f"{score.training_gpu_hours:.2f}",
    "training lost, GPU-hours": lambda score: f"{score.training_lost_gpu_hours:.2f}",
    "within the objective": lambda score: _percent(score.slo_attainment),
    "first token, p50 / p99": lambda score: _both(score.ttft_s.p50, score.ttft_s.p99),
    "between tokens, p50 / p99": lambda score: _both(score.itl_s.p50, score.itl_s.p99),
    "most requests waiting": lambda score: str(score.queue_peak),
    "failed requests": lambda score: str(score.failed_requests),
    "most replicas": lambda score: str(score.max_replicas),
    "reclaim, p50 / p99": lambda score: _both(score.reclaim_s.p50, score.reclaim_s.p99),
}


def summary_json(rows: tuple[Row, ...], play: Play) -> dict[str, Any]:
    """Return the same for ``--json``."""
    return {
        "length_s": play.length_s,
        "speed": play.speed,
        "seed": play.seed,
        "runs": {row.name: dataclasses.asdict(row.score) for row in rows},
    }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _both(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{_seconds(low)} / {_seconds(high)}"


def _seconds(value: float) -> str:
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"
