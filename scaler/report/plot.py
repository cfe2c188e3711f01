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
_LEFT, _TOP, _BOTTOM, _RIGHT = 52, 34, 26, 14
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
    of the clock (UTC), or from a beginning.
    """
    known = [(x, y) for points in series.values() for x, y in points if y is not None]
    across = [x for points in series.values() for x, _ in points] or [0.0, 1.0]
    frame = _Frame(
        size=size,
        low=min(across),
        high=max(across),
        most=_HEADROOM * max((y for _, y in known), default=0.0) or 1.0,
    )
    colours = {
        name: f"var(--series-{at % len(COLOURS)},{COLOURS[at % len(COLOURS)]})"
        for at, name in enumerate(series)
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img"',
        f'font-family="system-ui,sans-serif" font-size="11" fill="{_INK}">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{size[0]}" height="{size[1]}" rx="6" fill="{_PAPER}"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="600">{html.escape(title)}</text>',
        *(frame.band(one) for one in marked if isinstance(one, Band)),
        *frame.grid(up, clock=clock),
        *_legend(colours, size[0]),
    ]
    drawn = sorted(series.items(), key=lambda one: one[0] != filled)  # an area lies underneath
    for name, points in drawn:
        parts += [
            frame.path(piece, colours[name], area=name == filled, dashes=name in dashed)
            for piece in _pieces(thinned(points, _MOST_POINTS))
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

    def __init__(self, *, size: tuple[int, int], low: float, high: float, most: float) -> None:
        self._width, self._height = size
        self._low, self._high, self._most = low, high, most

    def place(self, x: float, y: float) -> tuple[float, float]:
        wide, tall = self._width - _LEFT - _RIGHT, self._height - _TOP - _BOTTOM
        share = (x - self._low) / ((self._high - self._low) or 1.0)
        return _LEFT + share * wide, self._height - _BOTTOM - y / self._most * tall

    def band(self, band: Band) -> str:
        left, _ = self.place(max(band.since, self._low), 0)
        right, _ = self.place(min(band.until, self._high), 0)
        tall = self._height - _TOP - _BOTTOM
        return (
            f'<rect x="{left:.1f}" y="{_TOP}" width="{max(1.0, right - left):.1f}" height="{tall}"'
            f' fill="{band.colour}" fill-opacity="0.16"><title>{html.escape(band.name)}</title>'
            f'</rect><text x="{left + 3:.1f}" y="{_TOP + 12}" opacity="0.8">'
            f"{html.escape(band.name)}</text>"
        )

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

    def grid(self, up: str, *, clock: bool) -> Iterator[str]:
        yield (
            f'<text x="{self._width - _RIGHT}" y="{_TOP + 2}" text-anchor="end" opacity="0.7">'
            f"{html.escape(up)}</text>"
        )
        for mark in _marks(self._most):
            _, y = self.place(self._low, mark)
            yield (
                f'<line x1="{_LEFT}" x2="{self._width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
                f' stroke="{_GRID}"/>'
            )
            if y > _TOP + 8:
                yield (
                    f'<text x="{_LEFT - 6}" y="{y:.1f}" text-anchor="end" dy="4" opacity="0.7">'
                    f"{mark:g}</text>"
                )
        for at_s, label in _instants(self._low, self._high, clock=clock):
            x, _ = self.place(at_s, 0)
            foot = self._height - _BOTTOM
            anchor = "end" if x > self._width - _RIGHT - 20 else "middle"
            yield (
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{foot}" y2="{foot + 4}" stroke="{_GRID}"/>'
                f'<text x="{x:.1f}" y="{foot + 16}" text-anchor="{anchor}" opacity="0.7">'
                f"{label}</text>"
            )


def _legend(colours: Mapping[str, str], width: int) -> Iterator[str]:
    if len(colours) == 1:
        return  # the title says what it is
    x = float(width - _RIGHT)
    for name, colour in reversed(list(colours.items())):
        yield (
            f'<text x="{x:g}" y="20" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="{x - _wide(name) - 20:g}" y="13" width="11" height="4" rx="2"'
            f' fill="{colour}"/>'
        )
        x -= _wide(name) + 36


def _wide(text: str) -> float:
    """Return about how wide a text is at 11 px; a Chinese character is twice a letter."""
    return sum(11.5 if character >= "\u2e80" else 6.8 for character in text)


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


def _instants(low: float, high: float, *, clock: bool) -> Iterator[tuple[float, str]]:
    """Yield about eight round instants, and what they are called."""
    least = (high - low) / 9 if clock else max(60.0, (high - low) / 9)
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
