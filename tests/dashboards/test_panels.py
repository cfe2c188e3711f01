"""Every panel's queries find data on a real Prometheus that holds :mod:`.recorded_world`."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from dashboards import build, engine_series
from tests.dashboards import engine_pages, recorded_world
from tests.fakes.recorded import recorded_prometheus

pytestmark = pytest.mark.prometheus

BOARDS = {name: json.loads(text) for name, text in build.rendered().items()}
ENGINE_ROW = "Engine: ${engine:text}"
BEGIN_S = 1_780_000_000 // 7200 * 7200
END_S = BEGIN_S + (recorded_world.STEPS - 1) * recorded_world.STEP_S
VALUES = {
    "__rate_interval": "60s",
    "__range": "15m",
    "__interval": f"{recorded_world.STEP_S}s",
    "ttft": "1.0",
    "gap": "0.05",
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("panels")
    recorded_world.write(folder / "world.om", BEGIN_S)
    with recorded_prometheus(folder, folder / "world.om") as url:
        yield url


def panels(board: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the queries of each panel and mark, by row and title."""
    found, row = {}, ""
    for panel in board["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        if panel.get("targets"):
            found[f"{row} / {panel['title']}"] = [one["expr"] for one in panel["targets"]]
    return found | {f"mark / {one['name']}": [one["expr"]] for one in board["annotations"]["list"]}


def finds(prometheus: str, expression: str, engine: str) -> bool:
    """Whether there is a number anywhere, asked as Grafana asks with everything chosen."""
    values = VALUES | {"engine": engine}
    filled = re.sub(r"\$([A-Za-z_]\w*)", lambda name: values.get(name[1], ".*"), expression)
    asked = {"query": filled, "start": BEGIN_S, "end": END_S, "step": recorded_world.STEP_S}
    answer = requests.post(f"{prometheus}/api/v1/query_range", data=asked, timeout=60).json()
    assert answer["status"] == "success", (filled, answer)
    return any(
        value != "NaN" for series in answer["data"]["result"] for _, value in series["values"]
    )


def sign(engine: str) -> str:
    """Return a name that the engine's row repeats over."""
    pattern = engine_series.sign(engine_pages.PROFILES[engine])
    names: list[str] = re.findall(r"^[\w:]+", engine_pages.page(engine, 1), flags=re.MULTILINE)
    return next(name for name in names if re.fullmatch(pattern, name))


def of_the_engine_row() -> dict[str, list[str]]:
    return {
        name.partition(" / ")[2]: expressions
        for name, expressions in panels(BOARDS["kvtide-inference.json"]).items()
        if name.startswith(ENGINE_ROW)
    }


ELSEWHERE = [
    pytest.param(expressions, id=f"{board['uid']} / {name}")
    for board in BOARDS.values()
    for name, expressions in panels(board).items()
    if not name.startswith(ENGINE_ROW)
]


@pytest.mark.parametrize("expressions", ELSEWHERE)
def test_a_panel_finds_data(prometheus, expressions):
    assert all(finds(prometheus, one, sign("vllm")) for one in expressions)


@pytest.mark.parametrize("engine", engine_pages.PROFILES)
def test_an_engines_row_has_what_the_engine_has_and_nothing_of_another(prometheus, engine):
    empty = {
        title
        for title, expressions in of_the_engine_row().items()
        if not any(finds(prometheus, one, sign(engine)) for one in expressions)
    }
    assert empty == engine_pages.LACKING.get(engine, set())
