"""
The certificate that the gRPC server shows, as its files have it: checked before it is used.

A renewed certificate counts from the next handshake. Files that do not fit one another, or cannot
be read, leave the last good ones in use, which is said in the log and by a metric: a handshake that
fails tells nobody which file it was.
"""

import contextlib
import dataclasses
import logging
import pathlib
import ssl
import threading

import grpc

from scaler.errors import ConfigurationError, Problem
from scaler.files import read_text
from scaler.telemetry.process import Telemetry

logger = logging.getLogger("kvtide.tls")

LARGEST_BYTES = 1024 * 1024
PEM = "a file in PEM"
_ENDED, _NOT_BEGUN = 10, 9
"""X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID (openssl/x509_vfy.h)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of a server certificate in PEM; with ``client_ca``, clients must show one of its."""

    certificate: pathlib.Path
    key: pathlib.Path
    client_ca: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the files held when they were last good."""

    certificate: str
    key: str
    client_ca: str | None
    expires_s: float | None
    """End of the certificate, Unix seconds; 0: it is over, or has not begun; None: not known."""

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        client_ca = None if self.client_ca is None else self.client_ca.encode()
        pair = (self.key.encode(), self.certificate.encode())
        return grpc.ssl_server_certificate_configuration([pair], client_ca)


class Certificates:
    """Follows the files; safe to use from gRPC's threads."""

    def __init__(self, tls: Tls, telemetry: Telemetry) -> None:
        """
        Read the files for the first time.

        Raises:
            ConfigurationError: they cannot be read, or are no certificate with its key.
        """
        self._tls = tls
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._failure = ""
        self._served = self._shown = served(tls)
        self._tell()

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that follow the files from handshake to handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._shown.configuration(),
            self._renewed,  # type: ignore[arg-type] # None means "as before", whatever the stubs say
            require_client_authentication=self._tls.client_ca is not None,
        )

    def look(self) -> None:
        """Read the files again, and say so when they cannot be used or can be used again."""
        with self._lock:
            before = self._failure, self._served
            try:
                self._served, self._failure = served(self._tls), ""
            except ConfigurationError as error:  # or in the middle of a renewal
                self._failure = str(error)
            if before != (self._failure, self._served):
                self._tell()

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what a handshake that begins now is to show; None: as before."""
        self.look()
        if self._served == self._shown:
            return None
        self._shown = self._served
        return self._shown.configuration()

    def _tell(self) -> None:
        ends_s, file = self._served.expires_s, self._tls.certificate
        self._telemetry.show_certificate(expires_s=ends_s, failed=bool(self._failure))
        if self._failure:
            logger.error("a renewed certificate is not used: %s", self._failure)
        elif ends_s == 0:
            logger.error("the certificate in %s is over, or has not begun", file)
        else:
            logger.info("serving with the certificate in %s", file)


def served(tls: Tls) -> Served:
    """
    Return what the files hold.

    Raises:
        ConfigurationError: a file cannot be read, or they are no certificate with its key.
    """
    problems: list[Problem] = []

    def text(field: str, path: pathlib.Path) -> str:
        try:
            return read_text(path, field=field, most=LARGEST_BYTES)
        except ConfigurationError as error:
            problems.extend(error.problems)
            return ""

    certificate = text("tls_cert_file", tls.certificate)
    key = text("tls_key_file", tls.key)
    client_ca = None if tls.client_ca is None else text("tls_client_ca_file", tls.client_ca)
    if not problems:
        problems += _unfit(tls, client_ca)
    if problems:
        raise ConfigurationError(*problems)
    expires_s = _expires_s(tls, certificate)
    return Served(certificate=certificate, key=key, client_ca=client_ca, expires_s=expires_s)


def _unfit(tls: Tls, client_ca: str | None) -> list[Problem]:
    """Return what is wrong with files that can be read."""
    problems = []
    if not _has_certificate(tls.certificate):
        problems.append(_problem("tls_cert_file", f"{tls.certificate} holds no certificate in PEM"))
    elif why := _unfit_key(tls):
        must = f"it must hold the key of {tls.certificate}, in PEM and without a password"
        problems.append(_problem("tls_key_file", f"{tls.key}: {why}; {must}"))
    if client_ca is not None and not _has_certificate(tls.client_ca):
        problems.append(
            _problem("tls_client_ca_file", f"{tls.client_ca} holds no certificate in PEM")
        )
    return problems


def _problem(field: str, got: str) -> Problem:
    return Problem(field=field, got=got)


def _has_certificate(path: pathlib.Path | None) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ValueError):  # SSLError is an OSError
        return False
    return True


def _unfit_key(tls: Tls) -> str | None:
    def asked() -> str:
        raise ValueError("it has a password")

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key, password=asked)
    except ssl.SSLError as error:
        another = error.reason == "KEY_VALUES_MISMATCH"
        return "the key of another certificate" if another else "no private key"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _expires_s(tls: Tls, certificate: str) -> float | None:
    """
    Return when a certificate ends, Unix seconds; 0: it does not hold now; None: not to be told.

    A handshake in memory tells: the standard library shows the fields of a certificate only to
    whoever has verified it.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.certificate, tls.key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is trusted
    client.load_verify_locations(cadata=certificate)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    try:
        for side in (here, there, here, there):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return 0.0 if error.verify_code in {_ENDED, _NOT_BEGUN} else None
    except ssl.SSLError:
        return None
    seen = here.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(seen["notAfter"]))) if "notAfter" in seen else None
