"""``accord verify``: whether all that is kept is what it was; ``accord keep copy``: one more place for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen

if TYPE_CHECKING:
    from accord.keep.verifying import Verified
    from accord.records import JSON

__all__ = ["EXAMPLES", "copy", "verify"]

EXAMPLES = {
    "verify": """
      accord verify
      accord verify --all --pace 50
      accord verify 9a4ea450
      accord verify --all --repair --archive /srv/archive
    """,
    "keep copy": """
      accord keep copy /media/second/archive
      accord keep copy /media/third/archive --archive /srv/archive
    """,
}

_MB = 1e6

Where = Annotated[Path, typer.Option("--archive", metavar="DIR", help="The archive.")]


def verify(  # size: a parameter is an option here
    entry: Annotated[
        str, typer.Argument(metavar="ENTRY", help="One entry, by its id or how that begins.")
    ] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Read every byte again, not only what is due within 90 days.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is damaged from a place that has it whole.")
    ] = False,
    pace: Annotated[
        float | None, typer.Option("--pace", metavar="MB/s", min=0.001, help="Read no faster.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", metavar="N", min=1, help="Files read at a time.")] = 2,
    archive: Where = Path("archive"),
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check what is kept: bytes, signatures, the order of statements, copies, and what was taken away.

    Structure and signatures are always checked; bytes are read again where they were not for 90 days, with
    --all everywhere. What was killed goes on where it stopped. --repair mends, in the archive and its copies,
    what another of them has whole, and touches nothing that it cannot decide; what was damaged lies in
    work/quarantine then. Exit 3: damaged or contradicted. Exit 4: cannot be checked (a key or a copy is
    missing).
    """
    from accord.keep.verifying import Wanted
    from accord.keep.verifying import verify as check

    screen = Screen(json, quiet)
    wanted = Wanted(entry, every, repair, pace * _MB if pace is not None else None, threads)
    with screen.working() as progress:
        found = check(archive, wanted, time.time, progress)
    screen.give(_document(archive, found), _lines(found, bool(entry)))
    return Exit(found.code)


def copy(
    to: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, best on another disk.")],
    archive: Where = Path("archive"),
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Make one more copy of an archive, which from then on every finished version is written to.

    All that is kept is written there and read again. Killed, the same command goes on.
    """
    from accord.keep.archive import Archive
    from accord.keep.copies import Copies

    screen = Screen(json, quiet)
    with screen.working() as progress:
        opened = Archive.open(archive, time.time, progress)
        before = Copies.read(archive / "keys" / "copies.toml")
        made = before.enlist(opened, to, time.time, progress)
    places = [str(archive), *(place.name for place in made.listed)]
    document: dict[str, JSON] = {"copy": str(to), "places": [*places], "asked": made.asked}
    screen.give(document, [f"{to}: {len(places)} copies now, {made.asked} asked for"])
    return Exit.DONE


def _document(archive: Path, found: Verified) -> dict[str, JSON]:
    from accord.keep.untrusted import shown  # a name that is no UTF-8 has no place in JSON

    return {
        "archive": str(archive),
        "faults": [
            {"kind": one.kind, "where": shown(one.where), "says": shown(one.says)} for one in found.faults
        ],
        "repaired": [str(path) for path in found.mended],
        "notes": [*found.notes],
        "entries": {
            urn: {"demonstration": chain.demonstration, "statements": [one.says for one in chain.statements]}
            for urn, chain in found.chains.items()
        },
        "objects": found.objects,
        "files_read": found.files,
        "bytes_read": found.size,
        "files_not_read": found.left,
        "resumed": found.resumed,
        "copies": found.copies,
        "asked": found.asked,
        "exit": found.code,
    }


def _lines(found: Verified, detail: bool) -> list[str]:
    from accord.keep.statements import DEMONSTRATION, EVIDENCE_RULE
    from accord.keep.untrusted import shown
    from accord.reports.words import counted

    lines: list[str] = []
    for urn, chain in found.chains.items():
        if detail:
            lines += [f"{urn}:", *(f"  {one.says}" for one in chain.statements), f"  {EVIDENCE_RULE[0]}"]
        elif chain.demonstration:
            lines.append(f"{urn}: {DEMONSTRATION}")
    lines += [str(fault) for fault in found.faults]
    lines += [f"repaired: {path}" for path in found.mended]
    lines += found.notes
    read = f"{counted(found.files, 'file')}, {found.size / _MB:,.1f} MB, read again"
    gone_on = "; went on where the last check stopped" if found.resumed else ""
    lines.append(f"{counted(found.objects, 'object')} checked; {read}{gone_on}")
    if found.left:
        why = "read or written within 90 days; --all reads every byte"
        lines.append(f"{counted(found.left, 'file')} not read again now: {why}")
    damaged = sum(fault.kind == "contradicted" for fault in found.faults)
    unknown = len(found.faults) - damaged
    if damaged:
        lines.append(f"{counted(damaged, 'fault')}: damaged or contradicted")
    if unknown:
        lines.append(f"{counted(unknown, 'fault')}: cannot be checked")
    lines = lines if found.faults else [*lines, "no fault found"]
    return [shown(line) for line in lines]  # names of files and people are what others wrote
