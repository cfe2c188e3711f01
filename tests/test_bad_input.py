"""Every command with every kind of bad input: an exit code and a sentence, never a traceback."""

import contextlib
import os
import pathlib
import socket
from collections.abc import Iterator

import pytest

from scaler.cli import main

FILE = "(the file)"
TAKEN = "(a port that is taken)"
DEAD = "http://127.0.0.1:1"
"""Nobody listens there."""

NOWHERE = ["--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"]
SERVE = ["serve", "--config", "kvtide.yaml", *NOWHERE]
CONTROLLER = ["controller", "--scaler", "127.0.0.1:1", "--http-address", "127.0.0.1:0"]
CAPACITY = ["capacity", "--model", "Llama-3.1-8B", "--gpu", "H100"]

READERS = {
    "check": ["check", FILE],
    "check --config": ["check", "good.yaml", "--config", FILE],
    "doctor": ["doctor", FILE, "--prometheus", DEAD],
    "doctor --config": ["doctor", "good.yaml", "--config", FILE],
    "explain": ["explain", "--scaled-object", FILE, "--prometheus", DEAD],
    "explain --config": ["explain", "--scaled-object", "good.yaml", "--config", FILE],
    "backtest": ["backtest", "--scaled-object", FILE, "--prometheus", DEAD, "--since", "1h"],
    "serve --config": ["serve", "--config", FILE],
    "simulate --trace": ["simulate", "--trace", FILE],
    "simulate --latency": ["simulate", "--trace", "good.csv", "--latency", FILE],
    "tune --trace": ["tune", "--trace", FILE, "--scaled-object", "good.yaml"],
    "tune --scaled-object": ["tune", "--trace", "good.csv", "--scaled-object", FILE],
    "demo --trace": ["demo", "--trace", FILE],
    "capacity --model": ["capacity", "--model", FILE, "--gpu", "H100"],
    "capacity --draft-model": [*CAPACITY, "--draft-model", FILE],
    "simulate --policy": ["simulate", "--trace", "good.csv", "--policy", FILE],
    "simulate --training": ["simulate", "--trace", "good.csv", "--training", FILE],
    "backtest --config": ["backtest", "--scaled-object", "good.yaml", "--config", FILE],
    "serve --tls-cert-file": [*SERVE, "--tls-cert-file", FILE, "--tls-key-file", FILE],
    "controller --ca-file": [*CONTROLLER, "--ca-file", FILE],
}
"""Whatever reads a file, by what it is called in reports."""

GOOD_YAML = """
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
KUBECONFIG = f"""
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
clusters: [{{name: here, cluster: {{server: "{DEAD}"}}}}]
users: [{{name: me, user: {{}}}}]
"""
HUGE_BYTES = 65 * 1024 * 1024
FAITHLESS = pathlib.Path("/proc/self/mem")
"""A regular file that fails when it is read, for root as well."""


def _missing(_: pathlib.Path) -> None: ...


def _empty(path: pathlib.Path) -> None:
    path.touch()


def _binary(path: pathlib.Path) -> None:
    path.write_bytes(bytes(range(256)) * 16)


def _ragged(path: pathlib.Path) -> None:
    path.write_text("a,b\n1,2,3\n{x: y\n")


def _other(path: pathlib.Path) -> None:
    path.write_text('{"a": [1, {"b": null}]}')


def _huge(path: pathlib.Path) -> None:
    with path.open("wb") as file:  # sparse: it takes no room
        file.truncate(HUGE_BYTES)


def _folder(path: pathlib.Path) -> None:
    path.mkdir()


def _unreadable(path: pathlib.Path) -> None:
    if not FAITHLESS.exists():
        pytest.skip("no /proc here")
    path.symlink_to(FAITHLESS)


BAD = {
    "missing": _missing,
    "empty": _empty,
    "binary": _binary,
    "a ragged table": _ragged,
    "another's JSON": _other,
    "huge": _huge,
    "a folder": _folder,
    "unreadable": _unreadable,
}

ADDRESSES = {
    "explain, no server": (["explain", "llm/chat", "--server", DEAD], 1),
    "explain, no Prometheus": (
        ["explain", "--scaled-object", "good.yaml", "--prometheus", DEAD],
        1,
    ),
    "doctor, no Prometheus": (["doctor", "good.yaml", "--prometheus", DEAD, "--watch", "0s"], 1),
    "check --live, no Prometheus": (["check", "good.yaml", "--live", DEAD], 1),
    "backtest, no Prometheus": (
        ["backtest", "--scaled-object", "good.yaml", "--prometheus", DEAD, "--since", "1h"],
        1,
    ),
    "demo, no Prometheus": (["demo", "--prometheus", DEAD], 1),
    "demo, a report into nothing": (["demo", "--report", "no/where.html"], 2),
    "serve, gRPC port taken": (
        ["serve", "--config", "kvtide.yaml", "--grpc-address", TAKEN, "--http-address", ":0"],
        2,
    ),
    "serve, HTTP port taken": (
        ["serve", "--config", "kvtide.yaml", "--grpc-address", ":0", "--http-address", TAKEN],
        2,
    ),
    "mock, port taken": (["mock", "--port", TAKEN], 2),
    "controller, no cluster": (["controller", "--scaler", "127.0.0.1:1"], 2),
}


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Stand in a folder with what is good, and in no cluster."""
    (tmp_path / "good.yaml").write_text(GOOD_YAML)
    (tmp_path / "good.csv").write_text("arrival_s,prompt_tokens,output_tokens\n0,10,10\n")
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "kvtide.yaml").write_text(f"prometheus: {{default: {{url: '{DEAD}'}}}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Return the exit code and the first line of what is said."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    lines = (said.err or said.out).strip().splitlines() or [""]
    return ended.value.code, lines[0]


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("reader", READERS)
def test_a_bad_file_is_told_in_a_sentence(reader, kind, tmp_path, capsys, monkeypatch):
    path = tmp_path / "bad"
    BAD[kind](path)
    if reader.startswith("controller"):
        monkeypatch.setenv("KUBECONFIG", "kubeconfig")
    arguments = ["bad" if one is FILE else one for one in READERS[reader]]

    code, first = told(arguments, capsys)

    empty_is_fine = kind == "empty" and "--config" in reader and not reader.startswith("serve")
    assert code in ((0, 1, 2) if empty_is_fine else (1, 2)), first
    assert first


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_is_no_kubeconfig_is_told_by_name(kind, tmp_path, capsys, monkeypatch):
    BAD[kind](tmp_path / "bad")
    monkeypatch.setenv("KUBECONFIG", "bad")

    code, first = told(CONTROLLER, capsys)

    assert code == 2
    assert first.startswith("KUBECONFIG: cannot be read: ")
    assert "bad" in first


@pytest.mark.parametrize("what", ADDRESSES)
def test_a_taken_port_or_a_dead_address_is_told_in_a_sentence(what, capsys):
    arguments, expected = ADDRESSES[what]
    with taken_port() as port:
        number = "--port" in arguments
        address = str(port) if number else f"127.0.0.1:{port}"
        code, first = told([address if one is TAKEN else one for one in arguments], capsys)

    assert (code, bool(first)) == (expected, True), first


def test_a_port_in_use_is_said_in_those_words_alone(capfd):
    with taken_port() as port, pytest.raises(SystemExit):
        main(["serve", "--config", "kvtide.yaml", "--grpc-address", f"127.0.0.1:{port}"])
    lines = [line for line in capfd.readouterr().err.splitlines() if "grpc" in line.lower()]
    assert lines == [f"grpc_address: port {port} is in use"]


def test_a_file_that_cannot_be_read_says_why_and_no_more(tmp_path, capsys):
    for kind, why in (("missing", "No such file or directory"), ("huge", "more than 64 MiB")):
        BAD[kind](tmp_path / kind)
        assert told(["check", kind], capsys) == (2, f"{kind}: cannot be read: {why}")


def test_a_database_that_refuses_is_said_without_its_clients_names(capsys):
    _, first = told(ADDRESSES["demo, no Prometheus"][0], capsys)
    assert first == f"refused: {DEAD}: Connection refused"


def test_without_a_server_the_port_forward_to_type_is_told(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "llm/chat", "--server", "http://127.0.0.1:1"])
    assert "kubectl -n kvtide port-forward svc/kvtide 1:8080" in capsys.readouterr().err


def test_no_kubeconfig_is_said_with_the_place_that_was_looked_at(capsys):
    code, first = told(["controller", "--scaler", "127.0.0.1:1"], capsys)
    said = "no kubeconfig found at ~/.kube/config, and this is no pod with a service account"
    assert (code, first) == (2, f"KUBECONFIG: cannot be read: {said}")


def test_a_large_number_is_told_as_it_was_typed(capsys):
    assert told(["mock", "--port", "16000000"], capsys)[1].startswith("--port: got 16000000;")


def test_a_server_that_is_not_there_is_told_without_the_systems_number(capsys):
    _, first = told(["explain", "llm/chat", "--server", DEAD], capsys)
    assert first == f"refused: {DEAD} does not answer: Connection refused"


FULL = pathlib.Path("/dev/full")
"""A file on a disk without room."""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        CAPACITY,
        ["check", "good.yaml"],
        ["simulate", "--trace", "good.csv"],
        ["demo", "--prometheus", "embedded", "--report", "day.html"],
    ],
    ids=" ".join,
)
def test_a_disk_without_room_for_what_is_printed_is_told_in_a_sentence(arguments, capsys):
    if not FULL.exists():
        pytest.skip("no /dev/full here")
    with FULL.open("w", encoding="utf-8") as full, contextlib.redirect_stdout(full):
        code, first = told(arguments, capsys)

    assert (code, first) == (2, "standard output: cannot be written: No space left on device")


def test_a_reader_that_goes_away_is_nobodys_mistake(capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as pipe, contextlib.redirect_stdout(pipe):
        assert told(CAPACITY, capsys) == (1, "")
