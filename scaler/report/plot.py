"""Line plots as SVG, drawn here: no library, no script, the same bytes for the same figures."""

import html
import math
from collections.abc import Mapping, Sequence

Points = Sequence[tuple[float, float]]
COLOURS = ("#0b6e99", "#d1622b", "#3f8f3a", "#8a4fa3", "#b8860b", "#555555", "#c2185b", "#00897b")
_LEFT, _TOP, _BOTTOM, _RIGHT = 56, 28, 36, 12


def lines(
    series: Mapping[str, Points],
    *,
    title: str,
    across: str,
    up: str,
    size: tuple[int, int] = (860, 260),
    dots: bool = False,
) -> str:
    """Return a plot of some series by name; ``dots`` marks each point as well."""
    width, height = size
    every = [point for points in series.values() for point in points] or [(0.0, 0.0)]
    low, high = min(x for x, _ in every), max(x for x, _ in every)
    least, most = min(0.0, *(y for _, y in every)), max(y for _, y in every)
    if dots:
        least = min(y for _, y in every)
    wide, tall = (high - low) or 1.0, (most - least) or 1.0

    def place(point: tuple[float, float]) -> str:
        x = _LEFT + (point[0] - low) / wide * (width - _LEFT - _RIGHT)
        y = height - _BOTTOM - (point[1] - least) / tall * (height - _TOP - _BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"',
        'font-family="sans-serif" font-size="11">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="16" font-size="13">{html.escape(title)}</text>',
        f'<text x="{width - _RIGHT}" y="{height - 6}" text-anchor="end">',
        f"{html.escape(across)}</text>",
        f'<text x="4" y="{_TOP - 4}">{html.escape(up)}</text>',
    ]
    for mark in _marks(least, most):
        x, y = place((low, mark)).split(",")
        parts.append(
            f'<line x1="{x}" x2="{width - _RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y}" text-anchor="end" dy="4">{mark:g}</text>'
        )
    for mark in _marks(low, high):
        x, _ = place((mark, least)).split(",")
        parts.append(
            f'<text x="{x}" y="{height - _BOTTOM + 14}" text-anchor="middle">{mark:g}</text>'
        )
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(point) for point in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        if dots:
            for point in points:
                x, y = place(point).split(",")
                parts.append(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>')
        parts.append(
            f'<text x="{width - _RIGHT}" y="{_TOP + 14 * (number + 1)}" text-anchor="end" '
            f'fill="{colour}">{html.escape(name)}</text>'
        )
    return "\n".join((*parts, "</svg>"))


def _marks(low: float, high: float) -> list[float]:
    """Return about five round values between two."""
    span = (high - low) or 1.0
    rough = span / 5
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= rough)
    first = math.ceil(low / step)
    return [round(step * n, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]
