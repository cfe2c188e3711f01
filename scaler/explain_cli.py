"""``kvtide explain``: why this many replicas, by a server's last answer or decided here and now."""

import asyncio
import dataclasses
import json
import pathlib
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import typer

from scaler import wiring
from scaler.errors import ConfigurationError, NoDataError, Problem
from scaler.report.decision_json import answer_json
from scaler.report.decision_text import answer_text
from scaler.sources.check.triggers import triggers_in
from scaler.sources.configuration import Configuration, PrometheusServer
from scaler.sources.documents.configuration import load_configuration, read_text
from scaler.sources.documents.forms import read_instant
from scaler.sources.documents.keys import closest
from scaler.sources.served import served_answer

KEY = "NAMESPACE/NAME"


def explain(
    key: Annotated[
        str | None,
        typer.Argument(help="The ScaledObject; may be left out where FILE has one.", metavar=KEY),
    ] = None,
    *,
    server: Annotated[
        str,
        typer.Option(help="HTTP address of kvtide serve.", metavar="URL", envvar="KVTIDE_SERVER"),
    ] = "http://localhost:8080",
    scaled_object: Annotated[
        list[pathlib.Path] | None,
        typer.Option(help="Decide here, on the ScaledObjects of FILE.", metavar="FILE"),
    ] = None,
    prometheus: Annotated[
        str | None, typer.Option(help="Its Prometheus, where no --config names one.", metavar="URL")
    ] = None,
    config: Annotated[
        pathlib.Path | None, typer.Option(help="Configuration of the servers.", metavar="FILE")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="As of 2026-09-30T12:00:00Z; default: now.", metavar="TIME")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """
    Say why this many replicas: 0 decided, 1 without a decision (no data, wrong metadata).

    Asks a server for its last answer, or decides on the ScaledObjects of files as it would.

    Example: kvtide explain llm/chat --server http://localhost:8080

    Example: kvtide explain --scaled-object chat.yaml --prometheus http://localhost:9090
    """
    at_s = _instant(at)
    if scaled_object:
        configuration = _configuration(config, prometheus)
        texts = {str(path): read_text(path) for path in scaled_object}
        answer: Mapping[str, Any] = _decided(texts, key, configuration, at_s)
    else:
        _refuse_without_file(key, prometheus=prometheus, config=config)
        answer = served_answer(server, key or "", at_s)
    print(json.dumps(answer, indent=2, ensure_ascii=False) if as_json else answer_text(answer))
    raise typer.Exit(1 if answer["decision"] is None else 0)


def _decided(
    texts: Mapping[str, str], key: str | None, configuration: Configuration, at_s: float | None
) -> Mapping[str, Any]:
    triggers = triggers_in(texts, configuration)
    key = _named(key, triggers)
    role = str(triggers[key].role)
    try:
        decision = asyncio.run(wiring.explain(triggers, key, at_s, configuration=configuration))
    except NoDataError as error:
        return answer_json(key, role, error=error)
    return answer_json(key, role, decision=decision)


def _named(key: str | None, known: Collection[str]) -> str:
    """Return the object that is meant: the named one, or the only one."""
    if key is None and len(known) == 1:
        return next(iter(known))
    if key in known:
        return str(key)
    meant = None if key is None else closest(key, known)
    allowed = f"did you mean {meant}?" if meant else f"one of {', '.join(known)}"
    got = "nothing" if key is None else repr(key)
    raise ConfigurationError(Problem(field=KEY, got=got, allowed=allowed))


def _configuration(path: pathlib.Path | None, url: str | None) -> Configuration:
    configuration = Configuration() if path is None else load_configuration(path)
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
    try:
        return None if text is None else read_instant(text)
    except ValueError as error:
        allowed = "a time such as 2026-09-30T12:00:00Z, or Unix seconds"
        raise ConfigurationError(Problem(field="--at", got=repr(text), allowed=allowed)) from error


def _refuse_without_file(
    key: str | None, *, prometheus: str | None, config: pathlib.Path | None
) -> None:
    """Raise what makes no sense of a question to a server."""
    needs = "with --scaled-object FILE"
    problems = [
        Problem(field=flag, got=repr(str(value)), allowed=needs)
        for flag, value in (("--prometheus", prometheus), ("--config", config))
        if value is not None
    ]
    if key is None:
        problems.append(
            Problem(field=KEY, got="nothing", allowed="such as llm/chat, or --scaled-object FILE")
        )
    if problems:
        raise ConfigurationError(*problems)
