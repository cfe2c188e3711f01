"""The command line: arguments in, text or JSON out; what a command does is in its own module."""

import json
import pathlib
import sys
from typing import Annotated, Any

import typer

from scaler.errors import ConfigurationError, KvtideError
from scaler.report.decision_text import answer_text
from scaler.sources.check.files import check as check_files
from scaler.sources.check.findings import findings_json, findings_text
from scaler.sources.configuration import Configuration
from scaler.sources.documents.configuration import load_configuration, read_text
from scaler.sources.served import served_answer

app = typer.Typer(
    no_args_is_help=True,
    help="Scale LLM inference; lend what is idle.",
    pretty_exceptions_show_locals=False,
)
Config = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Configuration: Prometheus servers, pools, engines, gateways.", metavar="FILE"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def main() -> None:
    """Run the command line; a user's mistake is told in words and never as a traceback."""
    try:
        app()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KvtideError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


@app.command()
def check(
    files: Annotated[
        list[pathlib.Path], typer.Argument(help="YAML files with ScaledObjects.", metavar="FILE…")
    ],
    *,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """
    Say what is wrong or unwise in ScaledObjects: 0 fine or warnings only, 1 with errors.

    Example: kvtide check chat.yaml training.yaml --config kvtide.yaml
    """
    configuration = Configuration() if config is None else load_configuration(config)
    checked = check_files({str(path): read_text(path) for path in files}, configuration)
    _print(findings_json(checked) if as_json else findings_text(checked))
    raise typer.Exit(1 if checked.errors else 0)


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="The ScaledObject.", metavar="NAMESPACE/NAME")],
    *,
    server: Annotated[
        str,
        typer.Option(help="HTTP address of kvtide serve.", metavar="URL", envvar="KVTIDE_SERVER"),
    ] = "http://localhost:8080",
    as_json: Json = False,
) -> None:
    """
    Say why this many replicas: 0 decided, 1 without a decision (no data, wrong metadata).

    Example: kvtide explain llm/chat --server http://localhost:8080
    """
    answer = served_answer(server, key)
    _print(dict(answer) if as_json else answer_text(answer))
    raise typer.Exit(1 if answer["decision"] is None else 0)


def _print(result: str | dict[str, Any]) -> None:
    print(result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False))
