"""One self-contained HTML page: text, tables and plots; it loads nothing, and is light or dark."""

import html
from collections.abc import Iterable, Sequence

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2933;--paper:#ffffff;--page:#f4f5f7;--grid:#e3e6ea}
@media(prefers-color-scheme:dark){:root{--ink:#dfe4ea;--paper:#1b2027;--page:#12151a;--grid:#333b46;
--series-0:#58a9e0;--series-1:#f08c55;--series-2:#5fc07f;--series-3:#c08ad6;--series-4:#e0b348;
--series-5:#a3abb8;--series-6:#f06a9b;--series-7:#4fc3b5}}
body{font:14px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;
padding:1.5rem;max-width:1040px}
h1{font-size:1.5rem;margin:0}h2{margin:2rem 0 .5rem;font-size:1.15rem}p{margin:.4rem 0 1rem}
.about{opacity:.75}.scroll{overflow-x:auto;background:var(--paper);border-radius:6px;
margin:0 0 1rem;padding:.5rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:.3rem .7rem;text-align:right;white-space:nowrap;border-top:1px solid var(--grid)}
tr:first-child>*{border-top:0}td:first-child,th:first-child{text-align:left}th{font-weight:600}
svg{width:100%;height:auto;display:block;margin:0 0 1rem}
"""


def page(title: str, about: str, parts: Iterable[str]) -> str:
    """Return a page; ``title`` and ``about`` are text, ``parts`` are markup."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f'<body><h1>{html.escape(title)}</h1><p class="about">{html.escape(about)}</p>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    """Return a heading."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{html.escape(text)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts; the first column names its row."""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def number(value: float | None) -> str:
    """Return a figure in a few digits; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"
