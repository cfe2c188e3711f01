"""The last answer of a running ``kvtide serve``, over its HTTP API."""

import contextlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from scaler.errors import ConfigurationError, NotServedError, Problem, SourceError

TIMEOUT_S = 60.0
NAMED = 12
"""Most objects that are named where none, or an unknown one, was asked for."""


def served_answer(server: str, key: str, at_s: float | None = None) -> Mapping[str, Any]:
    """
    Return what the server at the address ``server`` answers for ``namespace/name``.

    That is its last answer, or with ``at_s`` (Unix seconds) what it would have answered then.

    Raises:
        ConfigurationError: the address or the name has no right shape.
        NotServedError: nobody asked that server about the object since it started.
        SourceError: the server does not answer, or is none of ours.
    """
    _refuse_misshapen(server, key)
    query = "" if at_s is None else f"?at={at_s:.3f}"
    try:
        return _asked(server, f"/api/decisions/{urllib.parse.quote(key)}{query}", "decision")
    except NotServedError:
        why = f"{server} was not asked about {key} since it started"
    with contextlib.suppress(NotServedError, SourceError):  # a proxy that shows this path alone
        why += f"; {told_of(served_names(server))}"
    raise NotServedError(why)


def served_names(server: str) -> list[str]:
    """
    Return the names of all objects that a server knows, as ``namespace/name``.

    Raises:
        ConfigurationError, SourceError: as ``served_answer``.
    """
    _refuse_misshapen(server)
    answers = _asked(server, "/api/decisions", "decisions")["decisions"]
    return sorted(str(one["object"]) for one in answers)


def told_of(names: Sequence[str]) -> str:
    """Return which objects there are, in a few words."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"it has {', '.join(names[:NAMED])}{more}" if names else "it has none yet"


def _asked(server: str, path: str, key: str) -> Mapping[str, Any]:
    """Return what a server answers to a path, an object with ``key``."""
    url = f"{server.rstrip('/')}{path}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:  # noqa: S310 - http, above
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise NotServedError(f"{url} is not there") from error
        raise SourceError("http", f"{url} answered {error.code}{_reason(error)}") from error
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or reason
        raise SourceError("refused", f"{server} does not answer: {reason}") from error
    except ValueError as error:
        raise SourceError("format", f"{url} answered no JSON: is it kvtide's HTTP port?") from error
    if not isinstance(answer, dict) or key not in answer:
        raise SourceError("format", f"{url} answered no decision: is it kvtide's HTTP port?")
    return answer


def _refuse_misshapen(server: str, key: str = "any/any") -> None:
    problems = []
    if not server.startswith(("http://", "https://")):
        problems.append(
            Problem(
                field="--server",
                got=repr(server),
                allowed="an address such as http://localhost:8080",
            )
        )
    if key.count("/") != 1 or not all(key.partition("/")):
        allowed = "a namespace and a name such as llm/chat"
        problems.append(Problem(field="NAMESPACE/NAME", got=repr(key), allowed=allowed))
    if problems:
        raise ConfigurationError(*problems)


def _reason(error: urllib.error.HTTPError) -> str:
    """Return what the server says about its refusal, where it is one of ours."""
    try:
        problems = json.load(error)["error"]["problems"]
    except (ValueError, KeyError, TypeError):
        return ""
    return ": " + "; ".join(map(str, problems))
