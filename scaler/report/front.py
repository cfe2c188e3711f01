"""
What each of some settings served in time against what it cost, as SVG: the front is a line.

Every point carries its name and figures, which a browser shows where the pointer rests and a
screen reader reads.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from .plot import COLOURS

_WIDTH, _HEIGHT = 900, 320
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 44, 24, 44
_INK, _GRID, _PAPER = "var(--ink,#1f2933)", "var(--grid,#e3e6ea)", "var(--paper,#ffffff)"
_MARGIN = 0.06
"""Of the span of the figures, beside them."""


def front_plot(rows: Sequence[Mapping[str, Any]], *, slo: float, today: str) -> str:
    """
    Return the plot of what was played.

    ``rows`` have ``name``, ``gpu_hours``, ``slo_attainment`` (a share; None: no request ended, and
    it is left out) and ``front``; ``slo`` is the share that was asked for.
    """
    known = [row for row in rows if row["slo_attainment"] is not None]
    across = _Scale([row["gpu_hours"] for row in known], _LEFT, _WIDTH - _RIGHT)
    up = _Scale([*(row["slo_attainment"] for row in known), slo], _HEIGHT - _BOTTOM, _TOP)
    colours = [f"var(--series-{at},{COLOURS[at]})" for at in range(2)]
    line = sorted((row for row in known if row["front"]), key=lambda row: row["gpu_hours"])
    path = " ".join(
        f"{'L' if at else 'M'}{across(row['gpu_hours']):.1f} {up(row['slo_attainment']):.1f}"
        for at, row in enumerate(line)
    )
    asked = up(slo)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"',
            f'font-family="system-ui,sans-serif" font-size="11" fill="{_INK}">',
            "<title>Served in time against GPU-hours</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{_PAPER}"/>',
            (
                f'<text x="{_LEFT}" y="20" font-size="14" font-weight="600">Served in time against '
                "GPU-hours; on the line nothing is better in both</text>"
            ),
            *_ends(known, across, up),
            (
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{asked:.1f}" y2="{asked:.1f}" '
                f'stroke="{_INK}" stroke-dasharray="4 4" opacity="0.6"/>'
            ),
            (
                f'<text x="{_WIDTH - _RIGHT}" y="{asked - 4:.1f}" text-anchor="end">asked for: '
                f"{100 * slo:g} %</text>"
            ),
            f'<path d="{path}" fill="none" stroke="{colours[0]}" stroke-width="1.5"/>',
            *(_point(row, across, up, colours[row["name"] == today]) for row in known),
            *(_name(row, across, up) for row in known if row["name"] == today),
            "</svg>",
        )
    )


class _Scale:
    """From figures to pixels, the ends and a margin within two places."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        low, high = min(values, default=0.0), max(values, default=1.0)
        margin = _MARGIN * (high - low) or 0.05 * abs(high) or 1.0
        self.low, self.high = low, high
        self._from, self._span = low - margin, high - low + 2 * margin
        self._begin, self._pixels = begin, end - begin

    def __call__(self, value: float) -> float:
        return self._begin + self._pixels * (value - self._from) / self._span


def _ends(rows: Sequence[Mapping[str, Any]], across: _Scale, up: _Scale) -> list[str]:
    """Return the axes with the least and the largest figure of each."""
    if not rows:
        return []
    foot = _HEIGHT - _BOTTOM
    parts = [
        f'<path d="M{_LEFT} {_TOP} V{foot} H{_WIDTH - _RIGHT}" fill="none" stroke="{_GRID}"/>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">GPU-hours</text>',
    ]
    for value in sorted({across.low, across.high}):
        place = f'x="{across(value):.1f}" y="{foot + 16}" text-anchor="middle"'
        parts.append(f"<text {place}>{value:.4g}</text>")
    for value in sorted({up.low, up.high}):
        place = f'x="{_LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end"'
        parts.append(f"<text {place}>{100 * value:.4g} %</text>")
    return parts


def _point(row: Mapping[str, Any], across: _Scale, up: _Scale, colour: str) -> str:
    served = 100 * row["slo_attainment"]
    told = f"{row['name']}: {served:.2f} % in time, {row['gpu_hours']:.2f} GPU-hours"
    place = f'cx="{across(row["gpu_hours"]):.1f}" cy="{up(row["slo_attainment"]):.1f}"'
    look = f'r="{5 if row["front"] else 3.5}" fill="{colour}"'
    return f"<circle {place} {look}><title>{html.escape(told)}</title></circle>"


def _name(row: Mapping[str, Any], across: _Scale, up: _Scale) -> str:
    x, y = across(row["gpu_hours"]), up(row["slo_attainment"])
    side, anchor = (-8, "end") if x > _WIDTH / 2 else (8, "start")
    name = html.escape(row["name"])
    return f'<text x="{x + side:.1f}" y="{y + 14:.1f}" text-anchor="{anchor}">{name}</text>'
