"""The figures of lending as rows, tables and the plot of what the rule costs."""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping

from benchmarks.lending_cases import Case
from benchmarks.lending_plot import shares
from benchmarks.lending_ways import OWN
from scaler.simulation.simulate import Run

NONE = "no lending"
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The figures of a run that the table shows."""

    requests: int
    training_gpu_hours: float
    """Work that was kept or is under way."""
    lent_gpu_hours: float
    """What workers held, starting ones included."""
    lost_gpu_hours: float
    ttft_p99_s: float | None
    slo: float | None
    inference_gpu_hours: float
    told_to_go: int
    """Workers, as seen from scrape to scrape."""
    reclaim_p50_s: float | None
    reclaim_p99_s: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Oracles:
    """Unit-hours that could have been lent beside inference as it was."""

    bound: float
    """Under the two thresholds."""
    unbound: float
    trained: float
    """Of the bound ones, what a trainer could compute with its start-ups and checkpoints."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Everything of one case: rows by way and by ``lendBelow``."""

    highest_load: float
    oracles: Oracles
    by_share: dict[float, Oracles]
    ways: dict[str, Row]
    sweep: dict[float, Row]


def row(run: Run, case: Case) -> Row:
    """Return the figures of a run."""
    score = run.score
    scored = [moment.workers for moment in run.moments if moment.at_s >= 0]
    held = sum(scored) * case.scrape_s / 3600
    return Row(
        requests=score.requests,
        told_to_go=sum(max(0, now - then) for now, then in itertools.pairwise(scored)),
        training_gpu_hours=score.training_gpu_hours,
        lent_gpu_hours=held,
        lost_gpu_hours=score.training_lost_gpu_hours,
        ttft_p99_s=score.ttft_s.p99,
        slo=score.slo_attainment,
        inference_gpu_hours=score.gpu_hours,
        reclaim_p50_s=score.reclaim_s.p50,
        reclaim_p99_s=score.reclaim_s.p99,
    )


_COLUMNS = (
    "| way | training GPU-h | of bound | of unbound | lost | TTFT p99 s | against none | SLO "
    "| inference GPU-h | told to go | reclaim p50/p99 s |\n" + "|---" * 11 + "|"
)


def table(name: str, result: Result) -> str:
    """Return one case as a Markdown table."""
    most, without = result.oracles, result.ways[NONE]
    head = (
        f"**{name}**: {without.requests:,} requests, highest load {result.highest_load:.2f}; "
        f"unbound oracle {most.unbound:.2f} GPU-hours, bound {most.bound:.2f}, "
        f"of which a trainer could compute {most.trained:.2f}\n"
    )
    rows = [_line(title, one, most, without) for title, one in result.ways.items()]
    rows += [
        _line(f"`lendBelow` {share:g}", one, result.by_share[share], without)
        for share, one in result.sweep.items()
        if share != 0.3
    ]
    return "\n".join((head, _COLUMNS, *rows, ""))


def _line(title: str, one: Row, most: Oracles, without: Row) -> str:
    done, lost = one.training_gpu_hours, one.lost_gpu_hours
    nothing = one is without
    cells = (
        title,
        f"{done:.2f}",
        "–" if nothing else _percent(done, most.bound),
        "–" if nothing else _percent(done, most.unbound),
        "–" if nothing else _percent(lost, done + lost),
        figure(one.ttft_p99_s, 3),
        "–" if nothing else _change(one.ttft_p99_s, without.ttft_p99_s),
        figure(one.slo, 4),
        f"{one.inference_gpu_hours:.1f}",
        f"{one.told_to_go}",
        f"{figure(one.reclaim_p50_s, 0)}/{figure(one.reclaim_p99_s, 0)}",
    )
    return f"| {' | '.join(cells)} |"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _change(now: float | None, before: float | None) -> str:
    return f"{100 * (now / before - 1):+.1f} %" if now and before else "–"


def figure(value: float | None, digits: int) -> str:
    """Return a number with so many digits; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def plot(results: Mapping[str, Result]) -> str:
    """Return the price of the rule: shares of what the unbound oracle lends, over lendBelow."""
    series = {
        name: (
            [
                (share, 100 * one.bound / result.oracles.unbound)
                for share, one in result.by_share.items()
            ],
            [
                (share, 100 * one.training_gpu_hours / result.oracles.unbound)
                for share, one in result.sweep.items()
            ],
        )
        for name, result in results.items()
        if result.oracles.unbound
    }
    return shares(series)


def write_page(results: Mapping[str, Result], docs: pathlib.Path) -> None:
    """Write the tables between the page's markers, and the plot beside it."""
    page = docs / "lending-benchmark.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    text = "\n".join((_BEGIN, "", _goals(results), *map(table, results, results.values()), _END))
    page.write_text(before + text + after, encoding="utf-8")
    (docs / "lending-benchmark.svg").write_text(plot(results), encoding="utf-8")


def _goals(results: Mapping[str, Result]) -> str:
    """Return each case against the three goals."""
    head = (
        "| case | training GPU-h of bound (goal 90 %) | of what a trainer could compute "
        "| TTFT p99 (goal within 2 %) | work lost (goal 1 %) |\n" + "|---" * 5 + "|"
    )
    lines = [head]
    for name, result in results.items():
        own, without, most = result.ways[OWN], result.ways[NONE], result.oracles
        done, lost = own.training_gpu_hours, own.lost_gpu_hours
        cells = (
            name,
            _percent(done, most.bound),
            _percent(done, most.trained),
            _change(own.ttft_p99_s, without.ttft_p99_s),
            _percent(lost, done + lost),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join((*lines, ""))
