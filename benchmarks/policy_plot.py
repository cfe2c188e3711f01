"""Fronts as SVG: what each policy reaches against what it costs."""

import html
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

_WIDTH, _HEIGHT = 860, 460
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 34, 190, 44
_COLOURS = (
    *("#d1622b", "#2f8f4e", "#8a4fa3", "#b8860b", "#c2185b", "#00897b", "#6b7280", "#5d4037"),
    *("#7cb342", "#f06292", "#455a64", "#ff8f00", "#26c6da", "#9575cd", "#a1887f", "#ef5350"),
)
_OWN_COLOUR = "#1673b1"
_MISSED = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Shares of requests out of SLO at which the axis is marked; it is logarithmic."""

Points = Sequence[tuple[float, float]]
"""GPU-hours and the share in SLO."""


def fronts(series: Mapping[str, Points], *, own: str, default: Points, title: str) -> str:
    """
    Return a plot of fronts by policy, from 80 % in SLO up; more is up, cheaper is left.

    ``own`` is drawn on top and thicker; ``default`` are its points at its defaults, ringed.
    """
    shown = {name: points for name, points in series.items() if points}
    hours = [cost for points in shown.values() for cost, _ in points] or [1.0]
    most = 1.05 * max(hours)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"',
        'font-family="sans-serif" font-size="11">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">{html.escape(title)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">GPU-hours</text>',
        *_axes(most),
    ]
    others = sorted(name for name in shown if name != own)
    colours = dict(zip(others, itertools.cycle(_COLOURS), strict=False)) | {own: _OWN_COLOUR}
    for name in (*others, *(own for _ in shown.get(own, ())[:1])):
        parts += _series(shown[name], colours[name], most, wide=name == own)
    parts += _legend([own, *others], colours)
    parts += _rings(default, most, f"{own} at its defaults")
    return "\n".join((*parts, "</svg>\n"))


def _legend(names: Sequence[str], colours: Mapping[str, str]) -> Iterator[str]:
    for row, name in enumerate(names):
        x, y = _WIDTH - _RIGHT + 16, _TOP + 10 + 17 * row
        yield (
            f'<rect x="{x}" y="{y - 8}" width="10" height="10" fill="{colours[name]}"/>'
            f'<text x="{x + 16}" y="{y + 1}">{html.escape(name)}</text>'
        )


def _rings(points: Points, most: float, title: str) -> Iterator[str]:
    for point in points:
        x, y = _at(point, most)
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{_OWN_COLOUR}" '
            f'stroke-width="2"><title>{html.escape(title)}</title></circle>'
        )


def _at(point: tuple[float, float], most: float) -> tuple[float, float]:
    cost, share = point
    missed = min(_MISSED[0], max(_MISSED[-1], 1 - share))
    height = math.log(_MISSED[0] / missed) / math.log(_MISSED[0] / _MISSED[-1])
    x = _LEFT + cost / most * (_WIDTH - _LEFT - _RIGHT)
    return x, _HEIGHT - _BOTTOM - height * (_HEIGHT - _TOP - _BOTTOM)


def _axes(most: float) -> Iterator[str]:
    for missed in _MISSED:
        x, y = _at((0.0, 1 - missed), most)
        mark = f"{100 * (1 - missed):g} %{'+' if missed == _MISSED[-1] else ''}"
        yield (
            f'<line x1="{x}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{x - 6}" y="{y:.1f}" dy="4" text-anchor="end">{mark}</text>'
        )
    scale = 10.0 ** math.floor(math.log10(most / 5))
    step = next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= most / 5)
    for number in range(math.floor(most / step) + 1):
        x, y = _at((number * step, 0.0), most)
        yield f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{number * step:g}</text>'


def _series(points: Points, colour: str, most: float, *, wide: bool) -> Iterator[str]:
    places = [_at(point, most) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    width = 2.5 if wide else 1.2
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
    for (x, y), (cost, share) in zip(places, points, strict=True):
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if wide else 3}" fill="{colour}">'
            f"<title>{cost:.2f} GPU-hours, {100 * share:.2f} %</title></circle>"
        )
