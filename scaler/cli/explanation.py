"""Why this many replicas: by a server's last answer, or decided here and now as it would."""

import asyncio
import dataclasses
import pathlib
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from scaler.check.triggers import triggers_in
from scaler.configuration import Configuration, PrometheusServer
from scaler.documents.configuration import load_configuration
from scaler.documents.keys import closest
from scaler.errors import ConfigurationError, NoDataError, Problem, SourceError
from scaler.files import read_text
from scaler.readings.served import served_answer, served_names, told_of
from scaler.report.decision_json import answer_json
from scaler.wiring.past import explain

from .flags import instant_s

KEY = "NAMESPACE/NAME"


def told_by(
    server: str,
    key: str | None,
    *,
    prometheus: str | None = None,
    config: pathlib.Path | None = None,
    at: str | None = None,
) -> Mapping[str, Any]:
    """
    Return what a running server answers; ``prometheus`` and ``config`` are its own affair.

    Raises:
        ConfigurationError: flags that make no sense of a question to a server.
        NotServedError, SourceError: as ``served_answer``.
    """
    at_s = _instant(at)
    _refuse_without_file(prometheus=prometheus, config=config)
    try:
        named = _only_one(server, served_names(server)) if key is None else key
        return served_answer(server, named, at_s)
    except SourceError as error:
        if error.kind != "refused":
            raise
        port = urllib.parse.urlsplit(server).port or 80
        raise SourceError(
            "refused",
            f"{error.detail}\nIn a cluster it is brought here by: kubectl -n kvtide port-forward "
            f"svc/kvtide {port}:8080\nWithout a server: kvtide explain --scaled-object FILE "
            "--prometheus URL",
        ) from error


def decided_here(
    files: Sequence[pathlib.Path],
    key: str | None,
    *,
    prometheus: str | None = None,
    config: pathlib.Path | None = None,
    at: str | None = None,
) -> Mapping[str, Any]:
    """
    Return the decision on one ScaledObject of ``files``, from its Prometheus.

    Raises:
        ConfigurationError: in a flag, a file or a trigger.
    """
    at_s = _instant(at)
    configuration = configuration_of(config, prometheus)
    triggers = triggers_in({str(path): read_text(path) for path in files}, configuration)
    named = _named(key, triggers)
    role = str(triggers[named].role)
    try:
        decision = asyncio.run(explain(triggers, named, at_s, configuration=configuration))
    except NoDataError as error:
        return answer_json(named, role, error=error)
    return answer_json(named, role, decision=decision)


def _named(key: str | None, known: Collection[str]) -> str:
    """Return the object that is meant: the named one, or the only one."""
    if key is None:
        return _only_one("--scaled-object", sorted(known))
    if key in known:
        return key
    meant = closest(key, known)
    allowed = f"did you mean {meant}?" if meant else f"one of {', '.join(sorted(known))}"
    raise ConfigurationError(Problem(field=KEY, got=repr(key), allowed=allowed))


def _only_one(where: str, known: Sequence[str]) -> str:
    """Return the only object of a file or a server, which need not be named."""
    if len(known) == 1:
        return known[0]
    got = f"say which object of {where}; {told_of(known)}"
    raise ConfigurationError(Problem(field=KEY, got=got))


def configuration_of(path: pathlib.Path | None, url: str | None) -> Configuration:
    """
    Return the configuration of a file, with ``url`` as its default Prometheus where given.

    Raises:
        ConfigurationError: in the file or the address.
    """
    configuration = load_configuration(path)
    if url is None:
        return configuration
    try:
        server = PrometheusServer(url=url)
    except ConfigurationError as error:
        raise ConfigurationError(
            *(dataclasses.replace(problem, field="--prometheus") for problem in error.problems)
        ) from error
    servers = {**configuration.prometheus, "default": server}
    return dataclasses.replace(configuration, prometheus=servers)


def _instant(text: str | None) -> float | None:
    return None if text is None else instant_s("--at", text)


def _refuse_without_file(*, prometheus: str | None, config: pathlib.Path | None) -> None:
    """Raise what makes no sense of a question to a server."""
    problems = [
        Problem(field=flag, got="only with --scaled-object FILE; a server has its own")
        for flag, value in (("--prometheus", prometheus), ("--config", config))
        if value is not None
    ]
    if problems:
        raise ConfigurationError(*problems)
