"""
The dashboards against the types that Grafana itself publishes, with nothing that these do not know.

``@grafana/schema`` is made of the schemas of Grafana's dashboards and panels; as JSON Schema they
are not published. TypeScript says what of a document is missing, unknown or of another kind.
"""

import json
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

from dashboards import build
from tests.programs import program

TYPES = pathlib.Path("/usr/local/share/grafana-types/node_modules")
RAW = "./node_modules/@grafana/schema/dist/types/raw"
OPTIONS = {
    "timeseries": "timeseries",
    "stat": "stat",
    "state-timeline": "statetimeline",
    "table": "table",
    "text": "text",
}
"""Kinds of panels, and where their options are described."""
DRAWN = {"timeseries", "state-timeline"}
"""Those that have a look of their own for each field."""
OF_PROMETHEUS = ("expr", "step", "textFormat", "titleFormat")
"""What Grafana's Prometheus source reads in an annotation; the schema knows of no source."""
OF_ELEVEN = {"auto", "auto_min", "auto_count", "footer"}
"""What the builders for Grafana 11 write for variables and tables; later schemas leave it out."""
ENUMS = (  # a document has an enum's value, where a program has its name
    "type Loose<T> = T extends string ? `${T}`"
    " : T extends number ? (`${T}` extends `${infer N extends number}` ? N : T)"
    " : T extends (infer E)[] ? Loose<E>[]"
    " : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;"
)


def test_grafanas_own_types_hold_for_every_dashboard_and_panel(tmp_path):
    node = program("node", get_it="install Node.js (Debian: apt-get install nodejs npm)")
    if not TYPES.exists():
        program("grafana-types", get_it=f"make system puts them at {TYPES}")
    (tmp_path / "node_modules").symlink_to(TYPES)
    (tmp_path / "check.ts").write_text("\n".join((*imports(), ENUMS, *constants())))

    checked = subprocess.run(
        [
            *(node, TYPES / "typescript/lib/tsc.js", "--noEmit", "--strict", "--skipLibCheck"),
            *("--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022"),
            "check.ts",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert [line[:400] for line in checked.stdout.splitlines()] == []
    assert checked.returncode == 0, checked.stderr


def imports() -> Iterator[str]:
    yield f"import type {{ Dashboard, Panel, RowPanel }} from '{RAW}/dashboard/x/types.gen';"
    for kind, folder in OPTIONS.items():
        names = f"Options as {folder}Options"
        names += f", FieldConfig as {folder}Field" if kind in DRAWN else ""
        yield f"import type {{ {names} }} from '{RAW}/composable/{folder}/panelcfg/x/types.gen';"


def constants() -> Iterator[str]:
    """Yield each dashboard and each panel as a constant that has to be of its type."""
    for text in build.rendered().values():
        board = json.loads(text)
        yield from constant("Dashboard", described(board))
        for panel in board["panels"]:
            kind = panel["type"]
            yield from constant("RowPanel" if kind == "row" else "Panel", panel)
            if kind != "row":
                options = {k: v for k, v in panel["options"].items() if k not in OF_ELEVEN}
                yield from constant(f"{OPTIONS[kind]}Options", options)
            if kind in DRAWN:
                custom = panel["fieldConfig"]["defaults"].get("custom", {})
                yield from constant(f"{OPTIONS[kind]}Field", custom)


def constant(kind: str, value: object) -> Iterator[str]:
    yield f"((): Loose<{kind}> => ({json.dumps(value)}))();"


def described(board: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard without what only the source reads, or only an older Grafana."""
    marks = [
        {key: value for key, value in mark.items() if key not in OF_PROMETHEUS}
        for mark in board["annotations"]["list"]
    ]
    choices = [
        {key: value for key, value in choice.items() if key not in OF_ELEVEN}
        for choice in board["templating"]["list"]
    ]
    return board | {"annotations": {"list": marks}, "templating": {"list": choices}}
