"""``kvtide check``: what is wrong or unwise in ScaledObjects and configuration."""

import pathlib
from typing import Annotated

import typer

from .flags import Config, Json
from .output import show


def check(
    files: Annotated[
        list[pathlib.Path],
        typer.Argument(
            help="YAML with ScaledObjects: files, folders, or - for standard input.",
            metavar="FILE…",
        ),
    ],
    *,
    config: Config = None,
    live: Annotated[
        str | None,
        typer.Option(help="Also look what is there in this Prometheus (doctor).", metavar="URL"),
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Say what is wrong or unwise in ScaledObjects: 0 fine or warnings only, 1 with errors.

    With --live also what is there of each, and 1 where a decision cannot be made.

    Example: kvtide check chat.yaml training.yaml --config kvtide.yaml

    Example: helm template llm ./charts/llm-on-kvtide | kvtide check -
    """
    from scaler.check.files import check as check_files
    from scaler.check.findings import findings_json, findings_text
    from scaler.documents.configuration import load_configuration
    from scaler.settings import settings

    from .manifests import texts_of

    configuration = load_configuration(config)
    settings(flags={}, file=configuration.server)
    texts = texts_of(files)
    checked = check_files(texts, configuration)
    if live is None or checked.errors:  # what is wrong in a file cannot be looked for
        show(findings_json(checked) if as_json else findings_text(checked))
        raise typer.Exit(1 if checked.errors else 0)
    from scaler.report.doctor import doctor_text

    from .examination import examine

    found = examine(texts, prometheus=live, config=config, watch="0s")
    if as_json:
        show({**findings_json(checked), "live": found})
    else:
        show(f"{findings_text(checked)}\n\n{doctor_text(found)}")
    raise typer.Exit(0 if found["ok"] else 1)
