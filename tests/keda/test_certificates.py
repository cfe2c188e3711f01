"""The files of a certificate: what is wrong with them is named, logged and measured."""

import pathlib
import ssl
import subprocess

import pytest

from scaler.errors import ConfigurationError
from scaler.keda.certificates import Certificates, Tls, served
from scaler.telemetry.process import Telemetry
from tests.certificates import authority, certificate, encrypted


@pytest.fixture
def files(tmp_path: pathlib.Path) -> pathlib.Path:
    authority(tmp_path)
    certificate(tmp_path, "server", 1)
    certificate(tmp_path, "other", 2)
    encrypted(tmp_path, "other")
    (tmp_path / "empty").write_text("")
    return tmp_path


def tls(files: pathlib.Path, **named: str) -> Tls:
    names = {"certificate": "server.crt", "key": "server.key", "client_ca": "ca.crt", **named}
    return Tls(**{field: files / name for field, name in names.items()})


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"key": "other.key"}, "tls_key_file: {}/other.key: the key of another certificate"),
        ({"key": "server.crt"}, "tls_key_file: {}/server.crt: no private key"),
        ({"key": "other.enc"}, "tls_key_file: {}/other.enc: it has a password"),
        ({"key": "absent"}, "tls_key_file: cannot be read: {}/absent (No such file or directory)"),
        ({"certificate": "empty"}, "tls_cert_file: {}/empty holds no certificate"),
        ({"certificate": "server.key"}, "tls_cert_file: {}/server.key holds no certificate"),
        ({"client_ca": "server.key"}, "tls_client_ca_file: {}/server.key holds no certificate"),
    ],
)
def test_the_file_that_does_not_fit_is_named(files, named, says):
    with pytest.raises(ConfigurationError) as caught:
        served(tls(files, **named))

    (problem,) = caught.value.problems
    assert str(problem).startswith(says.format(files))


def test_when_the_certificate_ends_is_known(files):
    stated = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-in", "server.crt"],
        cwd=files,
        capture_output=True,
        check=True,
    )
    ends = stated.stdout.decode().strip().partition("=")[2]

    assert served(tls(files)).expires_s == ssl.cert_time_to_seconds(ends)


def shown(telemetry: Telemetry, name: str) -> float | None:
    value: float | None = telemetry.registry.get_sample_value(f"kvtide_tls_{name}")
    return value


def test_a_certificate_that_is_over_is_told_by_log_and_metric(files, caplog):
    certificate(files, "server", 3, days=-1)
    telemetry = Telemetry()

    Certificates(tls(files), telemetry)

    assert f"the certificate in {files / 'server.crt'} is over" in caplog.text
    assert shown(telemetry, "expiry_timestamp_seconds") == 0
    assert shown(telemetry, "files_unusable") == 0


def test_a_renewal_that_fails_is_told_once_by_log_and_metric_until_it_is_mended(files, caplog):
    telemetry = Telemetry()
    certificates = Certificates(tls(files), telemetry)
    ends_s = shown(telemetry, "expiry_timestamp_seconds")
    good = (files / "server.key").read_bytes()

    (files / "server.key").write_bytes((files / "other.key").read_bytes())
    for _ in range(3):
        certificates.look()
    (told,) = (one.getMessage() for one in caplog.records if "not used" in one.getMessage())
    assert f"tls_key_file: {files / 'server.key'}: the key of another certificate; it must" in told
    assert shown(telemetry, "files_unusable") == 1
    assert shown(telemetry, "expiry_timestamp_seconds") == ends_s

    (files / "server.key").write_bytes(good)
    certificates.look()
    assert shown(telemetry, "files_unusable") == 0


def test_without_tls_there_is_nothing_to_show():
    assert shown(Telemetry(), "files_unusable") is None
