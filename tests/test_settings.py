"""Where a process' settings come from, and what is said when they are wrong."""

import pathlib

import pytest

from scaler.errors import ConfigurationError
from scaler.settings import Settings, settings


def read(monkeypatch, *, flags=None, env=None, file=None) -> Settings:
    for name, value in (env or {}).items():
        monkeypatch.setenv(name, value)
    return settings(flags=flags or {}, file=file or {})


def refusal(monkeypatch, **given) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(monkeypatch, **given)
    return [str(problem) for problem in caught.value.problems]


def test_the_defaults_are_kedas_port_and_a_page(monkeypatch):
    made = read(monkeypatch)
    assert (made.grpc_address, made.http_address, made.tick) == (":6000", ":8080", 2.0)


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({"file": {"logLevel": "debug"}}, "debug"),
        ({"file": {"logLevel": "debug"}, "env": {"KVTIDE_LOG_LEVEL": "error"}}, "error"),
        (
            {"env": {"KVTIDE_LOG_LEVEL": "error"}, "flags": {"log_level": "warning"}},
            "warning",
        ),
        ({"env": {"KVTIDE_LOG_LEVEL": "error"}, "flags": {"log_level": None}}, "error"),
    ],
    ids=["the file", "environment over file", "flag over environment", "a flag not given"],
)
def test_the_nearest_word_counts(monkeypatch, given, level):
    assert read(monkeypatch, **given).log_level == level


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2), ("500ms", 0.5), (".5s", 0.5), ("1m", 60), ("0m30s", 30)]
)
def test_durations_are_written_as_in_go(monkeypatch, text, seconds):
    assert read(monkeypatch, file={"tick": text}).tick == seconds


@pytest.mark.parametrize("text", ["", "2", 7, "1d", "2 s", "0s", "2m", "-1s", "nan"])
def test_what_is_no_duration_or_out_of_range_is_refused(monkeypatch, text):
    (problem,) = refusal(monkeypatch, file={"tick": text})
    assert "server.tick: got" in problem
    assert "a duration with its unit such as 500ms, 60s, 5m or 1h30m, 0.1s to 60s" in problem


def test_a_service_called_kvtide_does_no_harm(monkeypatch):
    read(monkeypatch, env={"KVTIDE_PORT": "tcp://10.0.0.1:6000", "KVTIDE_SERVICE_HOST": "10.0.0.1"})


def test_every_problem_comes_at_once_under_the_name_that_was_written(monkeypatch):
    found = refusal(
        monkeypatch,
        flags={"http_address": "nowhere"},
        env={"KVTIDE_LOG_LEVEL": "loud"},
        file={"mostObjects": 0, "grpcAdress": ":1"},
    )
    starts = sorted(problem.partition(" ")[0] for problem in found)
    assert starts == [
        "--http-address:",
        "KVTIDE_LOG_LEVEL:",
        "server.grpcAdress:",
        "server.mostObjects:",
    ]
    assert any("allowed: grpcAddress, httpAddress" in problem for problem in found)


@pytest.mark.parametrize("address", [":6000", "127.0.0.1:0", "[::1]:6000", "scaler.local:6000"])
def test_addresses(monkeypatch, address):
    assert read(monkeypatch, file={"grpcAddress": address}).grpc_address == address


@pytest.mark.parametrize("address", ["", "6000", "::1:6000", "http://x:1", "host:port"])
def test_what_is_no_address(monkeypatch, address):
    assert "host:port or :port" in refusal(monkeypatch, file={"grpcAddress": address})[0]


@pytest.mark.parametrize(
    ("given", "missing"),
    [("tls_cert_file", "tls_key_file"), ("tls_key_file", "tls_cert_file")],
)
def test_half_a_certificate_is_refused(monkeypatch, given, missing):
    (problem,) = refusal(monkeypatch, flags={given: pathlib.Path("a.pem")})
    assert problem == f"{missing}: missing; state a file, as {given} is"


def test_asking_clients_for_certificates_needs_one_of_ones_own(monkeypatch):
    (problem,) = refusal(monkeypatch, flags={"tls_client_ca_file": pathlib.Path("ca.pem")})
    assert problem.startswith("tls_cert_file: missing")
