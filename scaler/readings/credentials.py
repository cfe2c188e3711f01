"""
What a Prometheus server is shown of who asks, and how it is kept out of everything that is said.

Files are read anew for each query, since they rotate. What a client library or a server says may
hold any of it (a header that could not be sent, a page that echoes the request), so that no text of
theirs is passed on but through :meth:`Credentials.told`.
"""

import base64
import collections
import contextlib
import json
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator

from scaler.configuration import PrometheusServer
from scaler.errors import ConfigurationError, Problem, SourceError
from scaler.files import read_text
from scaler.said import Said

REDACTED = "[redacted]"
SHORTEST_SECRET = 6
"""A shorter text is no secret, and part of too many words."""

_LARGEST_FILE = 65_536
_REMEMBERED = 8
"""Texts of a file that are known for secrets, the last ones it had."""
_IN_A_URL = re.compile(r"""(?<=://)[^\s/?#@]*@|\?[^\s'"\\?=]*=[^\s'"\\]*""")
"""A user before a host, or parameters."""


class Credentials:
    """Of one server."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server
        self._fixed = tuple(_stated(server))
        self._read: dict[str, collections.deque[str]] = {}
        """By file: the texts it had."""
        self._shown: collections.deque[str] = collections.deque(maxlen=_REMEMBERED)
        self._changed_ns: dict[str, int] = {}

    def check(self) -> tuple[Problem, ...]:
        """Return what no query could send; a file that is not there yet may come."""
        problems: list[Problem] = []
        for field, path in self._files():
            if pathlib.Path(path).exists():
                try:
                    self._text(field, path)
                except ConfigurationError as error:
                    problems += error.problems
        return tuple(problems)

    def authorization(self) -> str | None:
        """
        Return the Authorization header of a query; None: nothing is stated.

        Raises:
            SourceError: of kind ``credentials``: a file cannot be read, or holds no such thing.
        """
        try:
            secrets = {field: self._text(field, path) for field, path in self._files()}
        except ConfigurationError as error:
            raise SourceError("credentials", error.said) from None
        if "bearerTokenFile" in secrets:
            return f"Bearer {secrets['bearerTokenFile']}"
        user, password = self._server.basic_username, secrets.get("basicPasswordFile")
        if user is None or password is None:
            user, password = _user_info(self._server.url)
        return None if user is None else _basic(user, password or "")

    def secret(self, field: str) -> str:
        """
        Return what the file of a field holds.

        Raises:
            SourceError: of kind ``credentials``: it cannot be read, or holds no such thing.
        """
        try:
            return self._text(field, dict(self._files())[field])
        except ConfigurationError as error:
            raise SourceError("credentials", error.said) from None

    def know(self, header: str) -> None:
        """Know an Authorization header for a secret."""
        if header not in self._shown:
            self._shown.append(header)

    def told(self, text: str) -> str:
        """Return what others said without secrets, known ones and what stands where one may."""
        return self.redacted(_IN_A_URL.sub(REDACTED, text))

    def redacted(self, text: str) -> str:
        """Return a text without anything that is known for a secret."""
        self._look()
        spelled = {form for secret in self._secrets() for form in _spellings(secret)}
        for form in sorted(spelled, key=len, reverse=True):
            text = text.replace(form, REDACTED)
        return text

    def _look(self) -> None:
        """Know what the files hold by now."""
        for field, path in self._files():
            with contextlib.suppress(OSError, ConfigurationError):
                changed_ns = pathlib.Path(path).stat().st_mtime_ns
                if self._changed_ns.get(path) != changed_ns:
                    self._changed_ns[path] = changed_ns
                    self._text(field, path)

    def _files(self) -> Iterator[tuple[str, str]]:
        named = (
            ("bearerTokenFile", self._server.bearer_token_file),
            ("basicPasswordFile", self._server.basic_password_file),
            ("oauth2ClientSecretFile", self._server.oauth2_client_secret_file),
            ("oauth2ClientAssertionFile", self._server.oauth2_client_assertion_file),
        )
        return ((field, path) for field, path in named if path is not None)

    def _text(self, field: str, path: str) -> str:
        """Return what a file holds, and know it for a secret."""
        text = read_text(pathlib.Path(path), field=field, most=_LARGEST_FILE).strip()
        known = self._read.setdefault(path, collections.deque(maxlen=_REMEMBERED))
        if text not in known:
            known.append(text)
        if not text:
            raise _wrong(field, Said("{path} is empty", path=path))
        if not text.isprintable() or not text.isascii():
            got = Said("{path} holds more than one line of printable characters", path=path)
            raise _wrong(field, got)
        return text

    def _secrets(self) -> Iterator[str]:
        yield from self._fixed
        for header in tuple(self._shown):
            yield from header.split()
        for texts in self._read.values():
            for text in texts:
                yield text
                yield from text.split()
                if self._server.basic_username is not None:
                    yield _basic(self._server.basic_username, text).removeprefix("Basic ")


def redactor(servers: Iterable[PrometheusServer]) -> Callable[[str], str]:
    """Return what takes every server's secrets out of a text, for whatever is written of all."""
    all_of_them = [Credentials(server) for server in servers]

    def redacted(text: str) -> str:
        for one in all_of_them:
            text = one.redacted(text)
        return text

    return redacted


def _wrong(field: str, got: str, allowed: str = "") -> ConfigurationError:
    return ConfigurationError(Problem(field=field, got=got, allowed=allowed))


def _stated(server: PrometheusServer) -> Iterator[str]:
    """Yield the secrets that a configuration itself holds."""
    for _, value in (*server.headers, *server.params):
        yield value
        yield from value.split()
    user, password = _user_info(server.url)
    if user is not None:
        yield from (user, password or "", _basic(user, password or "").removeprefix("Basic "))


def _user_info(url: str) -> tuple[str | None, str | None]:
    parts = urllib.parse.urlsplit(url)
    user, password = parts.username, parts.password
    return (
        None if user is None else urllib.parse.unquote(user),
        None if password is None else urllib.parse.unquote(password),
    )


def _basic(user: str, password: str) -> str:
    """Return the header's value (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _spellings(secret: str) -> Iterator[str]:
    """Yield how a library may write a text: as it is, escaped in Python or JSON, in a URL."""
    if len(secret) < SHORTEST_SECRET:
        return
    yield secret
    yield repr(secret)[1:-1]
    yield repr(secret.encode())[2:-1]
    yield json.dumps(secret)[1:-1]
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote_plus(secret)
