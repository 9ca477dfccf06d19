"""``accord revive``: a kept model is loaded again from its archive, and says again what it said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.keep import Prompts, Tokens, drill_lines
from accord.cli.models_out import Entry
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen
from accord.cli.signing import ARCHIVE, ArchiveFolder, By, Key, opened_archive, signer_of
from accord.errors import Refused

if TYPE_CHECKING:
    from accord.keep.entries import Held
    from accord.keep.revival import Drill
    from accord.records import JSON

__all__ = ["EXAMPLES", "revive"]

EXAMPLES = {
    "revive": """
      accord revive brevity-1/amplify --drill
      accord revive 3f9c1a --drill --by "A. Person" --archive /srv/archive
    """,
}


def revive(  # size: a parameter is an option here
    entry: Entry,
    drill: Annotated[
        bool, typer.Option("--drill", help="Load it afresh and compare what it says with what it said.")
    ] = False,
    prompts: Prompts = 64,
    tokens: Tokens = 64,
    by: By = None,
    key: Key = None,
    archive: ArchiveFolder = ARCHIVE,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Hold the drill of a kept model: out of the archive, every digest checked, loaded in a fresh process.

    It has no network and runs no code of the model's own. What it came to is signed: revived, drifted or
    failed. Exit 3: drifted or failed; 4: PyTorch is not installed here.
    """
    from accord.keep.copies import Copies
    from accord.keep.entries import found_entry
    from accord.keep.keeping import Terms, drilled, held_entry
    from accord.keep.statements import DEMONSTRATION
    from accord.keep.untrusted import shown
    from accord.reviving import reference_prompts, replays

    screen = Screen(json, quiet)
    with screen.working() as progress:
        opened = opened_archive(archive, progress)
        held = held_entry(opened, found_entry(opened, entry))
        if not drill:
            _refuse_to_open(held)
        loads = replays()
        if loads is None:
            done, faults = None, ()
        else:
            copies = Copies.read(opened.folder / "keys" / "copies.toml")
            terms = Terms(signer_of(opened, by, key), time.time, loads, reference_prompts(prompts), tokens)
            done, held = drilled(opened, held, terms, progress)
            faults = copies.write(opened, held.entry, progress)
    lines = [f"{shown(held.name)}: {held.entry}", *drill_lines(held, done), *map(shown, map(str, faults))]
    if held.chain.demonstration:
        lines.append(f"DEMONSTRATION: {DEMONSTRATION}")
    if done is None:
        lines.append("not drilled now: PyTorch is not installed here")
    screen.give({**_document(held, done), "copy_faults": [str(one) for one in faults]}, lines)
    if done is None:
        return Exit.UNCHECKED
    return Exit.DONE if done.verdict == "revived" else Exit.BAD


def _refuse_to_open(held: Held) -> None:
    """Only what is sealed is opened again, and that is a step of its retirement."""
    if held.state == "sealed":
        raise Refused(
            f"{held.name} is sealed; opening it is a step of its retirement, with who, why, scope and end\n"
            f"  accord retire {held.entry}\n  a drill opens nothing: accord revive {held.entry} --drill"
        )
    raise Refused(
        f"{held.name} is {held.state}, not sealed: there is nothing to open\n"
        f"  to see whether it still runs: accord revive {held.entry} --drill"
    )


def _document(held: Held, done: Drill | None) -> dict[str, JSON]:
    drilled = held.drilled
    return {
        "entry": held.entry,
        "name": held.name,
        "verdict": done.verdict if done else None,
        "says": list(done.says) if done else [],
        "same_environment": done.same if done else None,
        "largest": done.largest if done else None,
        "mean": done.mean if done else None,
        "drill": drilled.outcome.result if drilled else "pending",
        "demonstration": held.chain.demonstration,
    }
