"""
One server that speaks Prometheus' query API, asked through prometheus-api-client.

The client waits for ever, retries for six seconds and drops the warnings of a partial answer;
here a query ends at its deadline, is sent once, and answers in full or with a SourceError whose
kind says what happened: refused, timeout, http, format, partial or limit.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import math
import threading
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.adapters import Retry

from scaler.configuration import PrometheusServer
from scaler.errors import SourceError
from scaler.said import Said
from scaler.tracing import NO_TRACER, Tracer

from .calls import Adapter, Call
from .clouds import Sign, signer_of
from .credentials import Credentials
from .decoding import decoded
from .dialect import Dialect, dialect_of
from .replies import (
    PartialAnswerError,
    Row,
    TooManySeriesError,
    answer_of,
    not_in_format,
    refusal_of,
)
from .server_kind import ServerKind, kind_of

Answer = TypeVar("Answer")

MOST_BYTES = 10_000_000
"""A longer reply is an error of kind ``limit``: whoever asks must ask for less at once."""

_DECODING = threading.Lock()
"""One reply at a time: it is work for the one interpreter, and sixteen threads that want it would
keep the loop that answers waiting sixteen times as long. From text to rows without a pause: what
lies between takes twenty times the room of the text."""
_LARGE_BYTES = 1_000_000
_MOST_LARGE = 4
"""Replies of more than that, read or waiting to be decoded at one time."""
_THREADS = 32
"""More than anybody asks at once: a thread whose caller gave up is busy until its own limit."""
_CHUNK = 65_536
_LATE = (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError)
_NO_PAGE = ("http", "format")
"""Kinds of error that a page which a server does not have is told by."""
_LONGEST_QUERY_TOLD = 2000
"""Characters of it in a span: those for all workloads have thousands."""
_LONGEST_TOLD = 300
"""Characters of what others said."""


class PrometheusApi:
    """Asks a server; safe to use from one event loop."""

    def __init__(self, server: PrometheusServer, tracer: Tracer = NO_TRACER) -> None:
        self._server = server
        self._tracer = tracer
        self._credentials = Credentials(server)
        self._session = _Session(server)
        sign = signer_of(server, self._credentials.secret)
        self._authorization = _Authorization(self._credentials, sign)
        self.dialect = Dialect()
        """What is said to it beside the query, as far as it was found out which server it is."""
        self._client = self._connect()
        # Beginning to compress costs a server a millisecond: more than a small reply itself.
        self._plain_client = self._connect(("Accept-Encoding", "identity"))
        # As many connections as are asked over at once, in place of the client's own adapter.
        adapter = Adapter(max_retries=Retry(total=0), pool_maxsize=_THREADS)
        self._session.mount(server.request_url, adapter)
        self._threads = concurrent.futures.ThreadPoolExecutor(
            max_workers=_THREADS, thread_name_prefix="prometheus"
        )

    def _connect(self, *headers: tuple[str, str]) -> PrometheusConnect:
        return PrometheusConnect(
            url=self._server.request_url,
            headers=dict((*self._server.headers, *headers)),
            session=self._session,
            retry=Retry(total=0),
            auth=self._authorization,
            timeout=self._server.timeout_s,
            method="POST",
        )

    async def identify(self) -> None:
        """Find out what is to be said to the server; one that does not tell is a Prometheus."""
        with contextlib.suppress(SourceError):
            self.dialect = dialect_of(await self.kind())

    async def query(
        self, promql: str, at_s: float, *, small: bool = False, limit_s: float = math.inf
    ) -> list[Row]:
        """
        Return the rows of an instant query: a vector's or a range vector's.

        Values that are no numbers (NaN, infinities) are left out: they are missing readings.
        ``small``: the reply is expected to be, and is not compressed. ``limit_s``: the longest
        wait, where the server's is longer.

        Raises:
            SourceError: no full answer in time.
        """
        address = urllib.parse.urlsplit(self._server.shown_url)
        with self._tracer.span(
            "query",
            kind="CLIENT",
            db__system__name="prometheus",
            db__query__text=promql[:_LONGEST_QUERY_TOLD],
            server__address=address.hostname,
            server__port=address.port,
        ) as told:
            within_s = min(limit_s, self._server.timeout_s)
            asked = functools.partial(self._ask, promql, at_s, small=small, limit_s=within_s)
            rows = await self._in_thread(asked, limit_s=within_s)
            told["db.response.returned_rows"] = len(rows)
            return rows

    async def kind(self) -> ServerKind:
        """
        Return which server this is, as far as its build information tells.

        Raises:
            SourceError: it did not answer that it has none.
        """
        try:
            return kind_of(await self._in_thread(self._get, "/api/v1/status/buildinfo"))
        except SourceError as error:
            if error.kind not in _NO_PAGE:
                raise
            return ServerKind()

    async def skew_s(self, clock: Callable[[], float]) -> float | None:
        """
        Return how far the server's clock is ahead of ``clock`` (seconds); None: it does not tell.

        Raises:
            SourceError: it did not answer at all.
        """
        asked_s = clock()
        try:
            document = await self._in_thread(self._get, "/api/v1/query?query=time()")
            result = document["data"]["result"]
            # VictoriaMetrics answers with a vector of its own time, to the second, beside a value
            # that its latency offset makes 30 s older.
            now_s = float(result[0]["value"][0] if isinstance(result[0], dict) else result[1])
        except SourceError as error:
            if error.kind not in _NO_PAGE:
                raise
            return None
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        return now_s - (asked_s + clock()) / 2

    async def _in_thread(
        self, work: Callable[..., Answer], *arguments: object, limit_s: float | None = None
    ) -> Answer:
        call, limit_s = Call(), limit_s or self._server.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._begun(call.run, work, *arguments)
        except TimeoutError:
            call.cut()
            raise self._late(limit_s) from None

    def _begun(self, work: Callable[..., Answer], *arguments: object) -> asyncio.Future[Answer]:
        """
        Begin to ask.

        Raises:
            SourceError: of kind ``refused``: another thread has closed what is asked over.
        """
        try:
            return asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except RuntimeError:
            raise SourceError(
                "refused", Said("{url} is asked no more", url=self._server.shown_url)
            ) from None

    def _get(self, path: str) -> Any:  # noqa: ANN401
        """Return the document that a page of the server holds."""
        with self._telling():
            return self._session.request(
                "GET",
                self._server.request_url + path,
                params={},
                headers=dict(self._server.headers),
                auth=self._authorization,
                timeout=self._server.timeout_s,
            ).json()

    def close(self) -> None:
        """Drop connections; queries under way end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _ask(self, promql: str, at_s: float, *, small: bool, limit_s: float) -> list[Row]:
        params = {"time": f"{at_s:.3f}", "timeout": f"{limit_s:g}s"}
        params.update((*self.dialect.params, *self._server.params))
        with self._telling(limit_s):
            client = self._plain_client if small else self._client
            rows: list[Row] = client.custom_query(promql, params)
            if why := self._session.lacking:
                raise PartialAnswerError(why, rows)
            return rows

    @contextlib.contextmanager
    def _telling(self, limit_s: float | None = None) -> Iterator[None]:
        """Make a SourceError of whatever goes wrong in the body."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- whatever a reply makes the client stumble over
            _let_go(error)
            if isinstance(error, SourceError):
                raise self._told(error) from None
            if isinstance(error, _LATE):
                raise self._late(limit_s or self._server.timeout_s) from None
            raise self._told(_failure(error)) from None

    def _told(self, error: SourceError) -> SourceError:
        """Return an error with the server's address before what others said, without secrets."""
        if isinstance(error, TooManySeriesError) and not error.of_the_server:
            return error
        detail = Said("{url}: {said}", url=self._server.shown_url, said=self._short(error.detail))
        if isinstance(error, PartialAnswerError):
            return PartialAnswerError(detail, error.rows)
        if isinstance(error, TooManySeriesError):
            return TooManySeriesError(detail)
        return SourceError(error.kind, detail, of_the_query=error.of_the_query)

    def _short(self, said: str) -> str:
        """Return what is told on one short line; of a sentence of ours, its parts so."""
        if isinstance(said, Said):
            return Said(
                said.sentence, **{name: self._part(one) for name, one in said.parts.items()}
            )
        line = " ".join(self._credentials.told(said[:_CHUNK]).split())
        return line[:_LONGEST_TOLD]

    def _part(self, part: object) -> object:
        return self._short(part) if isinstance(part, str) else part

    def _late(self, limit_s: float) -> SourceError:
        url = self._server.shown_url
        late = Said("{url} took more than {limit_s:g} s", url=url, limit_s=limit_s)
        return SourceError("timeout", late)


class _Session(requests.Session):
    """
    Sends a query once and reads the reply by a deadline; what is no full answer is an error.

    The query goes into the body: those of many namespaces are longer than a URL may be.
    """

    def __init__(self, server: PrometheusServer) -> None:
        super().__init__()
        self._limit_s = server.timeout_s
        self._most_rows = server.max_series
        self._large = threading.BoundedSemaphore(_MOST_LARGE)
        self._last = threading.local()
        self.verify = server.ca_file or not server.insecure_skip_verify
        if server.cert_file and server.key_file:
            self.cert = (server.cert_file, server.key_file)

    @property
    def lacking(self) -> str:
        """Why this thread's last answer is not whole; empty: it is."""
        return getattr(self._last, "lacking", "")

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
        with contextlib.ExitStack() as held:
            with super().request(method, url, data=dict(params), **more) as response:
                body = _body(response, deadline_s, lambda: self._place_until(deadline_s, held))
            if response.status_code != requests.codes.ok:
                otherwise = response.headers.get("Location", response.reason or "")
                raise refusal_of(response.status_code, body, otherwise)
            document = self._answer(body) if "query" in params else _document(body)
        response.json = lambda **_: document  # type: ignore[method-assign]
        return response

    def _answer(self, body: bytes) -> Any:  # noqa: ANN401
        """Return what the client looks into for the result of a query, which is rows already."""
        with _DECODING:
            rows, self._last.lacking = answer_of(body, most=self._most_rows)
        return {"data": {"result": rows}}

    def _place_until(self, deadline_s: float, held: contextlib.ExitStack) -> None:
        """Wait for a place among the large replies, which ``held`` gives back."""
        if not self._large.acquire(timeout=max(0.0, deadline_s - time.monotonic())):
            raise TimeoutError
        held.callback(self._large.release)


def _document(body: bytes) -> Any:  # noqa: ANN401
    with _DECODING:
        return decoded(body)


class _Authorization(requests.auth.AuthBase):
    """
    Sets the Authorization header of each query.

    Being there at all also keeps requests from sending what a stray ``.netrc`` has.
    """

    def __init__(self, credentials: Credentials, sign: Sign | None) -> None:
        self._credentials = credentials
        self._sign = sign

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        header = self._credentials.authorization()
        if header is not None:
            request.headers["Authorization"] = header
        if self._sign is not None:
            self._sign(request)
            self._credentials.know(request.headers["Authorization"])
        return request


def _body(
    response: requests.Response, deadline_s: float, before_large: Callable[[], None]
) -> bytes:
    """Read a reply piece by piece, since a server that drips never hits a socket's own limit."""
    body = bytearray()
    if (response.raw.length_remaining or 0) > MOST_BYTES:
        raise _too_long()
    while piece := response.raw.read1(_CHUNK, decode_content=True):
        if len(body) <= _LARGE_BYTES < len(body) + len(piece):
            before_large()
        body += piece
        if time.monotonic() > deadline_s:
            raise TimeoutError
        if len(body) > MOST_BYTES:
            raise _too_long()
    return bytes(body)


def _too_long() -> SourceError:
    detail = Said("a reply of more than {most:g} MB", most=MOST_BYTES / 1e6)
    return SourceError("limit", detail, of_the_query=True)


def _let_go(error: BaseException | None) -> None:
    """Let an error, and those that it came of, be kept without the megabytes that they met."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _failure(error: Exception) -> SourceError:
    """Return what an error of the client says of the server."""
    # requests' own are OSErrors, all of them.
    connection = isinstance(error, OSError | urllib3.exceptions.HTTPError)
    if connection and not isinstance(error, ValueError):
        return SourceError("refused", _innermost(error))
    return SourceError("format", not_in_format(str(error) or type(error).__name__))


def _innermost(error: BaseException) -> str:
    """Return the cause that says something: urllib3 wraps a refused connection four times."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    cause = getattr(reason, "__cause__", None)
    return getattr(cause, "strerror", None) or str(reason or error)
