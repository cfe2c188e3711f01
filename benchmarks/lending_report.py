"""The figures of lending as rows, tables and the plot of what the rule costs."""

import dataclasses
from collections.abc import Mapping

from benchmarks.lending_cases import Case
from benchmarks.lending_plot import shares
from scaler.simulation.simulate import Run


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
        figure(one.ttft_p99_s, 3),
        figure(one.slo, 4),
        f"{one.inference_gpu_hours:.1f}",
        f"{figure(one.reclaim_p50_s, 0)}/{figure(one.reclaim_p99_s, 0)}",
    )
    return f"| {' | '.join(cells)} |"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def figure(value: float | None, digits: int) -> str:
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
