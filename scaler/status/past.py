"""The last hour or day of an object: plots with what held when, and a list of what happened."""

import collections
import dataclasses
import datetime as dt
import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import markupsafe

from scaler.decision.decision import Reason
from scaler.report.moments import Moment
from scaler.report.plot import Band, Mark, Points, lines, stepped
from scaler.serving.history import Event, History, Origin, events

from .row import NOTHING
from .words import Words

_PANIC, _HELD, _RECLAIM, _BOUND = "#d1622b", "#6b7280", "#b42318", "#8a4fa3"
_BACK = (Reason.RECLAIMED, Reason.BLIND_RECLAIM)
_WIDE, _NARROW = (900, 230), (360, 240)
"""Pixels of a plot as a desk shows it, and a phone: what is made smaller cannot be read there."""
_HOUR_S = 3600.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The lines that an object's load is read against."""

    least: int | None = None
    most: int | None = None
    target: float | None = None
    """Inference: load per ready replica that is aimed at."""
    panic_from: float | None = None
    """Inference: load per ready replica that a panic begins at."""
    stable_s: float = 0.0
    """Inference: seconds of the stable window; 0: not known."""
    panic_s: float = 0.0
    """The same of the panic window."""
    lend_below: float | None = None
    reclaim_above: float | None = None
    units_per_worker: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One plot in two sizes, of which a page shows the one that fits."""

    wide: markupsafe.Markup
    narrow: markupsafe.Markup


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the template shows."""

    told: str
    plots: tuple[Plot, ...] = ()
    events: tuple[Mapping[str, str], ...] = ()
    sum: str = ""


def past(history: History | str, limits: Limits, words: Words, *, is_training: bool) -> Past:
    """Return the past; a text in place of a history says why there is none."""
    if isinstance(history, str):
        return Past(told=words("no_history", why=words.sentence(history)))
    origin = "from_metrics" if history.origin is Origin.METRICS else "from_windows"
    told = words(origin) + (f" ({words.sentence(history.why)})" if history.why else "")
    moments = history.moments
    if not any(one.wanted is not None or one.ran is not None for one in moments):
        return Past(told=told)
    drawn = _training(moments, limits, words) if is_training else _inference(moments, limits, words)
    return Past(
        told=told,
        plots=tuple(drawn),
        events=tuple(_event(one, words) for one in events(moments)),
        sum=_lent(moments, limits, words) if is_training else "",
    )


def _inference(moments: Sequence[Moment], limits: Limits, words: Words) -> Iterator[Plot]:
    yield _counts(moments, limits, words, title=words("plot_replicas"))
    loads = _over(moments, lambda one: one.load)
    if _known(loads):
        levels = {"target": limits.target, "panic_from": limits.panic_from}
        series: dict[str, Points] = {words("line_load"): loads}
        series |= {
            words(f"line_{key}"): _average(loads, window_s)
            for key, window_s in (("stable", limits.stable_s), ("panic", limits.panic_s))
            if window_s > _step_s(moments)  # else it is the load itself
        }
        series |= {
            words(f"line_{key}"): _per_ready(moments, each)
            for key, each in levels.items()
            if each is not None
        }
        yield _plot(
            series,
            title=words("plot_load"),
            unit=words("in_replicas"),
            dashed={words(f"line_{key}") for key in levels},
            marked=_bands(moments, words),
        )
    safe = _over(moments, lambda one: one.safe_concurrency)
    if _known(safe):
        yield _plot({words("line_safe"): safe}, title=words("plot_safe"))


def _training(moments: Sequence[Moment], limits: Limits, words: Words) -> Iterator[Plot]:
    yield _counts(moments, limits, words, title=words("plot_workers"))
    loads = _over(moments, lambda one: None if one.load is None else 100 * one.load)
    if _known(loads):
        series: dict[str, Points] = {words("line_load"): loads}
        for key, share in (("lend", limits.lend_below), ("reclaim", limits.reclaim_above)):
            if share is not None:
                series[words(f"line_{key}")] = _level(moments, 100 * share)
        dashed = {words("line_lend"), words("line_reclaim")}
        title = words("plot_online")
        yield _plot(series, title=title, unit="%", dashed=dashed, marked=_bands(moments, words))


def _counts(moments: Sequence[Moment], limits: Limits, words: Words, *, title: str) -> Plot:
    series: dict[str, Points] = {
        words("line_ready"): stepped(_over(moments, lambda one: one.ran)),
        words("line_wanted"): stepped(_over(moments, lambda one: one.wanted)),
    }
    foreseen = _over(moments, lambda one: one.wanted if one.reason == Reason.FORECAST else None)
    if _known(foreseen):
        series[words("line_forecast")] = stepped(foreseen)
    for key, count in (("min", limits.least), ("max", limits.most)):
        if count:
            series[words(f"line_{key}")] = _level(moments, count)
    return _plot(
        series,
        title=title,
        filled=words("line_ready"),
        dashed={words("line_min"), words("line_max")},
        marked=[*_bands(moments, words), *_changes(moments)],
    )


def _plot(
    series: Mapping[str, Points],
    *,
    title: str,
    unit: str = "",
    filled: str | None = None,
    dashed: Collection[str] = (),
    marked: Sequence[Band | Mark] = (),
) -> Plot:
    wide, narrow = (
        markupsafe.Markup(  # noqa: S704 -- escaped where it is drawn
            lines(
                series,
                title=title,
                up=unit,
                filled=filled,
                dashed=dashed,
                marked=marked,
                size=size,
            )
        )
        for size in (_WIDE, _NARROW)
    )
    return Plot(wide=wide, narrow=narrow)


def _per_ready(moments: Sequence[Moment], each: float) -> Points:
    return stepped(_over(moments, lambda one: None if one.ran is None else one.ran * each))


def _step_s(moments: Sequence[Moment]) -> float:
    """Return the time between two moments, seconds; infinite for a single one."""
    if len(moments) < 2:
        return math.inf
    return (moments[-1].at_s - moments[0].at_s) / (len(moments) - 1)


def _average(points: Points, window_s: float) -> Points:
    """Return the mean over the trailing window of what is drawn; None where nothing is known."""
    averages, since = [], 0
    for at, (at_s, _) in enumerate(points):
        while points[since][0] <= at_s - window_s:
            since += 1
        known = [y for _, y in points[since : at + 1] if y is not None]
        averages.append((at_s, sum(known) / len(known) if known else None))
    return averages


def _over(moments: Sequence[Moment], of: Callable[[Moment], float | None]) -> Points:
    return [(one.at_s, of(one)) for one in moments]


def _level(moments: Sequence[Moment], value: float) -> Points:
    return [(moments[0].at_s, value), (moments[-1].at_s, value)]


def _known(points: Points) -> bool:
    return any(value is not None for _, value in points)


def _bands(moments: Sequence[Moment], words: Words) -> list[Band]:
    """Return when a panic or a reclaim lasted, the maximum was met, and when none was answered."""
    at_most = Reason.TOO_MANY_REPLICAS
    return [
        *_stretches(moments, lambda one: one.reason == at_most, words("mark_max"), _BOUND),
        *_stretches(moments, lambda one: one.reason in _BACK, words("mark_reclaim"), _RECLAIM),
        *_stretches(moments, lambda one: one.panic, words("mark_panic"), _PANIC),
        *_stretches(moments, lambda one: one.wanted is None, words("mark_held"), _HELD),
    ]


def _stretches(
    moments: Sequence[Moment], held: Callable[[Moment], bool], name: str, colour: str
) -> Iterator[Band]:
    since_s: float | None = None
    for one in moments:
        if held(one) and since_s is None:
            since_s = one.at_s
        elif since_s is not None and not held(one):
            yield Band(since=since_s, until=one.at_s, name=name, colour=colour)
            since_s = None
    if since_s is not None:
        yield Band(since=since_s, until=moments[-1].at_s, name=name, colour=colour)


def _changes(moments: Sequence[Moment]) -> Iterator[Mark]:
    """Yield each change of the count that is wanted, of those that are told in the list as well."""
    for one in events(moments):
        if one.before is not None and one.after is not None and one.before != one.after:
            yield Mark(
                at=one.at_s,
                name=f"{dt.datetime.fromtimestamp(one.at_s, dt.UTC):%H:%M:%S}"
                f" {one.before} → {one.after} {one.reason}",
                upwards=one.after > one.before,
            )


def _event(one: Event, words: Words) -> dict[str, str]:
    before, after = (NOTHING if n is None else str(n) for n in (one.before, one.after))
    turned = {None: "", True: words("panic_began"), False: words("panic_ended")}[one.panic]
    count = "" if one.before == one.after else f"{before} → {after}"
    gloss = words.reason(one.reason)
    return {
        "at": f"{dt.datetime.fromtimestamp(one.at_s, dt.UTC):%m-%d %H:%M:%S}",
        "change": ", ".join(part for part in (count, turned) if part),
        "reason": one.reason,
        "detail": words.sentence(one.detail) or gloss,
    }


def _lent(moments: Sequence[Moment], limits: Limits, words: Words) -> str:
    """Say how many GPU-hours were lent, how often all were taken back, and what that can cost."""
    lent = _stood(moments)
    pairs = list(itertools.pairwise(lent))
    lent_s = sum(count * (until_s - at_s) for (at_s, count), (until_s, _) in pairs)
    reclaims = sum(before > 0 and after == 0 for (_, before), (_, after) in pairs)
    each = limits.units_per_worker / _HOUR_S
    told = words("pool_gpu_hours", hours=f"{each * lent_s:.1f}", reclaims=reclaims)
    return f"{told} {words('pool_lost', hours=f'{each * _cut_short_s(lent):.1f}')}"


def _stood(moments: Sequence[Moment]) -> list[tuple[float, int]]:
    """Return when how many workers might run: while there is no answer those before run on."""
    stood, count = [], 0
    for one in moments:
        count = count if one.wanted is None else one.wanted
        stood.append((one.at_s, count))
    return stood


def _cut_short_s(lent: Sequence[tuple[float, int]]) -> float:
    """
    Return for how long workers had run that had to go, seconds: no more than that can be lost.

    Of some, the oldest are taken to go; what a checkpoint has kept is not seen from here.
    """
    began: collections.deque[float] = collections.deque()
    lost_s = 0.0
    for at_s, count in lent:
        began.extend([at_s] * (count - len(began)))
        while len(began) > count:
            lost_s += at_s - began.popleft()
    return lost_s
