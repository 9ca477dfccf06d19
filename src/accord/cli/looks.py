"""``accord report`` and ``audit``: reading what a run or a model is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.place import run_folder
from accord.cli.runs import RUNS, Json, Quiet, Runs
from accord.cli.show import Screen, table

__all__ = ["EXAMPLES", "audit", "report"]

EXAMPLES = {
    "report": """
      accord report brevity-1 --open
      accord report runs/brevity-1 --out brevity.html
      accord report brevity-1 --json > figures.json
    """,
    "audit": """
      accord audit runs/brevity-1/amplify/model --base smollm2-135m-instruct
      accord audit model-a model-b --base ./base --prompts questions.jsonl --answers 8
      accord audit ./model --json > audit.json
    """,
}


def report(
    which: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name in --runs.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it [default: in the run].")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    runs: Runs = RUNS,
    json: Json = False,
) -> int:
    """Write the report of a run as one HTML file.

    It needs no other file and no network; an unfinished run has one too.
    """
    from accord.reports import gather, write_report

    folder = run_folder(which, runs)
    screen = Screen(json)
    if json and not out and not show:
        screen.give(gather(folder).json(), [])
        return Exit.DONE
    written = write_report(folder, out)
    screen.give(gather(folder).json() if json else None, [str(written)])
    if show:
        import webbrowser

        webbrowser.open(written.absolute().as_uri())
    return Exit.DONE


def audit(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Folders, hub ids or known names.")],
    base: Annotated[
        str | None, typer.Option("--base", metavar="MODEL", help="What to compare with; else levels only.")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="FILE", help="Prompts in JSONL [default: shipped ones]."),
    ] = None,
    answers: Annotated[int, typer.Option("--answers", metavar="N", min=1, help="Answers per prompt.")] = 4,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure models against a base.

    One table, from the indicators that watch training and the same draws for every model.
    """
    from accord.auditing import audit as measure

    screen = Screen(json, quiet)
    with screen.working() as progress:
        found = measure(models, base, prompts=prompts, answers=answers, progress=progress)
    screen.give(found.json(), table(found.rows()))
    return Exit.DONE
