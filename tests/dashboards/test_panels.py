"""Every panel's queries find data on a real Prometheus that holds :mod:`.recorded_world`."""

import json
import re
from collections.abc import Iterator

import pytest

from dashboards import build, engine_series
from tests.dashboards import engine_pages, recorded_world
from tests.dashboards.asking import finds, panels
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


def found(prometheus: str, expression: str, engine: str) -> bool:
    variables = VALUES | {"engine": engine}
    step_s = recorded_world.STEP_S
    return finds(prometheus, expression, variables, between=(BEGIN_S, END_S), step_s=step_s)


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
    assert all(found(prometheus, one, sign("vllm")) for one in expressions)


@pytest.mark.parametrize("engine", engine_pages.PROFILES)
def test_an_engines_row_has_what_the_engine_has_and_nothing_of_another(prometheus, engine):
    empty = {
        title
        for title, expressions in of_the_engine_row().items()
        if not any(found(prometheus, one, sign(engine)) for one in expressions)
    }
    assert empty == engine_pages.LACKING.get(engine, set())
