"""The commands by name. Built when it is called: importing this registers nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from accord import __version__
from accord.cli import looks, machine, runs
from accord.cli.codes import Exit

__all__ = ["build_app"]

_CODES = (
    "Exit codes: 0 done · 1 error · 2 refused · 3 checked and bad · 4 cannot be checked · 5 paused · "
    "6 halted · 130 interrupted."
)
_FIRST = """
  accord demo                                 a real run, start to report, in minutes
  accord run brevity.toml                     what a plan says
  accord resume brevity-1                     on from where a run stopped
  accord report brevity-1 --open              what it came to
  accord audit ./model --base ./base          what training changed
"""


def build_app() -> typer.Typer:
    """Every command with its examples. Plain help: it takes a fraction of the time that styled help takes."""
    app = typer.Typer(
        name="accord",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True, epilog=_block(_FIRST, _CODES))(_root)
    for command in (
        runs.demo,
        runs.run,
        runs.resume,
        looks.report,
        looks.audit,
        machine.pull,
        machine.doctor,
    ):
        examples = {**runs.EXAMPLES, **looks.EXAMPLES, **machine.EXAMPLES}[command.__name__]
        _add(app, command.__name__, command, examples)
    brought = typer.Typer(rich_markup_mode=None, help="Bring runs into the index.")
    brought.callback(epilog=_block(machine.EXAMPLES["import run"]))(_bring)
    _add(brought, "run", machine.import_run, machine.EXAMPLES["import run"])
    app.add_typer(brought, name="import")
    return app


def _add(app: typer.Typer, name: str, command: Callable[..., int], examples: str) -> None:
    app.command(name, epilog=_block(examples))(command)


def _block(examples: str, after: str = "") -> str:
    # \b keeps the lines of a paragraph as they stand.
    lines = inspect.cleandoc(examples).splitlines()
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines), "", after])


def _bring() -> None:
    """Bring runs into the index."""


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say the version.")] = False,
) -> int:
    """Train language models from feedback, watch what the training does, and stop before it suppresses."""
    if version:
        typer.echo(f"accord {__version__}")
    elif context.invoked_subcommand is None:
        raise typer.BadParameter("nothing to do; see accord --help")
    return Exit.DONE
