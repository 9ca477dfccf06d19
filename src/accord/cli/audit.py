"""``accord audit``: what training changed in models, on the same items as their base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from accord.cli.codes import Exit
from accord.cli.place import look_here
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen, table

if TYPE_CHECKING:
    from accord.auditing.programme import Depth

__all__ = ["EXAMPLES", "audit"]

EXAMPLES = {
    "audit": """
      accord audit runs/brevity-1/amplify/model --base smollm2-135m-instruct
      accord audit model-a model-b --base ./base --depth full --slices
      accord audit ./model --base ./base --panel mine.jsonl --scorer exact
      accord audit 'openai:https://host/v1?key=MY_KEY#model' --price 0.5:1.5 --max-tokens 200000
      accord audit ./model --base ./base --resume --json > audit.json
    """,
}


def audit(  # size: a parameter is an option here
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Folders, hub ids, known names or servers' models."),
    ],
    base: Annotated[
        str | None, typer.Option("--base", metavar="MODEL", help="What to compare with; else levels only.")
    ] = None,
    panels: Annotated[
        list[str] | None,
        typer.Option(
            "--panel", metavar="NAME|FILE", help="Only these; may be repeated. NAME=FILE reads FILE as NAME."
        ),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option("--scorer", metavar="HOW", help="Of one's own files: exact, choice or module:function."),
    ] = None,
    depth: Annotated[
        str, typer.Option("--depth", metavar="DEPTH", help="quick, standard or full.")
    ] = "standard",
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts", metavar="FILE", help="Prompts to answer, in JSONL [default: shipped ones]."
        ),
    ] = None,
    answers: Annotated[int, typer.Option("--answers", metavar="N", min=1, help="Answers per prompt.")] = 4,
    audits: Annotated[
        int, typer.Option("--audits", metavar="N", min=1, help="Audits a guard would have, for what it sees.")
    ] = 20,
    price: Annotated[
        str | None,
        typer.Option("--price", metavar="MONEY", help="Per million tokens; read and written ones: 0.5:1.5."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", metavar="N", min=1, help="Stop before more are asked.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with this audit; nothing is asked twice.")
    ] = False,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where audits are kept.")] = Path(
        "audits"
    ),
    slices: Annotated[bool, typer.Option("--slices", help="A row for each slice of a panel too.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure models against a base: one table, all models on the same items.

    What it will take is told before anything is asked. A change stands beside its interval, the noise of the
    base itself and the smallest change a guard would see. Exit 5: --max-tokens came first.
    """
    from accord.auditing import audit as measure

    look_here()
    screen = Screen(json, quiet)
    with screen.working() as progress:
        found = measure(
            models,
            base,
            panels=panels or (),
            scorer=scorer,
            depth=cast("Depth", depth),
            prompts=prompts,
            answers=answers,
            audits=audits,
            price=price,
            max_tokens=max_tokens,
            folder=folder,
            resume=resume,
            progress=progress,
        )
    screen.give({**found.json(), "account": found.account()}, found.lines(table, slices))
    return Exit.DONE if found.finished else Exit.PAUSED
