"""
One server that speaks Prometheus' query API, asked through prometheus-api-client.

The client waits for ever, retries for six seconds and drops the warnings of a partial answer;
here a query ends at its deadline, is sent once, and answers in full or with a SourceError whose
kind says what happened: refused, timeout, http, format, partial or limit.
"""

import asyncio
import concurrent.futures
import io
import json
import math
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import Retry

from scaler.configuration import PrometheusServer
from scaler.errors import SourceError

from .series import Point

Row = tuple[Mapping[str, str], Sequence[Point]]
"""Labels, ``__name__`` among them where the query keeps it, and points in time order."""

MOST_BYTES = 10_000_000
"""A longer reply is an error of kind ``limit``: whoever asks must ask for less at once."""

_THREADS = 8
"""More than anybody asks at once: a thread whose caller gave up is busy until its own limit."""
_CHUNK = 65_536


class TooManySeriesError(SourceError):
    """A reply of kind ``limit`` that asking about less time would not make smaller."""

    def __init__(self, detail: str) -> None:
        super().__init__("limit", detail)


class PrometheusApi:
    """Asks a server; safe to use from one event loop."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server
        self._client = PrometheusConnect(
            url=server.url.rstrip("/"),
            headers=dict(server.headers),
            session=_Session(server),
            retry=Retry(total=0),
            auth=_Credentials(server),
            timeout=server.timeout_s,
            method="POST",
        )
        self._threads = concurrent.futures.ThreadPoolExecutor(
            max_workers=_THREADS, thread_name_prefix="prometheus"
        )

    async def query(self, promql: str, at_s: float) -> list[Row]:
        """
        Return the rows of an instant query: a vector's or a range vector's.

        Values that are no numbers (NaN, infinities) are left out: they are missing readings.

        Raises:
            SourceError: no full answer in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._server.timeout_s):
                return await loop.run_in_executor(self._threads, self._ask, promql, at_s)
        except TimeoutError:
            raise self._late() from None

    def close(self) -> None:
        """Drop connections; queries under way end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _ask(self, promql: str, at_s: float) -> list[Row]:
        params = {"time": f"{at_s:.3f}", "timeout": f"{self._server.timeout_s:g}s"}
        try:
            result = self._client.custom_query(promql, {**params, **dict(self._server.params)})
        except (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError):
            raise self._late() from None
        except (KeyError, TypeError, ValueError, PrometheusApiClientException) as error:
            detail = f"{self._server.url} did not answer in Prometheus' format: {error}"
            raise SourceError("format", detail[:300]) from None
        except (OSError, urllib3.exceptions.HTTPError) as error:  # requests' own are OSErrors
            raise SourceError("refused", f"{self._server.url}: {_innermost(error)}") from None
        if len(result) > self._server.max_series:
            raise TooManySeriesError(
                f"{len(result)} series, more than maxSeries ({self._server.max_series})"
            )
        return [_row(one, self._server.url) for one in result]

    def _late(self) -> SourceError:
        limit_s = self._server.timeout_s
        return SourceError("timeout", f"{self._server.url} took more than {limit_s:g} s")


class _Session(requests.Session):
    """
    Sends a query once and reads the reply by a deadline; what is no full answer is an error.

    The query goes into the body: those of many namespaces are longer than a URL may be.
    """

    def __init__(self, server: PrometheusServer) -> None:
        super().__init__()
        self._limit_s = server.timeout_s
        self.verify = server.ca_file or not server.insecure_skip_verify
        if server.cert_file and server.key_file:
            self.cert = (server.cert_file, server.key_file)

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str],
        **more: Any,  # noqa: ANN401
    ) -> requests.Response:
        deadline_s = time.monotonic() + self._limit_s
        more.update(stream=True, allow_redirects=False)
        with super().request(method, url, data=dict(params), **more) as response:
            body = _body(response, deadline_s)
        if response.status_code != requests.codes.ok:
            raise _refusal(response, body, url)
        _refuse_partial(body)
        response.raw = io.BytesIO(body)  # what .json() reads
        return response


class _Credentials(requests.auth.AuthBase):
    """
    Sets the Authorization header from files, read anew for each query since they rotate.

    Being there at all also keeps requests from sending what a stray ``.netrc`` has.
    """

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        server = self._server
        if server.bearer_token_file is not None:
            request.headers["Authorization"] = f"Bearer {_secret(server.bearer_token_file)}"
        elif server.basic_username is not None and server.basic_password_file is not None:
            password = _secret(server.basic_password_file)
            requests.auth.HTTPBasicAuth(server.basic_username, password)(request)
        return request


def _secret(path: str) -> str:
    return pathlib.Path(path).read_text(encoding="utf-8").strip()


def _body(response: requests.Response, deadline_s: float) -> bytes:
    """Read a reply piece by piece, since a server that drips never hits a socket's own limit."""
    body = bytearray()
    while piece := response.raw.read1(_CHUNK, decode_content=True):
        body += piece
        if time.monotonic() > deadline_s:
            raise TimeoutError
        if len(body) > MOST_BYTES:
            raise SourceError("limit", f"a reply of more than {MOST_BYTES / 1e6:g} MB")
    return bytes(body)


def _refusal(response: requests.Response, body: bytes, url: str) -> SourceError:
    """Return the error of a status other than 200, with what the server says about it."""
    try:
        said = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        said = response.headers.get("Location", response.reason or "")
    # Prometheus refuses with 422 what would load more than --query.max-samples.
    kind = "limit" if "too many samples" in said else "http"
    return SourceError(kind, f"{url} answered {response.status_code}: {said[:200]}")


def _refuse_partial(body: bytes) -> None:
    """Raise if an answer has warnings: Thanos and others answer so when a store is missing."""
    if b'"warnings"' not in body:
        return
    try:
        warnings = json.loads(body).get("warnings")
    except (ValueError, AttributeError):
        return  # no Prometheus' format at all, which the client finds out
    if warnings:
        raise SourceError("partial", f"the answer is incomplete: {str(warnings)[:200]}")


def _row(one: Mapping[str, Any], url: str) -> Row:
    """Return a row of a vector (one ``value``) or of a range vector (``values``)."""
    try:
        written = one["values"] if "values" in one else [one["value"]]
        points = [(float(at_s), float(value)) for at_s, value in written]
        return one["metric"], [point for point in points if math.isfinite(point[1])]
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError("format", f"{url}: a row without metric and values: {error}") from None


def _innermost(error: BaseException) -> str:
    """Return the cause that says something: urllib3 wraps a refused connection four times."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return str(reason or error)[:200]
