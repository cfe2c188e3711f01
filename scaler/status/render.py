"""
Templates to pages: one document each that needs nothing else, under a strict policy.

All text is escaped by the template engine, since metadata and messages come from outside.
"""

import base64
import hashlib
import importlib.resources
import urllib.parse
from typing import Any

import jinja2
import markupsafe

from .banner import Banner
from .words import LANGUAGES, Words

_FILES = importlib.resources.files(__package__).joinpath("templates")
STYLE = _FILES.joinpath("style.css").read_text("utf-8")
SCRIPT = _FILES.joinpath("renew.js").read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


POLICY = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Content-Security-Policy: this style, this script, an icon within the page, and no other."""


def _icon(colour: str, sign: str) -> str:
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
        f'<rect width="16" height="16" rx="3" fill="{colour}"/><text x="8" y="12.5" '
        f'font-family="sans-serif" font-size="12" font-weight="700" text-anchor="middle" '
        f'fill="#fff">{sign}</text></svg>'
    )
    return f"data:image/svg+xml,{urllib.parse.quote(drawn)}"


_ICONS = {
    "ok": _icon("#17692f", "k"),
    "dim": _icon("#586170", "k"),
    "warn": _icon("#8a4b00", "!"),
    "bad": _icon("#b42318", "!"),
}

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("scaler.status"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(
    template: str,
    words: Words,
    banner: Banner,
    **values: Any,  # noqa: ANN401 -- what the template names
) -> str:
    """
    Return a page.

    Every template names ``version``, ``cluster`` and ``root``: the way to the overview (``../../``
    from an object's page), so that pages work behind a path prefix too.
    """
    return _TEMPLATES.get_template(template).render(
        t=words,
        words=words,
        languages=LANGUAGES,
        banner=banner,
        mark="" if banner.kind in {"ok", "dim"} else "⚠ ",
        icons=_ICONS,
        style=markupsafe.Markup(STYLE),  # noqa: S704 -- our own files
        script=markupsafe.Markup(SCRIPT),  # noqa: S704
        **values,
    )
