"""Repair: an object in a place becomes again what all places agree that it is.

Content comes from any place whose bytes have the right SHA-512; an inventory from its twin or from another
place. Where nothing fits, or two that differ both fit, nothing is touched, and a person is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from accord.errors import AccordError
from accord.keep.faults import Fault
from accord.keep.ocfl import INVENTORY, SIDECAR
from accord.keep.recovery import locked
from accord.keep.sound import Agreed, Shape, agree, shape
from accord.keep.steps import Steps
from accord.keep.transfer import Lacking, Place, Transfer
from accord.progress import Progress, Silent
from accord.stores.files import disk

__all__ = ["Repaired", "Signed", "alone", "mend", "undecided"]

Signed = Mapping[int, Collection[str]]
"""By version of an object the SHA-512 of its inventory that statements name."""

_PATIENCE = 60.0
_SILENT = Silent()


class Repaired(NamedTuple):
    """The files that are sound again, and what is not."""

    mended: tuple[Path, ...] = ()
    faults: tuple[Fault, ...] = ()


def mend(  # size: each is a fact of its own
    place: Place,
    places: Sequence[Place],
    key: str,
    damaged: Collection[str],
    signed: Signed,
    seen: int = 0,
    steps: Steps | None = None,
    progress: Progress = _SILENT,
) -> Repaired:
    """Repair one object in ``place``, whose content files ``damaged`` were found wanting; versions that it
    lacks and another of ``places`` has are brought. Retried after a kill, it does what is left."""
    with alone({place, *places[:1]}, key, progress):
        agreed = agree([one.object(key) for one in places], signed, seen)
        if agreed.against:
            return Repaired((), (undecided(agreed),))
        found = shape(place.object(key), agreed)
        if not damaged and not found.wrong and found.here == agreed.head:
            return Repaired()
        sources = [one.object(key) for one in places if one != place]
        with disk(place.folder):
            transfer = Transfer(steps or Steps(), place, agreed, sources, progress)
            try:
                return _mended(transfer, place.object(key), agreed, found, damaged)
            except (OSError, AccordError):
                with suppress(OSError):
                    transfer.close()
                raise


def undecided(agreed: Agreed) -> Fault:
    """What a person has to decide, who is told that nothing was touched."""
    asked = "nothing is repaired here: look at what is left of it, and move away what is false"
    return Fault("contradicted", str(agreed.where), f"{agreed.against}; {asked}")


@contextmanager
def alone(places: Collection[Place], key: str, progress: Progress) -> Generator[None]:
    """No other process writes to this object in these places."""
    with ExitStack() as stack:
        for place in sorted(places):
            locks = place.folder / "work" / "locks"
            with disk(locks):
                stack.enter_context(locked(locks, key, _PATIENCE, progress))
        yield


def _mended(
    transfer: Transfer, folder: Path, agreed: Agreed, found: Shape, damaged: Collection[str]
) -> Repaired:
    mended: list[Path] = []
    faults: list[Fault] = []

    def tried(path: str, act: partial[None]) -> None:
        try:
            act()
        except Lacking as error:
            says = "damaged, and no place has it whole: nothing was touched"
            faults.append(Fault("contradicted", str(folder / error.path), says))
        else:
            mended.append(folder / path)

    content, small = agreed.content(found.here), _small(agreed, found)
    for path in sorted(damaged):
        tried(path, partial(transfer.content, path, content[path]))
    for path, data in small.items():
        tried(path, partial(transfer.small, path, data))
    for path in sorted(found.wrong.keys() - small.keys()):
        faults.append(Fault("contradicted", str(folder / path), found.wrong[path]))
    if not found.here:
        tried("", partial(transfer.whole))
    for number in range(found.here + 1, agreed.head + 1) if found.here else ():
        if not faults:  # none goes in before the one that it follows
            tried(f"v{number}", partial(transfer.version, number))
    transfer.close()
    return Repaired(tuple(mended), tuple(faults))


def _small(agreed: Agreed, found: Shape) -> dict[str, bytes]:
    """The small files to write again, the object's own inventory and then its sidecar last: until then what
    its newest version has vouches for it."""
    files = agreed.expected(found.here)
    last = (INVENTORY, SIDECAR)
    order = sorted(found.wrong.keys() & files.keys(), key=lambda path: (path in last, path))
    return {path: files[path] for path in order}
