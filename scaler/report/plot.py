"""
Plots over time as SVG, drawn here: no library, no script, the same bytes for the same figures.

A missing value is a gap in its line, never zero and never bridged. Colours are CSS variables with a
light fallback, so a plot stands alone and a page may turn it dark.
"""

import dataclasses
import datetime as dt
import html
import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from .plot_head import head, wide

Points = Sequence[tuple[float, float | None]]
"""Across and up, in order; None: not known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stretch of time in which something held; it is named where it begins."""

    since: float
    until: float
    name: str
    colour: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An instant at which a count changed; a triangle at the foot of the plot."""

    at: float
    name: str
    upwards: bool


COLOURS = ("#1673b1", "#d1622b", "#2f8f4e", "#8a4fa3", "#b8860b", "#6b7280", "#c2185b", "#00897b")
_LEFT, _BOTTOM, _RIGHT = 48, 26, 14
_ABOVE, _BAND_NAMES = 12, 14
"""Pixels between what stands above and the plot's field, and what names of bands take of them."""
_MOST_POINTS = 700
_HEADROOM = 1.08
_INK, _GRID, _PAPER = "var(--ink,#1f2933)", "var(--grid,#e3e6ea)", "var(--paper,#ffffff)"
_STEPS_S = (
    10,
    30,
    60,
    300,
    600,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
)


def lines(
    series: Mapping[str, Points],
    *,
    title: str,
    up: str = "",
    filled: str | None = None,
    dashed: Collection[str] = (),
    marked: Sequence[Band | Mark] = (),
    clock: bool = True,
    size: tuple[int, int] = (900, 240),
) -> str:
    """
    Return a plot of some series by name, each of them its own colour.

    ``filled`` names the one that is drawn as an area, ``dashed`` those that are limits rather than
    readings; ``marked`` are stretches in which something held, and instants. Across are seconds:
    of the clock (UTC), or from a beginning. ``up`` is the unit, ``size`` pixels; without a title
    there is nothing but the field.
    """
    known = [(x, y) for points in series.values() for x, y in points if y is not None]
    across = [x for points in series.values() for x, _ in points] or [0.0, 1.0]
    bands = [one for one in marked if isinstance(one, Band)]
    colours = {
        name: f"var(--series-{at % len(COLOURS)},{COLOURS[at % len(COLOURS)]})"
        for at, name in enumerate(series)
    }
    above, foot = head(title, up, colours, size[0])
    frame = _Frame(
        size=size,
        top=foot + _ABOVE + (_BAND_NAMES if bands else 0),
        low=min(across),
        high=max(across),
        most=_HEADROOM * max((y for _, y in known), default=0.0) or 1.0,
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img"',
        f'font-family="system-ui,sans-serif" font-size="11" fill="{_INK}">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{size[0]}" height="{size[1]}" rx="6" fill="{_PAPER}"/>',
        *above,
        *frame.bands(bands),
        *frame.grid(clock=clock),
    ]
    drawn = sorted(series.items(), key=lambda one: one[0] != filled)  # an area lies underneath
    for name, points in drawn:
        parts += [
            frame.path(piece, colours[name], area=name == filled, dashes=name in dashed)
            for piece in _pieces(thinned(points, min(_MOST_POINTS, size[0])))
        ]
    parts += [frame.mark(one) for one in marked if isinstance(one, Mark)]
    if not known:
        middle = f'x="{size[0] / 2:g}" y="{size[1] / 2:g}" text-anchor="middle"'
        parts.append(f"<text {middle}>nothing was recorded</text>")
    return "\n".join((*parts, "</svg>"))


def stepped(points: Points) -> Points:
    """Return the corners of what stands until it changes; a plot would draw a slope."""
    corners = list(points[:1])
    for (_, before), (x, y) in itertools.pairwise(points):
        if None not in (before, y) and before != y:
            corners.append((x, before))
        corners.append((x, y))
    return corners


def thinned(points: Points, most: int) -> Points:
    """
    Return about ``most`` points with the same peaks, troughs and gaps.

    Of each stretch the lowest and highest remain, in their order; a stretch in which nothing is
    known remains as one unknown point.
    """
    if len(points) <= most:
        return points
    size = math.ceil(2 * len(points) / most)
    kept: list[tuple[float, float | None]] = []
    for first in range(0, len(points), size):
        stretch = points[first : first + size]
        known = [(y, at, x) for at, (x, y) in enumerate(stretch) if y is not None]
        if not known:
            kept.append((stretch[0][0], None))
            continue
        ends = {min(known)[1:]: min(known)[0], max(known)[1:]: max(known)[0]}
        kept += [(x, ends[at, x]) for at, x in sorted(ends)]
    return kept


class _Frame:
    """Where values lie in a plot."""

    def __init__(
        self, *, size: tuple[int, int], top: int, low: float, high: float, most: float
    ) -> None:
        self._width, self._height = size
        self._top = top
        self._low, self._high, self._most = low, high, most

    def place(self, x: float, y: float) -> tuple[float, float]:
        wide, tall = self._width - _LEFT - _RIGHT, self._height - self._top - _BOTTOM
        share = (x - self._low) / ((self._high - self._low) or 1.0)
        return _LEFT + share * wide, self._height - _BOTTOM - y / self._most * tall

    def bands(self, bands: Sequence[Band]) -> Iterator[str]:
        """Yield the stretches, and their names above the field as far as there is room for them."""
        free = 0.0
        for band in sorted(bands, key=lambda one: one.since):
            left, _ = self.place(max(band.since, self._low), 0)
            right, _ = self.place(min(band.until, self._high), 0)
            name = html.escape(band.name)
            yield (
                f'<rect x="{left:.1f}" y="{self._top}" width="{max(1.0, right - left):.1f}"'
                f' height="{self._height - self._top - _BOTTOM}" fill="{band.colour}"'
                f' fill-opacity="0.16"><title>{name}</title></rect>'
            )
            at = min(left, self._width - _RIGHT - wide(band.name))
            if at >= free:
                yield f'<text x="{at:.1f}" y="{self._top - 4}" opacity="0.8">{name}</text>'
                free = at + wide(band.name)

    def mark(self, mark: Mark) -> str:
        x, foot = self.place(mark.at, 0)
        tip, base = (foot - 9, foot - 2) if mark.upwards else (foot - 2, foot - 9)
        return (
            f'<polygon points="{x:.1f},{tip} {x - 4:.1f},{base} {x + 4:.1f},{base}"'
            f' fill="{_INK}"><title>{html.escape(mark.name)}</title></polygon>'
        )

    def path(
        self,
        piece: Sequence[tuple[float, float]],
        colour: str,
        *,
        area: bool = False,
        dashes: bool = False,
    ) -> str:
        placed = [self.place(x, y) for x, y in piece]
        if len(placed) == 1:  # alone between two gaps: still to be seen
            placed = [placed[0], (placed[0][0] + 1, placed[0][1])]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        line = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"'
        line += ' stroke-dasharray="5 4"' if dashes else ""
        line += ' stroke-linejoin="round"/>'
        if not area:
            return line
        floor = self._height - _BOTTOM
        ends = f"{placed[-1][0]:.1f},{floor} {placed[0][0]:.1f},{floor}"
        return f'<polygon points="{points} {ends}" fill="{colour}" fill-opacity="0.2"/>{line}'

    def grid(self, *, clock: bool) -> Iterator[str]:
        for mark in _marks(self._most):
            _, y = self.place(self._low, mark)
            yield (
                f'<line x1="{_LEFT}" x2="{self._width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
                f' stroke="{_GRID}"/>'
            )
            if y > self._top - 2:
                yield (
                    f'<text x="{_LEFT - 6}" y="{y:.1f}" text-anchor="end" dy="4" opacity="0.7">'
                    f"{mark:g}</text>"
                )
        most = max(3, min(9, (self._width - _LEFT - _RIGHT) // 70))
        for at_s, label in _instants(self._low, self._high, most, clock=clock):
            x, _ = self.place(at_s, 0)
            foot = self._height - _BOTTOM
            anchor = "end" if x > self._width - _RIGHT - 20 else "middle"
            yield (
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{foot}" y2="{foot + 4}" stroke="{_GRID}"/>'
                f'<text x="{x:.1f}" y="{foot + 16}" text-anchor="{anchor}" opacity="0.7">'
                f"{label}</text>"
            )


def _pieces(points: Points) -> Iterator[list[tuple[float, float]]]:
    """Yield the stretches without a gap."""
    piece: list[tuple[float, float]] = []
    for x, y in points:
        if y is not None:
            piece.append((x, y))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _marks(most: float) -> list[float]:
    """Return about four round values from 0 to the most."""
    rough = most / 4
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= rough)
    return [round(step * n, 10) for n in range(math.floor(most / step + 1e-9) + 1)]


def _instants(low: float, high: float, most: int, *, clock: bool) -> Iterator[tuple[float, str]]:
    """Yield round instants, about so many at most, and what they are called."""
    least = (high - low) / most if clock else max(60.0, (high - low) / most)
    step = next((one for one in _STEPS_S if one >= least), _STEPS_S[-1])
    label: Callable[[float], str] = (lambda at: _date(at, step)) if clock else _since
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield number * step, label(number * step)


def _date(at_s: float, step: float) -> str:
    at = dt.datetime.fromtimestamp(at_s, tz=dt.UTC)
    if step < 60:
        return f"{at:%H:%M:%S}"
    return f"{at:%a %d %b}" if step >= 86_400 or (at.hour, at.minute) == (0, 0) else f"{at:%H:%M}"


def _since(at_s: float) -> str:
    hours, rest = divmod(round(at_s), 3600)
    return f"{hours}:{rest // 60:02d} h"
