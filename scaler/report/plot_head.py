"""What stands above a plot: its title, its unit, and a name for each colour."""

import html
from collections.abc import Iterator, Mapping, Sequence

_MARGIN, _ROW = 14, 17
_TITLE = 1.35
"""How much wider a letter of the title is than one of 11 px."""


def head(title: str, unit: str, colours: Mapping[str, str], width: int) -> tuple[list[str], int]:
    """
    Return the parts, and how far down they reach, in pixels; without a title there is nothing.

    The names stand beside the title where there is room, else in rows below it: on a phone they
    would run over it. A single line has no name, since the title says what it is.
    """
    if not title:
        return [], 4
    names = list(colours) if len(colours) > 1 else []
    room = width - 2 * _MARGIN
    beside = room - _TITLE * wide(title) - (wide(unit) + 8 if unit else 0)
    fits = sum(map(_room, names)) <= beside
    rows = [names] if fits else list(_rows(names, room))
    parts = [_title(title, unit)]
    foot = 20
    for row in rows:
        foot += 0 if fits else _ROW
        x = width - _MARGIN - sum(map(_room, row)) if fits else float(_MARGIN)
        for name in row:
            parts.append(_name(name, colours[name], x, foot))
            x += _room(name)
    return parts, foot


def wide(text: str) -> float:
    """Return about how wide a text is at 11 px; a Chinese character is twice a letter."""
    return sum(11.5 if character >= "\u2e80" else 6.8 for character in text)


def _room(name: str) -> float:
    return wide(name) + 32


def _rows(names: Sequence[str], room: float) -> Iterator[list[str]]:
    """Yield as many names a row as there is room for, and at least one."""
    row: list[str] = []
    for name in names:
        if row and sum(map(_room, (*row, name))) > room:
            yield row
            row = []
        row.append(name)
    if row:
        yield row


def _title(title: str, unit: str) -> str:
    told = (
        f'<tspan dx="8" font-size="11" font-weight="400" opacity="0.7">{html.escape(unit)}</tspan>'
    )
    return (
        f'<text x="{_MARGIN}" y="20" font-size="14" font-weight="600">{html.escape(title)}'
        f"{told if unit else ''}</text>"
    )


def _name(name: str, colour: str, x: float, foot: int) -> str:
    return (
        f'<rect x="{x:g}" y="{foot - 7}" width="11" height="4" rx="2" fill="{colour}"/>'
        f'<text x="{x + 16:g}" y="{foot}">{html.escape(name)}</text>'
    )
