"""The commands by name. Built when it is called: importing this registers nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import cleandoc
from typing import Annotated

import typer

from accord import __version__
from accord.cli import (
    audit,
    bench,
    chat,
    config,
    crossing,
    data,
    demo,
    dialogue,
    explain,
    gate,
    judge,
    keep,
    keys,
    logs,
    looks,
    machine,
    methods,
    models_out,
    retire,
    revive,
    runs,
    serve,
    study,
    targets,
    track,
    verify,
    watch,
)
from accord.cli.codes import Exit

__all__ = ["build_app"]

_CODES = (
    "Exit codes: 0 done · 1 error · 2 refused · 3 checked and bad · 4 cannot be checked · 5 paused · "
    "6 halted · 130 interrupted."
)
_FIRST = """
  accord demo                                 a real model on the whole path, in minutes
  accord methods                              what to train with, and when
  accord run dpo pairs.jsonl --model ./model  train without a plan file
  accord run brevity.toml                     what a plan says
  accord resume brevity-1                     on from where a run stopped
  accord watch brevity-1                      look at it while it trains
  accord report brevity-1 --open              what it came to
  accord explain brevity-1                    what looks wrong in it, and what to do
  accord chat brevity-1 --beside base         talk to it
  accord audit ./model --base ./base          what training changed
  accord crossing brevity-1                   which update pushed it over
  accord keep brevity-1                       into the archive, signed, and proved to run
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
        demo.demo,
        runs.run,
        runs.resume,
        watch.watch,
        looks.report,
        audit.audit,
        targets.targets,
        dialogue.dialogue,
        gate.gate,
        verify.verify,
        revive.revive,
        judge.judge,
        serve.label,
        serve.serve,
        retire.retire,
        crossing.crossing,
        explain.explain,
        methods.methods,
        chat.chat,
        track.track,
        machine.pull,
        machine.doctor,
        bench.bench,
        study.study,
    ):
        examples: str = sys.modules[command.__module__].EXAMPLES[command.__name__]
        _add(app, command.__name__, command, examples)
    app.add_typer(_brought(), name="import")
    app.add_typer(_taken(), name="export")
    app.add_typer(_kept(), name="keep")
    return app


def _brought() -> typer.Typer:
    brought = typer.Typer(rich_markup_mode=None, help="Bring in runs, and what other tools wrote.")
    shown = (
        machine.EXAMPLES["import run"],
        config.EXAMPLES["import config"],
        data.EXAMPLES["import data"],
        logs.EXAMPLES["import logs"],
    )
    every = "\n".join(cleandoc(examples) for examples in shown)
    brought.callback(epilog=_block(every))(_bring)
    _add(brought, "config", config.import_config, config.EXAMPLES["import config"])
    _add(brought, "data", data.import_data, data.EXAMPLES["import data"])
    _add(brought, "logs", logs.import_logs, logs.EXAMPLES["import logs"])
    _add(brought, "run", machine.import_run, machine.EXAMPLES["import run"])
    return brought


def _taken() -> typer.Typer:
    taken = typer.Typer(rich_markup_mode=None, help="Write what other tools read.")
    out = "\n".join(
        cleandoc(one) for one in (data.EXAMPLES["export data"], models_out.EXAMPLES["export model"])
    )
    taken.callback(epilog=_block(out))(_take)
    _add(taken, "data", data.export_data, data.EXAMPLES["export data"])
    _add(taken, "model", models_out.export_model, models_out.EXAMPLES["export model"])
    return taken


def _kept() -> typer.Typer:
    kept = typer.Typer(rich_markup_mode=None, help="Keep models, signed and proved to run.", cls=keep.Keeping)
    kept.callback(epilog=_block(keep.EXAMPLES["keep"]))(_keep)
    _add(kept, "model", keep.model, keep.EXAMPLES["keep model"])
    _add(kept, "key", keys.key, keys.EXAMPLES["keep key"])
    _add(kept, "list", keep.entries, keep.EXAMPLES["keep list"])
    _add(kept, "copy", verify.copy, verify.EXAMPLES["keep copy"])
    return kept


def _add(app: typer.Typer, name: str, command: Callable[..., int], examples: str) -> None:
    app.command(name, epilog=_block(examples))(command)


def _block(examples: str, after: str = "") -> str:
    # \b keeps the lines of a paragraph as they stand.
    lines = cleandoc(examples).splitlines()
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines), "", after])


def _bring() -> None:
    """Bring in runs, and plans, logs and feedback of other tools."""


def _take() -> None:
    """Write what other tools read: feedback as data, and kept models."""


def _keep() -> None:
    """Keep models in an archive. accord keep RUN|DIR is short for accord keep model RUN|DIR."""


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
