"""``kvtide tune``: a load against a grid of settings, as a person runs it."""

import importlib.util
import json
import subprocess
import sys

import pytest

from tests.fakes.recorded import recorded_prometheus

END_S = 1_800_000_000
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


def recorded(path):
    """Write an hour of a request every two seconds; ten minutes unseen, and another pod behind."""
    begin_s = END_S - 3600
    pods = {
        "chat-5f7d8c9b6d-x2vbn": range(begin_s, END_S - 1800, 15),
        "chat-5f7d8c9b6d-q7kzr": range(END_S - 1200, END_S + 1, 15),
    }
    values = {
        "num_requests_running": lambda _: 1,
        "request_success_total": lambda age_s: 0.5 * age_s,
        "prompt_tokens_total": lambda age_s: 200 * age_s,
        "generation_tokens_total": lambda age_s: 20 * age_s,
    }
    with path.open("w", encoding="utf-8") as out:
        for name, value in values.items():
            for pod, times in pods.items():
                labels = f'namespace="llm",pod="{pod}",engine="0",model_name="m"'
                out.writelines(
                    f"vllm:{name}{{{labels}}} {value(at - begin_s):g} {at}\n" for at in times
                )
        out.write("# EOF\n")


def test_a_single_request_is_a_load_too(files, tmp_path):
    (tmp_path / "tiny.csv").write_text("arrival_s,prompt_tokens,output_tokens\n0,10,10\n")
    done = tune(*files, "--vary", "minReplicas=1", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["settings"]["today"]["slo_attainment"] == 1


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    recorded(folder / "load.txt")
    with recorded_prometheus(folder, folder / "load.txt") as url:
        yield ["--prometheus", url, "--until", END_S, "--since", "1h"]


@pytest.mark.prometheus
def test_what_was_recorded_is_played_and_what_was_not_seen_is_told(prometheus, files, tmp_path):
    out = tmp_path / "out"
    manifest = files[2:]
    done = tune(*manifest, *prometheus, "--vary", "minReplicas=1", "--output", out, "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    unseen_h = result["recorded"]["hours_missing"]
    assert unseen_h == pytest.approx(1 / 6, abs=0.02)
    assert result["requests"] == pytest.approx(0.5 * 3600 * (1 - unseen_h), abs=20)
    assert result["length_s"] == 3600
    assert result["paste"] == {"minReplicas": "1"}
    today = result["settings"]["today"]
    assert today["gpu_hours_by_day"] == pytest.approx([today["gpu_hours"]], abs=0.01)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "played as if nothing came" in page
    assert "from 2027-01-15 07:00" in page


@pytest.mark.prometheus
def test_a_workload_of_which_nothing_was_recorded_is_told(prometheus, files):
    manifest = files[2:]
    done = tune(*manifest, *prometheus[:4], "--since", "5m", "--until", END_S - 9000)

    assert done.returncode == 1
    assert "no requests are known to have come to Deployment/chat in llm" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_trace_and_a_prometheus_are_one_too_many(files):
    done = tune(*files, "--prometheus", "http://127.0.0.1:1")

    assert done.returncode == 2
    assert "not both" in done.stderr


def test_without_either_the_load_is_asked_for(files):
    done = tune(*files[2:])

    assert done.returncode == 2
    assert "prometheus" in done.stderr


def test_a_ray_cluster_answers_the_same_as_processes_of_this_machine(files):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is absent: pip install 'kvtide[ray]'")
    here = tune(*files, "--vary", "minReplicas=1", "--json")
    there = tune(*files, "--vary", "minReplicas=1", "--json", "--ray", "local")

    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout) == json.loads(here.stdout)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        pytest.param("127.0.0.1:1", "Connection refused", id="nobody listens there"),
        pytest.param("somewhere", "HOST:PORT", id="no address"),
    ],
)
def test_a_ray_cluster_that_does_not_answer_is_told_before_anything_is_played(
    files, address, problem
):
    done = tune(*files, "--ray", address)

    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


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
