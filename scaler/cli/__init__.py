"""
The command line: arguments in, text or JSON out; one module per command.

A command imports what it needs when it runs, so that no command waits for another one's libraries:
the Kubernetes client alone takes longer to import than most answers take.
"""

import sys

import typer

from scaler.errors import ConfigurationError, KvtideError

from . import capacity, check, controller, demo, explain, mock, serve

app = typer.Typer(
    no_args_is_help=True,
    help="Scale LLM inference; lend what is idle.",
    pretty_exceptions_show_locals=False,
)
for command in (
    serve.serve,
    demo.demo,
    capacity.capacity,
    explain.explain,
    check.check,
    controller.controller,
    mock.mock,
):
    app.command()(command)


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
