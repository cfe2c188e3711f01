"""
The clouds' ways in: each request signed or given a token, by each cloud's own library.

Amazon managed Prometheus checks an AWS signature, version 4, of the service ``aps`` (the AWS Common
Runtime, whose chain of credentials knows service accounts, profiles, containers and instances).
Google's wants a token of the application's default credentials (google-auth). Azure's, and whatever
else speaks OAuth2, wants one for client credentials (RFC 6749, 4.4), shown by a secret or by the
token that a workload identity has in a file (RFC 7523). The first two are extras, imported when
they are asked for.
"""

import functools
import importlib
import io
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import requests
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session

from scaler.configuration import PrometheusServer
from scaler.errors import ConfigurationError, Problem, SourceError
from scaler.said import Said

Sign = Callable[[requests.PreparedRequest], None]
"""Puts into a request what shows who asks."""

Secret = Callable[[str], str]
"""Reads the file that a field names."""

_SERVICE = "aps"
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/monitoring.read"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SIGNED_WITHIN_S = 10.0
"""Credentials of a role take a request of their own."""
_RENEWED_S = 60.0
"""A token is renewed so long before it ends."""


def signer_of(server: PrometheusServer, secret: Secret) -> Sign | None:
    """
    Return what signs the requests to a server; None: nothing of this kind is stated.

    Raises:
        ConfigurationError: an extra is not installed.
    """
    if server.aws_region is not None:
        return _told(_aws(server.aws_region))
    if server.google_auth:
        return _told(_google())
    if server.oauth2_token_url is not None:
        return _told(_OAuth2(server, secret))
    return None


def _told(sign: Sign) -> Sign:
    """Return the same, whose errors are SourceErrors of kind ``credentials``."""

    def signed(request: requests.PreparedRequest) -> None:
        try:
            sign(request)
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 -- each library has errors of its own
            why = f"{type(error).__name__}: {error}"
            raise SourceError(
                "credentials", Said("nothing to show who asks: {why}", why=why)
            ) from None

    return signed


def _aws(region: str) -> Sign:
    auth = _module("awscrt.auth", "awsRegion", region, "aws")
    http = importlib.import_module("awscrt.http")

    @functools.cache
    def config() -> Any:  # noqa: ANN401 -- the runtime's; its credentials renew themselves
        return auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=auth.AwsCredentialsProvider.new_default_chain(),
            region=region,
            service=_SERVICE,
        )

    def sign(request: requests.PreparedRequest) -> None:
        body = request.body or b""
        content = {"Content-Type": request.headers.get("Content-Type")}
        named = {"Host": urllib.parse.urlsplit(request.url or "").netloc, **content}
        headers = http.HttpHeaders([(name, text) for name, text in named.items() if text])
        stream = io.BytesIO(body.encode() if isinstance(body, str) else bytes(body))
        signed = http.HttpRequest(request.method, request.path_url, headers, stream)
        auth.aws_sign_request(signed, config()).result(_SIGNED_WITHIN_S)
        request.headers.update(dict(signed.headers))

    return sign


def _google() -> Sign:
    google_auth = _module("google.auth", "googleAuth", "true", "google")
    transport = importlib.import_module("google.auth.transport.requests")
    lock = threading.Lock()

    @functools.cache
    def credentials() -> Any:  # noqa: ANN401 -- google-auth's
        found, _ = google_auth.default(scopes=[_GOOGLE_SCOPE])
        return found

    def sign(request: requests.PreparedRequest) -> None:
        with lock:
            if not credentials().valid:
                with requests.Session() as session:
                    credentials().refresh(transport.Request(session))
            request.headers["Authorization"] = f"Bearer {credentials().token}"

    return sign


class _OAuth2:
    """Gets a token for client credentials, and keeps it for as long as it is good."""

    def __init__(self, server: PrometheusServer, secret: Secret) -> None:
        self._server = server
        self._secret = secret
        self._lock = threading.Lock()
        self._token: dict[str, Any] = {}

    def __call__(self, request: requests.PreparedRequest) -> None:
        with self._lock:
            if float(self._token.get("expires_at", 0.0)) < time.time() + _RENEWED_S:  # noqa: TID251
                self._token = self._fetched()
            request.headers["Authorization"] = f"Bearer {self._token['access_token']}"

    def _fetched(self) -> dict[str, Any]:
        server = self._server
        if server.oauth2_client_assertion_file is None:
            shown = {"client_secret": self._secret("oauth2ClientSecretFile")}
        else:
            shown = {
                "client_assertion_type": _ASSERTION,
                "client_assertion": self._secret("oauth2ClientAssertionFile"),
            }
        scope = (server.oauth2_scope or "").split() or None
        client = BackendApplicationClient(client_id=server.oauth2_client_id, scope=scope)
        with OAuth2Session(client=client) as session:
            try:
                token = session.fetch_token(
                    server.oauth2_token_url,
                    include_client_id=True,
                    timeout=server.timeout_s,
                    **shown,
                )
            except OAuth2Error as error:
                why = f"{error.error}: {error.description or 'no more is said'}"
                raise SourceError("credentials", f"{server.oauth2_token_url}: {why}") from None
        # Without an end it is asked for anew each time (RFC 6749 only recommends to state one).
        return dict(token)


def _module(name: str, field: str, got: str, extra: str) -> Any:  # noqa: ANN401
    try:
        return importlib.import_module(name)
    except ImportError:
        package = {"aws": "awscrt", "google": "google-auth"}[extra]
        raise ConfigurationError(
            Problem(
                field=field,
                got=f"{got} needs the package {package}: pip install 'kvtide[{extra}]'",
            )
        ) from None
