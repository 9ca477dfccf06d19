"""``accord judge``: a plan's overseers over a file of answers, or behind a port for other trainers."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from accord.cli.codes import Exit
from accord.cli.place import look_here, written_plan
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen
from accord.errors import Unreadable

if TYPE_CHECKING:
    from accord.judging import Judges
    from accord.progress import Progress
    from accord.records import JSON

__all__ = ["EXAMPLES", "Standing", "judge"]

EXAMPLES = {
    "judge": """
      accord judge plan.toml answers.jsonl
      accord judge plan.toml pairs.jsonl --stage rm --to judged.jsonl
      accord judge plan.toml answers.jsonl --json | jq .score
      accord judge plan.toml --listen 127.0.0.1:8300
    """,
}


class Standing(NamedTuple):
    """Where it listens for other trainers, what they call it, and whether a program reads what is said."""

    listen: str
    public_url: str | None
    json: bool


_AT_ONCE = 64  # rows between two writes: what is judged is on disk before more is asked


def judge(  # size: a parameter is an option here
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="Whose asks and overseers.")],
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Prompts with answers, in any of TRL's types.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="NAME", help="Which stage asks, where several do.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change the plan; may be repeated."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Where the verdicts go [default: FILE.judged.jsonl]."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where verdicts are kept, so none is asked twice.")
    ] = Path("judged"),
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Answer other trainers over HTTP instead."),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option("--public-url", metavar="URL", help="How trainers on other machines reach it (https)."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Have a plan's overseers judge answers that stand in a file, or that another trainer sends.

    Every row comes back with the columns of the stage's asks; where an overseer abstained the column is null
    and the reason stands beside it. Interrupted, the same command goes on and asks nothing twice.
    """
    if (file is None) == (listen is None):
        raise typer.BadParameter("name a FILE of answers, or --listen HOST:PORT for other trainers")
    from accord.judging import Judges, stage_of

    look_here()
    screen = Screen(json, quiet)
    tree, said = written_plan(plan)
    tree = tree.set(settings or [])
    with screen.working() as progress:
        for line in said:
            progress.say(line)
        with Judges.open(tree, stage_of(tree, stage), folder, progress) as judges:
            if listen is not None:
                from accord.cli.listening import serve

                return serve(judges, Standing(listen, public_url, json), progress)
            assert file is not None, "one of the two was named"
            target = to or Path(f"{Path(file).name}.judged.jsonl")
            lines = _judged(judges, file, target, progress)
            asked, reused = judges.asked
    unjudged = sum(1 for line in lines if line["missing"])
    document: dict[str, JSON] = {"file": str(target), "asked": asked, "reused": reused, "rows": [*lines]}
    screen.give(
        document,
        [
            f"{len(lines):,} rows of verdicts in {target}, {unjudged:,} of them without a number",
            f"{asked:,} questions asked; {reused:,} had been answered before",
        ],
    )
    return Exit.DONE


def _judged(judges: Judges, file: str, target: Path, progress: Progress) -> list[dict[str, JSON]]:
    """What the overseers say of each row, in the order of the file, and written to ``target``."""
    from accord.stores.files import write_aside
    from accord.stores.foreign.prompts import read_rows

    rows = read_rows(file)
    if not all(row.answers for row in rows):
        expected = 'rows with answers: "completion", "chosen" and "rejected", or "completions"'
        raise Unreadable(file, expected, "prompts alone; answers to them are what is judged")
    progress.begin(f"judging {len(rows):,} rows", float(len(rows)))
    lines: list[dict[str, JSON]] = []
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        for one in judges.judge([(row.prompt, row.answers) for row in some]):
            row = some[one.group]
            told = one.json() | {"group": start + one.group}
            texts = [row.answers[place] for place in one.answers]
            lines.append({"prompt": row.prompt.text, "completions": [*texts], **told})
        progress.advance(len(some))
    progress.end()
    write_aside(target, "".join(jsons.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return lines
