"""The price of the 30/70 rule as SVG: shares of what is free, over where lending begins."""

import html
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 820, 360, 50, 34, 240, 40
_COLOURS = ("#1673b1", "#d1622b", "#2f8f4e", "#8a4fa3", "#b8860b", "#6b7280", "#111827")
_LOW, _HIGH = 0.15, 0.70

Points = Sequence[tuple[float, float]]
"""``lendBelow``, and the share of the unbound oracle's GPU-hours in percent."""


def shares(series: Mapping[str, tuple[Points, Points]]) -> str:
    """Return a plot of shares by case, the oracle's and ours (which may be none), 0 to 100 %."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"',
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">Lent, % of what inference leaves free</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">lendBelow</text>',
    ]
    for share in (0, 25, 50, 75, 100):
        x, y = _at((_LOW, share))
        parts.append(
            f'<line x1="{x:.0f}" x2="{_WIDTH - _RIGHT}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
            f'<text x="{x - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{share}</text>'
        )
    for below in (0.2, 0.3, 0.4, 0.5, 0.6):
        x, y = _at((below, 0))
        parts.append(f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle">{below}</text>')
    for number, (name, (ruled, ours)) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        y = _TOP + 12 + 34 * number
        parts += _line(f"{name}: bound oracle", ruled, colour, y)
        if ours:
            parts += _line(f"{name}: kvtide", ours, colour, y + 15, dash=' stroke-dasharray="5 3"')
    return "\n".join((*parts, "</svg>\n"))


def _line(name: str, points: Points, colour: str, y: int, *, dash: str = "") -> list[str]:
    """Return a line with its points, and its name beside the plot at a height."""
    path = " ".join(f"{at_x:.1f},{at_y:.1f}" for at_x, at_y in map(_at, points))
    x = _WIDTH - _RIGHT + 12
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}"{dash}/>',
        *(
            f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="3" fill="{colour}"/>'
            for at_x, at_y in map(_at, points)
        ),
        f'<line x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}"{dash}/>',
        f'<text x="{x + 24}" y="{y}" fill="{colour}">{html.escape(name)}</text>',
    ]


def _at(point: tuple[float, float]) -> tuple[float, float]:
    below, share = point
    x = _LEFT + (below - _LOW) / (_HIGH - _LOW) * (_WIDTH - _LEFT - _RIGHT)
    return x, _HEIGHT - _BOTTOM - share / 100 * (_HEIGHT - _TOP - _BOTTOM)
