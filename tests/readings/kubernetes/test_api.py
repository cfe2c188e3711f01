"""Why there is no connection to the API is told in the words of who knows."""

import errno
import socket
import ssl
import types
from typing import Any

import pytest
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
)

from scaler.readings.kubernetes.api import refusal

TO: Any = types.SimpleNamespace(host="api", port=443, ssl=True, is_ssl=True)
UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ClientConnectorError(TO, OSError(errno.ECONNREFUSED, "Connect call failed")),
            "api:443: Connection refused",
        ),
        (
            ClientConnectorDNSError(TO, socket.gaierror(-2, "Name or service not known")),
            "api:443: Name or service not known",
        ),
        (ClientConnectorCertificateError(TO, UNTRUSTED), "self-signed certificate"),
        (ClientConnectorSSLError(TO, UNTRUSTED), "self-signed certificate"),
    ],
    ids=["refused", "no such name", "not trusted", "a fault of TLS"],
)
def test_it_is_told_why_there_is_no_connection(error, told):
    assert told in refusal(error).message
