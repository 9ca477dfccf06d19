"""What ``accord export model`` says once a model and its statements were found: the export, line by line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from accord.cli.codes import Exit

if TYPE_CHECKING:
    from accord.cli.show import Screen
    from accord.keep.cards import Hand
    from accord.keep.outgoing import About, Exported, Source
    from accord.progress import Progress
    from accord.records import JSON

__all__ = ["give_model"]


def give_model(
    source: Callable[[Progress], Source], to: Path, about: About, hand: Hand | None, screen: Screen
) -> int:
    """Write a model to the new folder ``to`` with its card and, under a key, ``model.sig``; say what it is.

    ``source`` is ``partial(copied, FOLDER)`` for a folder that was extracted from an archive.
    """
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
    from accord.keep.sifting import SIGNATURE, shown
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
