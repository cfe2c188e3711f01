import json
import pathlib
import re
import subprocess
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from dashboards import build
from scaler.readings import dcgm
from scaler.settings import RUNBOOKS
from scaler.telemetry.process import Telemetry
from tests.dashboards import demo_panels
from tests.programs import program
from tests.shared_data import shared_data

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "dashboards"
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
CASES: list[dict[str, Any]] = [
    case
    for test in yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    for case in test["alert_rule_test"]
]


def panels(text: str) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]


def expressions(text: str) -> list[str]:
    shown = [target["expr"] for panel in panels(text) for target in panel.get("targets", ())]
    return shown + [mark["expr"] for mark in json.loads(text)["annotations"]["list"]]


@pytest.mark.parametrize("name", build.rendered())
class TestEachDashboard:
    def test_the_file_is_what_its_source_builds(self, name):
        assert (FOLDER / name).read_text() == build.rendered()[name], "run: make generate"

    def test_every_panel_says_what_to_conclude_from_it(self, name):
        for panel in panels(build.rendered()[name]):
            assert panel["description"], panel["title"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}

    def test_panels_do_not_overlap(self, name):
        taken: dict[tuple[int, int], str] = {}
        for panel in json.loads(build.rendered()[name])["panels"]:
            at = panel["gridPos"]
            for x in range(at["x"], at["x"] + at["w"]):
                for y in range(at["y"], at["y"] + at["h"]):
                    assert x < 24
                    assert (x, y) not in taken, f"{panel['title']} over {taken[x, y]}"
                    taken[x, y] = panel["title"]

    def test_variables_are_defined(self, name):
        document = json.loads(build.rendered()[name])
        defined = {variable["name"] for variable in document["templating"]["list"]}
        used = set(re.findall(r"\$\{?([a-z_]+)", build.rendered()[name]))
        assert {name for name in used if not name.startswith("__")} == defined

    def test_prometheus_understands_every_expression(self, name, tmp_path):
        promtool = program("promtool", get_it="install Debian's prometheus (make system)")
        rules = [
            {"record": f"panel:{number}", "expr": as_prometheus_sees(expression)}
            for number, expression in enumerate(expressions(build.rendered()[name]))
        ]
        file = tmp_path / "rules.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
        checked = subprocess.run(
            [promtool, "check", "rules", file], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def as_prometheus_sees(expression: str) -> str:
    durations = re.sub(r"\$__(rate_interval|interval|range)", "5m", expression)
    return re.sub(r"\$[a-z]+", "x", durations)


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
class TestEachAlert:
    def test_names_a_section_of_the_runbooks(self, alert):
        page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        text = (ROOT / "docs/runbooks.md").read_text()
        headings = re.findall(r"^### (\w+)$", text, flags=re.MULTILINE)
        assert page == RUNBOOKS
        assert anchor == alert["alert"].lower()
        assert alert["alert"] in headings

    def test_says_how_grave_it_is(self, alert):
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}

    def test_has_a_case_that_fires_it(self, alert):
        assert any(case["exp_alerts"] for case in CASES if case["alertname"] == alert["alert"])


def test_the_cases_of_the_alerts_hold():
    promtool = program("promtool", get_it="install Debian's prometheus (make system)")
    tested = subprocess.run(
        [promtool, "test", "rules", "alerts_test.yaml"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_the_runbooks_have_no_section_without_an_alert():
    text = (ROOT / "docs/runbooks.md").read_text()
    headings = re.findall(r"^### (\w+)$", text, flags=re.MULTILINE)
    assert sorted(headings) == sorted(alert["alert"] for alert in ALERTS)


def used_metrics(prefix: str) -> set[str]:
    texts = [alert["expr"] for alert in ALERTS]
    for text in build.rendered().values():
        texts += expressions(text)
        texts += [str(choice["query"]) for choice in json.loads(text)["templating"]["list"]]
    return set(re.findall(rf"\b{prefix}[A-Za-z0-9_]+", "\n".join(texts)))


def names_on(page: str) -> set[str]:
    """Return the names of series that a metrics page can have, buckets of histograms included."""
    names = set()
    for family in text_string_to_metric_families(page):
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {family.name + ending for ending in endings.get(family.type, [""])}
    return names


def test_our_metrics_exist():
    ours = Telemetry()
    ours.show_objects(lambda: (), clock=lambda: 0.0)
    ours.show_certificate(expires_s=1.0, failed=False)
    ours.show_pages(dict, tuple, clock=lambda: 0.0)
    assert used_metrics("kvtide_") - names_on(ours.exposition().decode()) == set()


def test_the_engine_metrics_exist_on_a_page_of_the_engine():
    page = shared_data("metrics", "vllm-0.32.0-loaded.prom").read_text()
    assert used_metrics("vllm:") - names_on(page) == set()


SHOWN_ALONE = {
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_SM_CLOCK",
    "DCGM_FI_DEV_MEM_CLOCK",
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
}
"""For people: no decision rests on them. The exporter's default counters have them all."""


def test_the_gpu_metrics_are_those_that_the_scaler_reads_and_a_few_for_people():
    read = {name for wanted in dcgm.WANTED for name in wanted.metrics}
    assert used_metrics("DCGM_") - read == SHOWN_ALONE


@pytest.mark.parametrize("name", build.rendered())
class TestWhatToReadOn:
    def test_every_dashboard_links_the_status_page_and_the_runbooks(self, name):
        texts = [panel for panel in panels(build.rendered()[name]) if panel["type"] == "text"]
        [content] = [panel["options"]["content"] for panel in texts]
        assert "(${status_page})" in content
        assert f"({RUNBOOKS})" in content

    def test_every_dashboard_marks_holds(self, name):
        marks = json.loads(build.rendered()[name])["annotations"]["list"]
        held = next(mark for mark in marks if mark["name"] == "Held")
        assert held["textFormat"] == "{{namespace}}/{{scaledobject}}: {{reason}}"


def test_a_panel_that_a_demo_may_have_nothing_for_says_when_it_is_empty():
    for board in demo_panels.BOARDS:
        for panel in board["panels"]:
            if panel["title"] in demo_panels.EMPTY:
                assert "Empty w" in panel["description"], panel["title"]
