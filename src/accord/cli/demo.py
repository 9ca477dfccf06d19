"""``accord demo``: a small real model on the whole path, from its portrait into the archive."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from accord.cli import keep as keeping
from accord.cli.codes import Exit
from accord.cli.place import Place
from accord.cli.runs import RUNS, Json, Quiet, Runs
from accord.cli.show import Screen
from accord.cli.stewarding import ending, exit_of, walked

if TYPE_CHECKING:
    from accord.keep.keeping import Done
    from accord.progress import Progress
    from accord.records import JSON

__all__ = ["EXAMPLES", "demo"]

EXAMPLES = {
    "demo": """
      accord demo
      accord demo --fresh --runs ./elsewhere
      accord demo --json > outcome.json
    """,
}
_PROMPTS, _TOKENS = 16, 32  # of the reference set that its drill repeats


def demo(
    context: typer.Context,
    runs: Runs = RUNS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Align a small model the whole way, watch it, keep what came of it, and write the report.

    SmolLM2-135M is asked what it holds of three rules. What is within its reach is amplified, under the
    guard; about what it contradicts there is a dialogue, and then a constitution; nothing is pushed. The
    result goes into an archive beside the runs, signed with a demonstration key, and is loaded from there.
    """
    from accord.demo import begun

    screen = Screen(json, quiet)
    with screen.working() as progress:
        walk = begun(runs=runs, fresh=fresh, progress=progress)
    cast(Place, context.obj).begins_in(runs, walk.chronicle.name)
    found, report = walked(walk, screen)
    document: dict[str, JSON] = {**found.json(), "report": str(report), "kept": None}
    lines = ["", *ending(found, report)]
    if found.action == "done" and Path(found.model).is_dir():
        archive = runs / "archive"
        with screen.working() as progress:
            done, notes = _kept(found.folder, archive, progress)
        document["kept"] = keeping.document(done, notes)
        look = f"accord serve --store {runs / 'people.db'} --archive {archive}"
        lines += ["", *keeping.lines(done, notes), f"look at what is kept: {look}"]
        if done.held.drilled is not None and done.held.drilled.outcome.result != "revived":
            screen.give(document, lines)
            return Exit.BAD
    elif found.action == "done":
        lines += ["", "nothing is kept: the model is the base, as it was"]
    screen.give(document, lines)
    return exit_of(found)


def _kept(folder: Path, archive: Path, progress: Progress) -> tuple[Done, list[str]]:
    """The result in the archive, and what there is to say of it."""
    from accord.demo import signer
    from accord.keep.archive import Archive
    from accord.keep.keeping import Terms, keep
    from accord.origins import Places
    from accord.reviving import reference_prompts, replays

    terms = Terms(signer(archive), time.time, replays(), reference_prompts(_PROMPTS), _TOKENS)
    opened = Archive.open(archive, time.time, progress)
    incoming, told = keeping.taken(opened, (folder, "", None), folder.parent, Places(), progress)
    return keep(opened, incoming, told, terms, progress), [*incoming.notes, *told.notes]
