"""``accord dialogue``: what a model says to a divergence, and what a person answers to what is proposed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.place import look_here
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen
from accord.errors import PlanError

if TYPE_CHECKING:
    from accord.steward.resolutions import Answered

__all__ = ["EXAMPLES", "dialogue"]

EXAMPLES = {
    "dialogue": """
      accord dialogue ./model --values mine.toml --principle brevity --slice open
      accord dialogue ./model --values mine.toml --principle brevity --slice open --prompts 40 --json
      accord dialogue ./model --values mine.toml --principle brevity --slice open \\
        --accept 3f9c1a --by "A. Person" --reason "it says what we meant"
    """,
}


def dialogue(  # size: a parameter is an option here
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A folder, hub id, known name or server's model.")
    ],
    values: Annotated[
        str, typer.Option("--values", metavar="NAME|FILE", help="What it is to be aligned to.")
    ],
    principle: Annotated[str, typer.Option("--principle", metavar="ID", help="The divergent principle.")],
    name: Annotated[str, typer.Option("--slice", metavar="NAME", help="The slice in which it is.")],
    accept: Annotated[
        str | None, typer.Option("--accept", metavar="PROPOSAL", help="A person accepts this proposal.")
    ] = None,
    decline: Annotated[
        str | None, typer.Option("--decline", metavar="PROPOSAL", help="A person refuses this proposal.")
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who answers a proposal.")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
    prompts: Annotated[
        int, typer.Option("--prompts", metavar="N", min=8, help="At most so many of the training half.")
    ] = 24,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=1, help="Own answers to each prompt.")
    ] = 5,
    questions: Annotated[
        str | None,
        typer.Option("--questions", metavar="FILE", help="The examination of a model that judges."),
    ] = None,
    people: Annotated[
        str | None,
        typer.Option("--people", metavar="DB", help="The labelling database in which people judge."),
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where dialogues are kept.")] = Path(
        "dialogues"
    ),
    portraits: Annotated[
        Path, typer.Option("--portraits", metavar="DIR", help="Where portraits are kept.")
    ] = Path("portraits"),
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Talk a divergence over with the model before anything is trained against it.

    It is shown the principle and answers of its own that break it, gives reasons, and says what it will do;
    where that goes with what it does, ways out are offered. No evidence is an outcome. An edit of the values
    is made only where a person accepts it, and as a new file.
    """
    from accord.steward.conversed import Extent
    from accord.steward.dialogue import converse
    from accord.steward.judges import Judges
    from accord.steward.resolutions import accept as accepted
    from accord.steward.resolutions import decline as declined
    from accord.steward.resolutions import proposed
    from accord.values import read_values

    look_here()
    screen = Screen(json, quiet)
    if accept is not None and decline is not None:
        raise typer.BadParameter("--accept or --decline, not both")
    if (by or reason) and accept is None and decline is None:
        raise typer.BadParameter("--by and --reason answer a proposal: --accept or --decline names it")
    answered = accept if accept is not None else decline
    if answered is not None:
        about, one = proposed(folder, answered)
        if (about, one.principle, one.slice) != (model, principle, name):
            of = f"one about {about}: {one.principle}, {one.slice}"
            raise PlanError(
                "--decline" if accept is None else "--accept", answered, f"a proposal of this; it is {of}"
            )
        if read_values(values).digest != one.values:
            raise PlanError("--values", values, "the values as they were when this was proposed")
        done = (
            declined(folder, answered, by, reason)
            if accept is None
            else accepted(folder, answered, by, reason, portraits)
        )
        return _told(done, screen)
    with screen.working() as progress:
        found = converse(
            model,
            values,
            (principle, name),
            folder=folder,
            extent=Extent(prompts=prompts, samples=samples),
            judges=Judges(questions, people),
            portraits=portraits,
            progress=progress,
        )
    width = terminal()
    screen.give(found.json(), list(found.lines(lambda text, head: broken(text, width, head))))
    return Exit.DONE


def _told(done: Answered, screen: Screen) -> int:
    said = done.acceptance
    lines = [
        f"{said.proposal[:12]}: {'accepted' if said.accepts else 'declined'} by {said.by}: {said.reason}"
    ]
    if done.document is not None:
        lines += ["", *said.diff.splitlines(), "", f"the new values: {done.document}"]
        lines += ["the old document stands as it is; a portrait under the new one comes next"]
    body = {"kind": said.kind, "id": said.id, **said.body()}
    document = None if done.document is None else str(done.document)
    screen.give({"acceptance": body, "document": document}, lines)
    return Exit.DONE
