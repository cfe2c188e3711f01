"""The command line."""

import typer

app = typer.Typer(no_args_is_help=True, help="Scale LLM inference; lend what is idle.")


def main() -> None:
    """Run the command line."""
    app()
