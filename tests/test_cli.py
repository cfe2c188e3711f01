"""The command line as a user meets it: exit codes, streams, no tracebacks."""

import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import typer

from scaler.cli import app, main

ROOT = pathlib.Path(__file__).parent.parent
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
MANIFEST = "(a manifest)"
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


def ran(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> tuple[int | str | None, str, str]:
    """Run in this process, which is much faster, and return exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    told = capsys.readouterr()
    return ended.value.code, told.out, told.err


@pytest.fixture
def manifest(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "chat.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_the_version_is_told():
    run = kvtide("--version")

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("kvtide ")


def test_what_helm_renders_is_checked_from_standard_input(manifest):
    run = subprocess.run(
        [sys.executable, "-m", "scaler", "check", "-"],
        input=manifest.read_text(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert run.returncode == 0
    assert "standard input llm/chat" in run.stdout


def test_a_folder_is_checked_file_by_file(manifest):
    (manifest.parent / "more").mkdir()
    (manifest.parent / "more" / "code.yml").write_text(GOOD.replace("chat", "code"))
    (manifest.parent / "note.txt").write_text("no YAML: [")

    run = kvtide("check", manifest.parent)

    assert run.returncode == 0
    assert "in 2 ScaledObjects" in run.stdout


def test_every_flag_says_what_it_is_for():
    import typer  # noqa: PLC0415

    from scaler.cli import app  # noqa: PLC0415

    group: Any = typer.main.get_command(app)
    silent = [
        f"{name} {flag.name}"
        for name, command in group.commands.items()
        for flag in command.params
        if not flag.help
    ]

    assert silent == []


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
        "prometheus.default.timeot: unknown key; did you mean timeout?",
        "prometheus.default.url: got 'x'; allowed: an address such as http://prometheus:9090",
    ]


def test_no_answer_is_the_answer_no():
    run = kvtide("explain", "llm/chat", "--server", "http://127.0.0.1:1")

    assert run.returncode == 1
    assert "does not answer" in run.stderr
    assert "Traceback" not in run.stderr


def test_every_command_of_the_readme_exists_and_no_other():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert set(re.findall(r"`kvtide ([a-z]+)`", readme)) == COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_an_example(command, capsys):
    code, out, _ = ran([command, "--help"], capsys)

    assert code == 0
    assert f"Example: kvtide {command} " in out


LIGHT = [
    pytest.param(["--help"], id="help"),
    pytest.param(["check", MANIFEST], id="check"),
    pytest.param(["capacity", "--model", "Llama-3.1-8B", "--gpu", "H100"], id="capacity"),
    pytest.param(["capacity", "--list", "qwen3.8"], id="what capacity knows"),
    pytest.param(
        ["explain", "--scaled-object", MANIFEST, "--prometheus", "http://127.0.0.1:1"],
        id="explain",
    ),
]


@pytest.mark.parametrize("arguments", LIGHT)
def test_what_answers_at_once_waits_for_no_server_library(arguments, manifest):
    arguments = [str(manifest) if each is MANIFEST else each for each in arguments]
    program = """
import sys
from scaler.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    heavy = {"grpc", "kubernetes", "aiohttp.web"} & sys.modules.keys()
    print(sorted(heavy), file=sys.stderr)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert run.stderr.splitlines()[-1:] == ["[]"], run.stderr


FILES = {"not.yaml": b"a: [1\n", "bytes.yaml": b"\xff\xfe"}
MISUSE = [
    pytest.param([], "Usage: kvtide", id="nothing"),
    pytest.param(["chek"], "No such command 'chek'", id="an unknown command"),
    *(
        pytest.param([command, "--nonsense"], "No such option: --nonsense", id=f"{command}'s flags")
        for command in sorted(COMMANDS)
    ),
    pytest.param(["check"], "Missing argument 'FILE…'", id="check nothing"),
    pytest.param(["check", "no.yaml"], "no.yaml: cannot be read: No such file", id="check no file"),
    pytest.param(["check", "."], "bytes that are not UTF-8", id="check a folder of no text"),
    pytest.param(
        ["check", "empty"],
        "empty: no .yaml or .yml file is in this folder",
        id="check a folder of no YAML",
    ),
    pytest.param(["mock", "--port", "99999"], "--port: got 99999", id="a port beyond all"),
    pytest.param(
        ["mock", "--host", "192.0.2.1"],
        "--port: 192.0.2.1 is no address of this machine",
        id="another's address",
    ),
    pytest.param(
        ["simulate", "--trace", "no.csv", "--output", "not.yaml/x"],
        "--output: not.yaml/x cannot be written to: Not a directory",
        id="results into a file",
    ),
    pytest.param(
        ["backtest", "--scaled-object", "no.yaml", "--output", "not.yaml/x"],
        "--output: not.yaml/x cannot be written to: Not a directory",
        id="results of a backtest into a file",
    ),
    pytest.param(["check", "not.yaml"], "expected ',' or ']' in line 2", id="check no YAML"),
    pytest.param(["check", "bytes.yaml"], "bytes that are not UTF-8", id="check no text"),
    pytest.param(
        ["serve"],
        "prometheus: missing; state a server in the file of --config",
        id="serve from nothing",
    ),
    pytest.param(["serve", "--config", "no.yaml"], "no.yaml: cannot be read", id="serve no file"),
    pytest.param(
        ["serve", "--config", "."], ".: cannot be read: Is a directory", id="serve a folder"
    ),
    pytest.param(
        ["serve", "--config", "not.yaml"], "not.yaml: this is no YAML: ", id="serve no YAML"
    ),
    pytest.param(["serve", "--tick", "soon"], "--tick: got 'soon'; allowed: a dur", id="a tick"),
    pytest.param(["serve", "--grpc-address", "x"], "--grpc-address: got 'x'", id="an address"),
    pytest.param(["demo", "--duration", "3"], "--duration: got '3'; allowed", id="no unit"),
    pytest.param(["demo", "--speed", "fast"], "Invalid value for '--speed'", id="no number"),
    pytest.param(["demo", "--trace", "no.csv"], "no.csv: cannot be read: No", id="no trace"),
    pytest.param(
        ["demo", "--trace", "."], ".: cannot be read: no regular file", id="a folder as a trace"
    ),
    pytest.param(
        ["demo", "--trace", "bytes.yaml"],
        "bytes that are not UTF-8",
        id="a wrong trace",
    ),
    pytest.param(
        ["capacity"],
        "--model: missing; state a config.json or a name",
        id="the capacity of nothing",
    ),
    pytest.param(
        ["capacity", "qwen"], "--model: missing; is it --model qwen?", id="a word without --list"
    ),
    pytest.param(["capacity", "--list", "zzz"], "--list: got 'zzz'", id="a list of nothing"),
    pytest.param(
        ["capacity", "--model", "X"], "--gpu: missing; state a GPU's name", id="on no GPU"
    ),
    pytest.param(
        ["capacity", "--model", ".", "--gpu", "H100"],
        "--model: there is no file config.json",
        id="of a folder",
    ),
    pytest.param(
        ["capacity", "--model", "not.yaml", "--gpu", "H100"],
        "--model: not.yaml is no JSON",
        id="no JSON",
    ),
    pytest.param(
        ["capacity", "--model", "Llama-3.1-8B", "--gpu", "H100", "--prompt-tokens", "many"],
        "--prompt-tokens: got 'many'; allowed: mean or mean:p95",
        id="no lengths",
    ),
    pytest.param(["explain", "a/b", "--at", "soon"], "--at: got 'soon'", id="no time"),
    pytest.param(["explain", "a/b", "--server", "x"], "--server: got 'x'", id="no server"),
    pytest.param(
        ["explain", "--scaled-object", "."], ".: cannot be read: Is a", id="explain a folder"
    ),
    pytest.param(
        ["explain", "--scaled-object", "not.yaml"],
        "not.yaml: this is no YAML: ",
        id="explain no YAML",
    ),
    pytest.param(
        ["controller", "--blind-reclaim-after", "3s"],
        "--blind-reclaim-after: got '3s'; allowed: a duration",
        id="too soon",
    ),
    pytest.param(["mock", "--port", "x"], "Invalid value for '--port'", id="no port"),
]


@pytest.mark.parametrize(("arguments", "told"), MISUSE)
def test_wrong_usage_is_told_in_words(arguments, told, tmp_path, capsys, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)

    code, out, err = ran(arguments, capsys)

    assert code == 2
    assert told in " ".join(err.replace("│", " ").split()) + out
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["tensor", "pipeline", "data"])
def test_capacity_takes_the_flags_that_engines_have(kind):
    common = ("capacity", "--model", "Llama-3.1-8B", "--gpu", "L4", "--gpus", "2")
    ours, theirs = (kvtide(*common, f"--{kind}-parallel{end}", "2") for end in ("", "-size"))

    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert "2 GPUs" in ours.stdout


def test_capacity_answers_and_says_no():
    stated = ("--model", "Llama-3.1-8B", "--available-kv-gib")

    fits = kvtide("capacity", *stated, "10", "--json")
    does_not = kvtide("capacity", *stated, "0.001")
    wrong = kvtide("capacity", "--model", "Llama-3.1-9B", "--gpu", "H100")

    assert (fits.returncode, json.loads(fits.stdout)["num_blocks"]) == (0, 5120)
    assert (does_not.returncode, does_not.stderr) == (1, "")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean Llama-3.1-8B" in wrong.stderr
