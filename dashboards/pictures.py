"""
Pictures of the dashboards for the docs: ``python -m dashboards.pictures``, by hand after a change.

Grafana does not run here: each panel's queries are asked of the Prometheus of a demo that plays,
and what it answers is drawn by our own plots in the panel's place, size, title, unit and legend.
What a panel finds nothing for is drawn empty and listed at the end.
"""

import asyncio
import html
import json
import pathlib
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from playwright.async_api import async_playwright

from scaler.report.plot import COLOURS, lines

from .build import rendered

HERE = pathlib.Path(__file__).parents[1] / "docs/pictures"
DURATION, PLAY_S = "5m", 170
"""A play that goes on while it is drawn, and when: a busy day and a few reclaims are behind."""
STEP_S = 2
COLUMN, ROW = 66, 34
"""Pixels of a column (of 24) and of a row of Grafana's grid."""
CHOSEN = {
    "__rate_interval": "15s",
    "__interval": f"{STEP_S}s",
    "__range": f"{PLAY_S}s",
    "engine": "vllm:num_requests_running",
    "ttft": "1.0",
    "gap": "0.05",
}
"""Variables that are not everything."""
UNITS = {"percentunit": (100.0, " %"), "percent": (1.0, " %"), "s": (1.0, " s"), "h": (1.0, " h")}
"""What a number is multiplied by, and what follows it."""
STYLE = """body{font:13px system-ui,sans-serif;margin:8px;background:#f4f5f7;color:#1f2933}
main{position:relative}section{position:absolute;overflow:hidden;background:#fff;
border:1px solid #d5d9df;border-radius:4px}h1{font-size:17px;margin:0 0 6px}
h2{font-size:13px;margin:0;padding:8px}section h3{font-size:12px;margin:6px 8px 0}
.row{background:none;border:0}b{display:block;font-size:30px;text-align:center;margin-top:14px}
small{display:block;font-size:11px;margin:-4px 8px 0;white-space:nowrap;color:#586170}
p{color:#586170;text-align:center}td,th{padding:1px 8px;text-align:left;font-weight:400}"""

_HEAD_AND_NAMES = 50
"""Pixels of a panel above its plot and below."""
_MOST_NAMES = 6

Series = list[tuple[str, list[tuple[float, float | None]]]]


class Board:
    """One dashboard over a Prometheus, as of now."""

    def __init__(self, document: Mapping[str, Any], prometheus: str) -> None:
        self._document = document
        self._prometheus = prometheus
        self._end_s = time.time()  # noqa: TID251 -- a picture of now
        self.empty: list[str] = []

    def page(self) -> str:
        panels = list(self._document["panels"])
        low = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels) * ROW
        drawn = "".join(self._placed(panel) for panel in panels)
        title = html.escape(self._document["title"])
        size = f'style="width:{24 * COLUMN}px;height:{low}px"'
        return f"<style>{STYLE}</style><h1>{title}</h1><main {size}>{drawn}</main>"

    def _placed(self, panel: Mapping[str, Any]) -> str:
        at = panel["gridPos"]
        box = f"left:{at['x'] * COLUMN}px;top:{at['y'] * ROW}px;"
        box += f"width:{at['w'] * COLUMN - 8}px;height:{at['h'] * ROW - 8}px"
        kind = "row" if panel["type"] == "row" else ""
        return f'<section class="{kind}" style="{box}">{self._drawn(panel)}</section>'

    def _drawn(self, panel: Mapping[str, Any]) -> str:
        title = html.escape(panel["title"].replace("${engine:text}", "vllm"))
        if panel["type"] == "row":
            return f"<h2>{title}</h2>"
        if panel["type"] == "text":
            links = re.sub(r"\[(.+?)\]\(.+?\)", r"<u>\1</u>", panel["options"]["content"])
            return f"<h2>{links}</h2>"
        series = [one for target in panel["targets"] for one in self._asked(target)]
        if not any(value is not None for _, points in series for _, value in points):
            self.empty.append(panel["title"])
            return f"<h3>{title}</h3><p>No data</p>"
        factor, unit = UNITS.get(_unit(panel), (1.0, ""))
        scaled = [
            (name, [(x, None if y is None else factor * y) for x, y in points])
            for name, points in series
        ]
        if panel["type"] == "stat":
            newest = [y for _, points in scaled for _, y in points if y is not None][-1]
            return f"<h3>{title}</h3><b>{newest:.3g}{unit}</b>"
        if panel["type"] == "table":
            rows = "".join(f"<tr><td>{html.escape(name)}</td></tr>" for name, _ in scaled)
            return f"<h3>{title}</h3><table>{rows}</table>"
        at = panel["gridPos"]
        size = (at["w"] * COLUMN - 10, at["h"] * ROW - _HEAD_AND_NAMES)
        drawn = lines(dict(scaled), title="", size=size)
        return f"<h3>{title}{unit}</h3>{drawn}<small>{_names(scaled)}</small>"

    def _asked(self, target: Mapping[str, Any]) -> Series:
        query = re.sub(r"\$([A-Za-z_]\w*)", lambda name: CHOSEN.get(name[1], ".*"), target["expr"])
        asked = {"start": self._end_s - PLAY_S, "end": self._end_s, "step": STEP_S}
        url = f"{self._prometheus}/api/v1/query_range"
        answer = requests.post(url, data={"query": query, **asked}, timeout=30).json()
        return [
            (_legend(target, one["metric"]), _points(one["values"], asked["start"]))
            for one in answer["data"]["result"]
        ]


def _names(series: Series) -> str:
    """Return the legend: as many names as a panel has room for."""
    return " ".join(
        f'<i style="color:{COLOURS[at % len(COLOURS)]}">━</i> {html.escape(name)}'
        for at, (name, _) in enumerate(series[:_MOST_NAMES])
    )


def _unit(panel: Mapping[str, Any]) -> str:
    return str(panel.get("fieldConfig", {}).get("defaults", {}).get("unit", ""))


def _legend(target: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    said = target.get("legendFormat") or ", ".join(f"{k} {v}" for k, v in labels.items())
    return re.sub(r"{{(\w+)}}", lambda name: labels.get(name[1], ""), said)


def _points(values: list[list[Any]], start_s: float) -> list[tuple[float, float | None]]:
    """Return a series with what is missing in it as unknown, rather than bridged."""
    known = {round((at - start_s) / STEP_S): float(text) for at, text in values}
    return [
        (start_s + at * STEP_S, y if (y := known.get(at)) is not None and y == y else None)  # noqa: PLR0124 -- NaN
        for at in range(PLAY_S // STEP_S + 1)
    ]


async def main() -> None:
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "demo", "--duration", DURATION),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        prometheus = await _address(demo)
        await asyncio.sleep(PLAY_S)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = await browser.new_page(viewport={"width": 24 * COLUMN + 16, "height": 900})
            for name, board in boards(prometheus):
                await page.set_content(await asyncio.to_thread(board.page))
                await page.screenshot(path=HERE / f"{name}.png", full_page=True)
                print(name, "without data:", board.empty or "none")
            await browser.close()
    finally:
        demo.terminate()
        await demo.wait()


def boards(prometheus: str) -> Iterator[tuple[str, Board]]:
    for file, text in rendered().items():
        yield (
            file.removesuffix(".json").replace("kvtide", "dashboard"),
            Board(json.loads(text), prometheus),
        )


async def _address(demo: asyncio.subprocess.Process) -> str:
    """Return the address of the demo's Prometheus, as its first lines say it."""
    assert demo.stdout is not None  # noqa: S101 -- it is a pipe
    async for line in demo.stdout:
        if found := re.search(r"Prometheus at (http://\S+)", line.decode()):
            asyncio.ensure_future(_drain(demo.stdout))  # noqa: RUF006 -- ends with the process
            return found[1]
    raise RuntimeError("the demo ended without a Prometheus: is it installed?")


async def _drain(lines_: asyncio.StreamReader) -> None:
    async for _ in lines_:
        pass


if __name__ == "__main__":
    asyncio.run(main())
