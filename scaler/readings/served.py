"""The last answer of a running ``kvtide serve``, over its HTTP API."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from scaler.errors import ConfigurationError, NotServedError, Problem, SourceError

TIMEOUT_S = 60.0


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
    path = urllib.parse.quote(key)
    query = "" if at_s is None else f"?at={at_s:.3f}"
    url = f"{server.rstrip('/')}/api/decisions/{path}{query}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:  # noqa: S310 - http, above
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise NotServedError(f"{server} was not asked about {key} since it started") from error
        raise SourceError("http", f"{url} answered {error.code}{_reason(error)}") from error
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or reason
        raise SourceError("refused", f"{server} does not answer: {reason}") from error
    except ValueError as error:
        raise SourceError("format", f"{url} answered no JSON: is it kvtide's HTTP port?") from error
    if not isinstance(answer, dict) or "decision" not in answer:
        raise SourceError("format", f"{url} answered no decision: is it kvtide's HTTP port?")
    return answer


def _refuse_misshapen(server: str, key: str) -> None:
    problems = []
    if not server.startswith(("http://", "https://")):
        problems.append(
            Problem(field="--server", got=repr(server), allowed="such as http://localhost:8080")
        )
    if key.count("/") != 1 or not all(key.partition("/")):
        problems.append(Problem(field="NAMESPACE/NAME", got=repr(key), allowed="such as llm/chat"))
    if problems:
        raise ConfigurationError(*problems)


def _reason(error: urllib.error.HTTPError) -> str:
    """Return what the server says about its refusal, where it is one of ours."""
    try:
        problems = json.load(error)["error"]["problems"]
    except (ValueError, KeyError, TypeError):
        return ""
    return ": " + "; ".join(map(str, problems))
