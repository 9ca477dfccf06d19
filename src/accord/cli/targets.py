"""``accord targets``: what a model already holds of what it is to be aligned to."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen, table

__all__ = ["EXAMPLES", "targets"]

EXAMPLES = {
    "targets": """
      accord targets smollm2-135m-instruct --values minimal
      accord targets ./model --values mine.toml --examples
      accord targets ./model --values hhh --depth standard
      accord targets ./model --values hhh --people labels.db
      accord targets ./model --values mine.toml --samples 4 --prompts 8 --json > targets.json
    """,
}


def targets(  # size: a parameter is an option here
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A folder, hub id, known name or server's model.")
    ],
    values: Annotated[
        str, typer.Option("--values", metavar="NAME|FILE", help="What it is to be aligned to.")
    ],
    samples: Annotated[
        int,
        typer.Option("--samples", metavar="N", min=1, help="Own answers to each prompt; 16 for the best."),
    ] = 16,
    told: Annotated[
        int, typer.Option("--told", metavar="N", min=1, help="Answers with the principle stated.")
    ] = 4,
    prompts: Annotated[
        int | None, typer.Option("--prompts", metavar="N", min=2, help="At most so many of each slice.")
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="T", min=0.01, help="At which answers are drawn.")
    ] = 1.0,
    depth: Annotated[
        str,
        typer.Option("--depth", metavar="DEPTH", help="values; or with an audit: quick, standard, full."),
    ] = "values",
    questions: Annotated[
        str | None,
        typer.Option("--questions", metavar="FILE", help="The examination of models that judge."),
    ] = None,
    people: Annotated[
        str | None,
        typer.Option("--people", metavar="DB", help="The labelling database in which people judge."),
    ] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Two answers for each line.")] = False,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where portraits are kept.")] = Path(
        "portraits"
    ),
    audits: Annotated[Path, typer.Option("--audits", metavar="DIR", help="Where audits are kept.")] = Path(
        "audits"
    ),
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Sort principles into held, within reach, divergent and no evidence, slice by slice.

    The model answers the sealed half of the values' prompts: by itself, and told the principle. What it takes
    is told before anything is asked, and nothing is asked twice: the same command goes on where it stopped.
    """
    from accord.steward.judges import Judges
    from accord.steward.portrait import Extent, portrait
    from accord.steward.targets import targets as sorted_by_class
    from accord.values import read_values

    here = str(Path.cwd())
    if here not in sys.path:  # where module:function may lie; what is installed comes first
        sys.path.append(here)
    screen = Screen(json, quiet)
    options = {
        "questions": questions,
        "people": people,
        "temperature": temperature if temperature != 1 else None,
        "folder": folder if folder != Path("portraits") else None,
    }
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    command = join(["accord", "targets", model, "--values", values, *given])
    read = read_values(values)
    with screen.working() as progress:
        found = portrait(
            model,
            read,
            extent=Extent(samples, told, prompts, temperature=temperature, depth=depth, command=command),
            judges=Judges(questions, people),
            audits=audits,
            folder=folder,
            progress=progress,
        )
    table_of = sorted_by_class(found, read)
    width = terminal()
    lines = table_of.lines(table, lambda text, head: broken(text, width, head), examples)
    screen.give(table_of.json(), list(lines))
    return Exit.DONE
