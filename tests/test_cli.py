"""The command line as a user meets it: exit codes, streams, no tracebacks."""

import json
import pathlib
import subprocess
import sys

import pytest

GOOD = """
kind: ScaledObject
metadata: {name: chat, namespace: llm}
spec:
  scaleTargetRef: {name: chat}
  minReplicaCount: 1
  maxReplicaCount: 4
  triggers:
  - type: external-push
    metadata: {scalerAddress: "kvtide:6000", maxConcurrency: "16"}
"""


def kvtide(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scaler", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def manifest(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "chat.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_warnings_alone_are_no_failure(manifest):
    run = kvtide("check", manifest)

    assert run.returncode == 0
    assert run.stdout.endswith("no errors, 1 warning in 1 ScaledObject\n")


def test_errors_fail_and_json_stands_alone_on_stdout(manifest):
    manifest.write_text(GOOD.replace("maxConcurrency", "maxConcurency"), encoding="utf-8")

    run = kvtide("check", "--json", manifest)

    assert run.returncode == 1
    assert json.loads(run.stdout)["findings"][0]["why"].endswith("did you mean maxConcurrency?")
    assert run.stderr == ""


def test_a_wrong_configuration_is_told_whole_and_without_a_traceback(manifest, tmp_path):
    config = tmp_path / "kvtide.yaml"
    config.write_text("prometheus: {default: {url: x, timeot: 5s}}", encoding="utf-8")

    run = kvtide("check", manifest, "--config", config)

    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.splitlines() == [
        "prometheus.default.timeot: got an unknown key; allowed: did you mean timeout?",
        "prometheus.default.url: got 'x'; allowed: an address such as http://prometheus:9090",
    ]


def test_no_answer_is_the_answer_no():
    run = kvtide("explain", "llm/chat", "--server", "http://127.0.0.1:1")

    assert run.returncode == 1
    assert "does not answer" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("command", ["check", "explain"])
def test_every_command_has_an_example(command):
    run = kvtide(command, "--help")

    assert run.returncode == 0
    assert f"Example: kvtide {command} " in run.stdout


def test_capacity_answers_and_says_no():
    stated = ("--model", "Llama-3.1-8B", "--available-kv-gib")

    fits = kvtide("capacity", *stated, "10", "--json")
    does_not = kvtide("capacity", *stated, "0.001")
    wrong = kvtide("capacity", "--model", "Llama-3.1-9B", "--gpu", "H100")

    assert (fits.returncode, json.loads(fits.stdout)["num_blocks"]) == (0, 5120)
    assert (does_not.returncode, does_not.stderr) == (1, "")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean Llama-3.1-8B" in wrong.stderr
