"""Fronts, goals and the page of the policy benchmark: from points to text and plots."""

import dataclasses
import pathlib
import statistics
from collections.abc import Iterable, Sequence

from benchmarks.page import put
from benchmarks.policy_plot import fronts
from benchmarks.policy_traces import BY_NAME

OWN = "kvtide"
LEVELS = (0.90, 0.95, 0.98, 0.99, 0.995, 0.999)
_SAVED, _OVER_ORACLE = 0.20, 1.25
_LEAST_DRAWN = 0.8
_GLANCE = """\
Rivals' points that ours do not beat; our GPU-hours against the best rival's for each share in SLO,
and the oracle's against it for 99 %; ours over the oracle's for 99 %. **Bold** meets its goal; – is
not reached, "alone" where no rival reaches it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One run: what it cost and what it reached."""

    trace: str
    policy: str
    setting: str
    name: str
    seed: int
    gpu_hours: float
    attainment: float
    ttft_p99_s: float | None
    most: int
    lower_bound_gpu_hours: float | None


def cheapest(points: Iterable[Point], level: float) -> Point | None:
    """Return the point with the fewest GPU-hours that reaches a level; None: none does."""
    reached = [point for point in points if point.attainment >= level - 1e-9]
    return min(reached, key=lambda point: point.gpu_hours, default=None)


def lasting(points: Iterable[Point], seeds: int, level: float) -> list[Point]:
    """
    Return the runs of the setting with the fewest GPU-hours that reaches a level with each seed.

    The cheapest of many settings with one seed is also the luckiest. Empty: none reaches it.
    """
    by_setting: dict[str, list[Point]] = {}
    for point in points:
        by_setting.setdefault(point.setting, []).append(point)
    steady = [
        runs
        for runs in by_setting.values()
        if len(runs) == seeds and all(one.attainment >= level - 1e-9 for one in runs)
    ]
    return min(steady, key=lambda runs: sum(one.gpu_hours for one in runs), default=[])


def front(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other one beats in both respects, by GPU-hours."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda one: (one.gpu_hours, -one.attainment)):
        if not kept or point.attainment > kept[-1].attainment:
            kept.append(point)
    return kept


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How our points of one trace stand against the goals."""

    trace: str
    own: tuple[Point, ...]
    rivals: tuple[Point, ...]
    oracle: Point | None

    @classmethod
    def of(cls, trace: str, points: Iterable[Point]) -> "Standing":
        """Return the standing in the sweep, which is played with the first seed."""
        here = [one for one in points if one.trace == trace and one.seed == 1]
        others = (OWN, "oracle")
        return cls(
            trace=trace,
            own=tuple(one for one in here if one.policy == OWN),
            rivals=tuple(one for one in here if one.policy not in others),
            oracle=next((one for one in here if one.policy == "oracle"), None),
        )

    def beyond(self) -> list[Point]:
        """Return rivals' points that reach at least 90 % and that no point of ours beats."""
        return [
            rival
            for rival in front(self.rivals)
            if rival.attainment >= LEVELS[0]
            and not any(
                own.attainment >= rival.attainment
                and own.gpu_hours <= rival.gpu_hours
                and (own.attainment, own.gpu_hours) != (rival.attainment, rival.gpu_hours)
                for own in self.own
            )
        ]

    def savings(self) -> list[tuple[float, Point, Point | None]]:
        """Return each level that a rival reaches, with the cheapest rival there and our own."""
        found = []
        for level in LEVELS:
            rival = cheapest(self.rivals, level)
            if rival is not None:
                found.append((level, rival, cheapest(self.own, level)))
        return found

    def over_oracle(self) -> float | None:
        """Return our GPU-hours at 99 % over the oracle's; None: one of the two is not there."""
        own = cheapest(self.own, 0.99)
        return own.gpu_hours / self.oracle.gpu_hours if own and self.oracle else None

    def oracle_saves(self) -> float | None:
        """Return the share of the best rival's GPU-hours at 99 % that the oracle does without."""
        best = cheapest(self.rivals, 0.99)
        return 1 - self.oracle.gpu_hours / best.gpu_hours if best and self.oracle else None


def goals(standing: Standing) -> list[str]:
    """Return the three goals on one trace, each said plainly."""
    if not standing.rivals or not standing.own:
        return ["goals: not to be told, since ours or every rival was left out"]
    beyond = standing.beyond()
    said = "met: none" if not beyond else "missed: " + "; ".join(f"{_at(one)}" for one in beyond)
    saved = [f"{100 * level:g} %: {_saved(rival, own)}" for level, rival, own in standing.savings()]
    if (share := standing.oracle_saves()) is not None:
        saved.append(f"the oracle itself saves {100 * share:.0f} % at 99 %")
    is_saved = all(
        own is not None and own.gpu_hours <= (1 - _SAVED) * rival.gpu_hours
        for _, rival, own in standing.savings()
    )
    ratio = standing.over_oracle()
    over = (
        "missed: we do not reach 99 %, or no schedule was found"
        if ratio is None
        else f"{'met' if ratio <= _OVER_ORACLE else 'missed'}: {ratio:.2f} x"
    )
    return [
        f"a rival on or beyond our front: {said}",
        f"20 % fewer GPU-hours at each level: {'met' if is_saved else 'missed'}. "
        + ("; ".join(saved) or "no rival reaches 90 %"),
        f"at most 1.25 x the oracle at 99 %: {over}",
    ]


def _at(point: Point) -> str:
    return f"{point.name} ({100 * point.attainment:.2f} % at {point.gpu_hours:.2f})"


def _saved(rival: Point, own: Point | None) -> str:
    against = f"best rival {rival.name} {rival.gpu_hours:.2f}"
    if own is None:
        return f"we do not reach it ({against})"
    share = 100 * (1 - own.gpu_hours / rival.gpu_hours)
    word = "fewer" if share >= 0 else "more"
    return f"{abs(share):.0f} % {word}, {own.gpu_hours:.2f} [{own.setting}] ({against})"


def traces_of(points: Iterable[Point]) -> list[str]:
    """Return the traces that were played, in the order in which they are written down."""
    seen = {point.trace for point in points}
    return [name for name in BY_NAME if name in seen]


def print_goals(points: Sequence[Point]) -> None:
    """Print every trace's points that matter, and how the goals stand."""
    for trace in traces_of(points):
        spec, standing = BY_NAME[trace], Standing.of(trace, points)
        print(f"\n## {trace} ({'tuned on' if spec.tuned_on else 'held out'})")
        for one in (*sorted(standing.own, key=_cost), *(_best(standing.rivals))):
            print(f"  {one.gpu_hours:7.2f}  {100 * one.attainment:6.2f} %  {one.name}")
        if standing.oracle is not None:
            bound = standing.oracle.lower_bound_gpu_hours or 0.0
            print(f"  {standing.oracle.gpu_hours:7.2f}  oracle; no policy below {bound:.2f}")
        for goal in (*goals(standing), *_lasting(trace, points)):
            print(f"- {goal}")


def _lasting(trace: str, points: Sequence[Point]) -> list[str]:
    """Say what holds with every seed of the sweep; nothing where it was played with one."""
    here = [one for one in points if one.trace == trace]
    oracle = [one for one in here if one.policy == "oracle"]
    if len(oracle) < 2:
        return []
    best = lasting([one for one in here if one.policy == OWN], len(oracle), 0.99)
    said = "none"
    if best:
        hours = statistics.mean(one.gpu_hours for one in best)
        ratio = hours / statistics.mean(one.gpu_hours for one in oracle)
        least = 100 * min(one.attainment for one in best)
        said = (
            f"{best[0].setting}, {hours:.2f} GPU-hours and {ratio:.2f} x the oracle on average, "
            f"{least:.2f} % at least"
        )
    return [f"our cheapest that keeps 99 % with each of {len(oracle)} seeds: {said}"]


def _cost(point: Point) -> float:
    return point.gpu_hours


def _best(rivals: Sequence[Point]) -> list[Point]:
    return [one for one in front(rivals) if one.attainment >= LEVELS[0]]


def write_page(points: Sequence[Point], docs: pathlib.Path) -> None:
    """Write the figures between the page's markers, and a plot of each trace beside it."""
    put(docs / "benchmarks.md", "figures", figures(points))
    for trace in traces_of(points):
        (docs / f"benchmarks-{trace}.svg").write_text(plot(trace, points), encoding="utf-8")


def figures(points: Sequence[Point]) -> str:
    """Return the tables: the traces, the goals, and every policy at its defaults and best."""
    parts = ["| trace | for | what is played | scored after |", "|---|---|---|---|"]
    for trace in traces_of(points):
        spec = BY_NAME[trace]
        half = "tuning" if spec.tuned_on else "**held out**"
        parts.append(f"| {trace} | {half} | {spec.about} | {spec.warm_up_s:.0f} s |")
    parts += ["", "### Everybody's defaults", "", *_defaults_of_all(points)]
    parts += ["", "### The goals at a glance", "", *_glance(points)]
    for trace in traces_of(points):
        standing = Standing.of(trace, points)
        half = "tuned on" if BY_NAME[trace].tuned_on else "held out"
        parts += ["", f"### {trace} ({half})", "", f"![front](benchmarks-{trace}.svg)", ""]
        parts += [f"* {goal}" for goal in goals(standing)]
        if standing.oracle is not None:
            bound = standing.oracle.lower_bound_gpu_hours or 0.0
            parts.append(
                f"* the oracle: {standing.oracle.gpu_hours:.2f} GPU-hours at "
                f"{100 * standing.oracle.attainment:.2f} %; no policy can do with fewer than "
                f"{bound:.2f}"
            )
        parts += ["", *_table(trace, points)]
    return "\n".join(parts) + "\n"


def _defaults_of_all(points: Sequence[Point]) -> list[str]:
    """Return each policy at its defaults over the traces, by the worst that it does on one."""
    default = [one for one in points if one.setting == "default"]
    traces = traces_of(default)
    rows = []
    for policy in {one.policy for one in default}:
        mine = [[one for one in default if (one.policy, one.trace) == (policy, t)] for t in traces]
        if not all(mine):
            continue
        shares = [statistics.mean(one.attainment for one in each) for each in mine]
        hours = sum(statistics.mean(one.gpu_hours for one in each) for each in mine)
        name = f"**{policy}**" if policy == OWN else policy
        cells = " | ".join(f"{100 * share:.1f}" for share in shares)
        rows.append((min(shares), f"| {name} | {cells} | {hours:.1f} |"))
    return [
        "Percent of requests in SLO on each trace, and GPU-hours over all of them; by the worst.",
        "",
        f"| policy | {' | '.join(traces)} | GPU-h |",
        f"|---|{'--:|' * (len(traces) + 1)}",
        *(row for _, row in sorted(rows, reverse=True)),
    ]


def _glance(points: Sequence[Point]) -> list[str]:
    """Return how far each trace is from each goal; what meets one stands out."""
    levels = " | ".join(f"{100 * level:g} %" for level in LEVELS)
    rows = [
        _GLANCE,
        "",
        f"| trace | rivals | {levels} | oracle | over the oracle |",
        f"|---|{'--:|' * (len(LEVELS) + 3)}",
    ]
    for trace in traces_of(points):
        standing = Standing.of(trace, points)
        if not standing.rivals or not standing.own:
            continue
        ahead = {level: (rival, own) for level, rival, own in standing.savings()}
        beyond, saves = len(standing.beyond()), standing.oracle_saves()
        ratio = standing.over_oracle()
        cells = [
            _bold(f"{beyond}", met=not beyond),
            *(_against(*ahead[level]) if level in ahead else "alone" for level in LEVELS),
            "–" if saves is None else f"{-100 * saves:+.0f} %",
            "–" if ratio is None else _bold(f"{ratio:.2f}", met=ratio <= _OVER_ORACLE),
        ]
        rows.append(f"| {trace} | {' | '.join(cells)} |")
    return rows


def _against(rival: Point, own: Point | None) -> str:
    if own is None:
        return "–"
    ratio = own.gpu_hours / rival.gpu_hours
    return _bold(f"{100 * (ratio - 1):+.0f} %", met=ratio <= 1 - _SAVED)


def _bold(text: str, *, met: bool) -> str:
    return f"**{text}**" if met else text


def _table(trace: str, points: Sequence[Point]) -> list[str]:
    """Return each policy at its defaults (all seeds), and its cheapest settings per level."""
    here = [one for one in points if one.trace == trace and one.policy != "oracle"]
    rows = [
        "| policy | defaults: GPU-h | in SLO | TTFT p99 | fewest GPU-h at 95 % | at 99 % |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for policy in sorted({one.policy for one in here}, key=lambda name: (name != OWN, name)):
        mine = [one for one in here if one.policy == policy]
        default = [one for one in mine if one.setting == "default"]
        sweep = [one for one in mine if one.seed == 1]
        cells = [f"**{policy}**" if policy == OWN else policy]
        cells += _defaults(default)
        cells += [_cell(cheapest(sweep, level)) for level in (0.95, 0.99)]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _defaults(points: Sequence[Point]) -> list[str]:
    if not points:
        return ["–", "–", "–"]
    hours = [one.gpu_hours for one in points]
    shares = [100 * one.attainment for one in points]
    waits = [one.ttft_p99_s for one in points if one.ttft_p99_s is not None]
    return [
        f"{statistics.mean(hours):.2f}{_spread(hours)}",
        f"{statistics.mean(shares):.2f} %{_spread(shares)}",
        f"{statistics.mean(waits):.1f} s" if waits else "–",
    ]


def _spread(values: Sequence[float]) -> str:
    half = (max(values) - min(values)) / 2
    return f" ± {half:.2f}" if len(values) > 1 else ""


def _cell(point: Point | None) -> str:
    return "–" if point is None else f"{point.gpu_hours:.2f} ({point.setting})"


def plot(trace: str, points: Sequence[Point]) -> str:
    """Return each policy's front on one trace, from 80 % up, and the oracle."""
    here = [one for one in points if one.trace == trace and one.seed == 1]
    here = [one for one in here if one.attainment >= _LEAST_DRAWN]
    policies = sorted({one.policy for one in here})
    series = {
        policy: [_place(one) for one in front(one for one in here if one.policy == policy)]
        for policy in policies
    }
    default = [one for one in here if one.policy == OWN and one.setting == "default"]
    title = f"{trace}: requests in SLO against GPU-hours, each policy over its knob"
    return fronts(series, own=OWN, default=[_place(one) for one in default], title=title)


def _place(point: Point) -> tuple[float, float]:
    return point.gpu_hours, point.attainment
