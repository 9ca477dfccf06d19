"""``accord export model``: a kept model out of its archive, with its card and a signature."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen
from accord.cli.signing import ARCHIVE, ArchiveFolder, By, Key, opened_archive, own_key, signer_of

if TYPE_CHECKING:
    from accord.keep.cards import Hand
    from accord.keep.outgoing import About, Exported, Source
    from accord.progress import Progress
    from accord.records import JSON

__all__ = ["EXAMPLES", "export_model", "give_model"]

EXAMPLES = {
    "export model": """
      accord export model brevity-1/amplify ./out
      accord export model 3f9c1a ./out --by "A. Person"
      accord export model 3f9c1a ./out --unsigned --archive /srv/archive
    """,
}

Entry = Annotated[
    str, typer.Argument(metavar="ENTRY", help="The entry, the first digits of its id, or its name.")
]


def export_model(  # size: a parameter is an option here
    entry: Entry,
    to: Annotated[Path, typer.Argument(metavar="TO", help="A new folder.")],
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Without model.sig, under nobody's key.")
    ] = False,
    by: By = None,
    key: Key = None,
    archive: ArchiveFolder = ARCHIVE,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write a kept model to a new folder: its files as they were taken in, a model card, and model.sig.

    A hard constraint goes out only with a release test that was passed; a sealed model not at all. Else
    exit 2.
    """
    import time

    from accord.keep.cards import Hand
    from accord.keep.entries import found_entry
    from accord.keep.keeping import held_entry
    from accord.keep.predicates import Bytes
    from accord.keep.retiring import check_open
    from accord.keep.statements import entitled
    from accord.progress import Silent

    opened = opened_archive(archive, Silent())
    held = held_entry(opened, found_entry(opened, entry))
    check_open(held, time.time)
    hand = None
    # Nobody has to sign an export; without a key the card says that nothing binds it to the files.
    if not unsigned and (by or key or own_key(opened)):
        from accord.keep.entries import public_of

        signer = signer_of(opened, by, key)
        hand = Hand(signer, entitled(signer, public_of(opened)[1], Bytes.of(held.model), time.time()))
    home = held.home

    def source(progress: Progress) -> Source:
        return partial(opened_archive(archive, progress).extract, home.family, version=home.version)

    return give_model(source, to, held.about, hand, Screen(json, quiet))


def give_model(
    source: Callable[[Progress], Source], to: Path, about: About, hand: Hand | None, screen: Screen
) -> int:
    """Write a model to the new folder ``to`` with its card and, under a key, ``model.sig``; and say it."""
    from accord.keep.cards import ungated
    from accord.keep.outgoing import export_model

    with screen.working() as progress:
        done = export_model(source(progress), to, about, hand)
    stamp = ungated(about.chain)
    document: dict[str, JSON] = {
        "to": str(done.folder),
        "name": about.name,
        "files": len(done.manifest.files),
        "bytes": done.manifest.size,
        "model": f"sha256:{done.manifest.oms_root}",
        "ungated": stamp or None,
        "signed_by": hand.role.person if hand else None,
        "role": hand.role.role if hand else None,
        "key": hand.signer.id if hand else None,
        "earlier_card": done.upstream or None,
        "faults": [str(fault) for fault in about.chain.faults],
    }
    screen.give(document, _lines(done, about, stamp))
    return Exit.DONE


def _lines(done: Exported, about: About, stamp: str) -> list[str]:
    from accord.keep.outgoing import CARD
    from accord.keep.sifting import SIGNATURE
    from accord.keep.untrusted import shown
    from accord.reports.words import counted

    lines = [f"UNGATED: {stamp}"] if stamp else []
    size = f"{counted(len(done.manifest.files), 'file')}, {done.manifest.size:,} bytes"
    lines += [f"{shown(about.name)}: {size}, in {done.folder}", f"{CARD}: the card"]
    if done.upstream:
        lines.append(f"{done.upstream}: the card that the model came with")
    if done.hand is None:
        lines.append(f"no {SIGNATURE}: exported without a key, so nothing binds the card to the files")
    else:
        who = f"{done.hand.role.person} ({done.hand.role.role}), key {done.hand.signer.id}"
        check = f"model_signing verify key {done.folder} --signature {done.folder / SIGNATURE}"
        lines += [f"{SIGNATURE}: {who}", f"  check it: {check} --public_key KEY.pem"]
    return [*lines, *(str(fault) for fault in about.chain.faults)]
