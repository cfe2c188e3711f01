"""
The command line: arguments in, text or JSON out; one module per command.

A command imports what it needs when it runs, so that no command waits for another one's libraries:
the Kubernetes client alone takes longer to import than most answers take.
"""

import importlib.metadata
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from scaler.errors import ConfigurationError, KvtideError

from . import (
    backtest,
    capacity,
    check,
    controller,
    demo,
    doctor,
    explain,
    mock,
    serve,
    simulate,
    tune,
)
from .output import written

app = typer.Typer(
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_show_locals=False,
)
for command in (
    serve.serve,
    demo.demo,
    capacity.capacity,
    explain.explain,
    check.check,
    doctor.doctor,
    controller.controller,
    mock.mock,
    simulate.simulate,
    tune.tune,
    backtest.backtest,
):
    app.command()(command)


@app.callback()
def about(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True)
    ] = False,
) -> None:
    """Scale LLM inference; lend what is idle."""
    if version:
        print(f"kvtide {importlib.metadata.version('kvtide')}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the command line (None: the process's own) and exit: 0 done, 1 "no", 2 a user's mistake.

    A mistake is told in words on standard error, and never as a traceback.
    """
    try:
        with written():
            app(arguments, prog_name="kvtide")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KvtideError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
