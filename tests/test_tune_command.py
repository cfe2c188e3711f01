"""``kvtide tune``: a load against a grid of settings, as a person runs it."""

import json
import subprocess
import sys

import pytest

TODAY = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: chat, namespace: llm}
spec:
  scaleTargetRef: {name: chat}
  triggers:
    - type: external
      metadata: {scalerAddress: "kvtide:6000", itlTarget: 100ms, minReplicas: "MINIMUM"}
"""


@pytest.fixture
def files(tmp_path):
    trace, manifest = tmp_path / "tiny.csv", tmp_path / "chat.yaml"
    rows = (f"{0.5 * number},400,40" for number in range(240))
    trace.write_text("\n".join(("arrival_s,prompt_tokens,output_tokens", *rows)), encoding="utf-8")
    manifest.write_text(TODAY.replace("MINIMUM", "3"), encoding="utf-8")
    return ["--trace", trace, "--scaled-object", manifest, "--gpus", 4, "--processes", 2]


def tune(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "scaler", "tune", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_cheapest_settings_that_serve_enough_are_told_beside_todays(files, tmp_path):
    out = tmp_path / "out"
    done = tune(*files, "--vary", "minReplicas=1,2", "--output", out, "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result["settings"]) == ["today", "minReplicas=1", "minReplicas=2"]
    hours = {name: row["gpu_hours"] for name, row in result["settings"].items()}
    assert hours["minReplicas=1"] < hours["minReplicas=2"] < hours["today"]
    assert result["paste"] == {"minReplicas": "1"}
    assert result["settings"]["minReplicas=1"]["front"]
    for row in result["settings"].values():
        assert sum(row["gpu_hours_by_day"]) == pytest.approx(row["gpu_hours"], abs=0.02)
    assert json.loads((out / "result.json").read_text(encoding="utf-8")) == result
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "minReplicas=2" in page
    assert "day 1" in page


def test_a_person_reads_what_to_paste(files):
    done = tune(*files, "--vary", "minReplicas=1")

    assert done.returncode == 0, done.stderr
    assert 'minReplicas: "1"' in done.stdout
    assert "today" in done.stdout


def test_where_nothing_serves_enough_the_exit_status_says_so(files):
    done = tune(*files, "--vary", "maxReplicas=4", "--scale", "80", "--slo", "1")

    assert done.returncode == 1, done.stderr
    assert "None of these" in done.stdout


@pytest.mark.parametrize(
    ("vary", "problem"),
    [
        pytest.param("targetUtilization=0.7,7", "targetUtilization", id="a value that is not one"),
        pytest.param("targetUtilisation=0.7", "targetUtilisation", id="a key that is none"),
        pytest.param("targetUtilization", "KEY=A,B", id="no value"),
        pytest.param("minReplicas=" + ",".join("1" * 400), "at most 399", id="too many"),
    ],
)
def test_a_wrong_grid_is_told_before_anything_is_played(files, vary, problem):
    done = tune(*files, "--vary", vary)

    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
