"""What an object has to be, agreed on by all places that have it: the archive and its copies.

An inventory counts when it fits a checksum that lies beside it or in another place. Each stands in several
places; where two that both fit say different things, nobody here decides which is right. For a family the
digests that were signed decide, where there are any.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from accord.errors import Unreadable
from accord.keep.ocfl import DECLARED, INVENTORY, SIDECAR, Inventory, object_key, read_inventory, sidecar

__all__ = ["Agreed", "Mark", "Shape", "agree", "begins", "born", "plain", "shape"]

_VERSION = re.compile(r"v([1-9][0-9]*)")


class Mark(NamedTuple):
    """An inventory as it stands on disk, and as it reads."""

    data: bytes
    inventory: Inventory


class Agreed(NamedTuple):
    """The inventories of versions 1, 2 … (None: lost everywhere), or ``against``: why nobody can tell.

    ``id`` is the object's, "" where no inventory that is left says it.
    """

    key: str
    marks: tuple[Mark | None, ...] = ()
    against: str = ""
    where: Path = Path()
    id: str = ""

    @property
    def head(self) -> int:
        """The number of the newest version that any place has."""
        return len(self.marks)

    @property
    def newest(self) -> Inventory | None:
        """What the object holds, if anybody knows."""
        last = self.marks[-1] if self.marks else None
        return last.inventory if last else None

    @property
    def digest(self) -> str:
        """SHA-512 of the newest inventory, or nothing."""
        last = self.marks[-1] if self.marks else None
        return hashlib.sha512(last.data).hexdigest() if last else ""

    def content(self, upto: int) -> dict[str, str]:
        """Content path to SHA-512, of the versions 1 to ``upto``."""
        newest = self.newest
        held = {path: digest for digest, path in newest.content.items()} if newest else {}
        return {path: held[path] for path in sorted(held) if born(path) <= upto}

    def expected(self, upto: int) -> dict[str, bytes]:
        """The small files with the versions 1 to ``upto``, by path; those lost everywhere are left out."""
        files: dict[str, bytes] = {DECLARED[0]: DECLARED[1]}
        for number, mark in enumerate(self.marks[:upto], start=1):
            for folder in (f"v{number}/", *([""] if number == upto else [])):
                if mark:
                    files |= {f"{folder}{INVENTORY}": mark.data, f"{folder}{SIDECAR}": sidecar(mark.data)}
        return files


class Shape(NamedTuple):
    """One object in one place: how many of its versions are there (0: none of it), which small files are not
    what was agreed on (what is wrong, by path below the folder), and what lies there that nobody named."""

    here: int
    wrong: Mapping[str, str]
    strays: tuple[str, ...]


def born(path: str) -> int:
    """The version that a content path belongs to.

    >>> born("v12/content/config.json")
    12
    """
    return int(path.partition("/")[0][1:])


def plain(path: Path) -> bytes | None:
    """What a plain file holds; None where there is none, or the disk does not give it out."""
    try:
        return path.read_bytes() if not path.is_symlink() and path.is_file() else None
    except OSError:
        return None


def begins(older: Inventory, newer: Inventory) -> bool:
    """Whether the newer inventory says of the versions that the older one has just what that one says."""
    content = {digest: path for digest, path in newer.content.items() if born(path) <= older.head}
    same = older.id == newer.id and older.versions == newer.versions[: older.head]
    # A digest that a later version looked up anew may stand beside those of the older one.
    return same and dict(older.content) == content and older.sha256.items() <= newer.sha256.items()


def agree(folders: Sequence[Path], signed: Mapping[int, Collection[str]], seen: int = 0) -> Agreed:
    """What the object in ``folders``, one for each place, has to be.

    ``signed``: SHA-512 of the inventory by version, as statements name it. ``seen``: the newest version that
    an earlier check found.
    """
    key = folders[0].name
    found, own = _found(folders)
    last = max([seen, *found, *(number for folder in folders for number in _versions(folder))], default=0)
    chosen: dict[int, Mark] = {}
    for number, candidates in sorted(found.items()):
        held = {data: at for data, at in candidates.items() if _as_signed(data, signed.get(number))}
        places = [at[0] for at in (held or candidates).values()]
        if not held:
            against = f"version {number}: no inventory that is left is the one that was signed"
            return Agreed(key, (), against, places[0] / INVENTORY, own)
        if len(held) > 1:
            both = " and ".join(map(str, places))
            against = f"version {number}: its inventories in {both} differ, and each fits its checksum"
            return Agreed(key, (), against, places[0] / INVENTORY, own)
        ((data, at),) = held.items()
        chosen[number] = Mark(data, read_inventory(data, at[0] / INVENTORY))
    if last not in chosen:
        lost = f"version {last}: no inventory that fits its checksum is left" if last else "nothing is left"
        return Agreed(key, (), lost, folders[0] / INVENTORY, own)
    newest = chosen[last].inventory
    marks = tuple(chosen.get(n) or _witnessed(newest, n, folders, signed.get(n)) for n in range(1, last + 1))
    for number, mark in enumerate(marks, start=1):
        if mark and not begins(mark.inventory, newest):
            against = f"the inventories of versions {number} and {last} tell different histories"
            return Agreed(key, (), against, folders[0] / f"v{number}" / INVENTORY, own)
    return Agreed(key, marks, id=own)


def shape(folder: Path, agreed: Agreed) -> Shape:
    """The object in ``folder`` beside what was agreed on. Content is not read."""
    here = _here(folder, agreed)
    if not here:
        return Shape(0, {}, ())
    files = agreed.expected(here)
    wrong = {path: found for path, data in files.items() if (found := _other(folder / path, data))}
    for number, mark in enumerate(agreed.marks[:here], start=1):
        if mark is None:
            wrong[f"v{number}/{INVENTORY}"] = "damaged, and no place has a sound one"
    content = agreed.content(here)
    named = {*files, *content, *wrong, *(f"v{number}/{SIDECAR}" for number in range(1, here + 1))}
    return Shape(here, wrong, tuple(sorted(set(_names(folder)) - named)))


def _found(folders: Sequence[Path]) -> tuple[dict[int, dict[bytes, list[Path]]], str]:
    """By version the different inventories that fit their checksums, and where each lies; the object's id."""
    found: dict[int, dict[bytes, list[Path]]] = {}
    own = ""
    read: dict[bytes, Inventory | None] = {}
    places = [(folder, where) for folder in folders for where in _with_inventory(folder)]
    # One place may have lost the inventory, and another its checksum: they vouch for each other.
    checksums = {plain(where / SIDECAR) for _, where in places}
    for folder, where in places:
        data = plain(where / INVENTORY)
        if data is None or sidecar(data) not in checksums:
            continue
        inventory = read[data] if data in read else read.setdefault(data, _read(data, where / INVENTORY))
        if inventory is None or object_key(inventory.id) != folder.name:
            continue
        if where == folder or where.name == f"v{inventory.head}":
            own = inventory.id
            found.setdefault(inventory.head, {}).setdefault(data, []).append(where)
    return found, own


def _with_inventory(folder: Path) -> list[Path]:
    return [folder, *(folder / f"v{number}" for number in _versions(folder))]


def _read(data: bytes, file: Path) -> Inventory | None:
    try:
        return read_inventory(data, file)
    except Unreadable:
        return None


def _versions(folder: Path) -> list[int]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    matches = [_VERSION.fullmatch(path.name) for path in folder.iterdir() if path.is_dir()]
    return sorted(int(match[1]) for match in matches if match)


def _as_signed(data: bytes, digests: Collection[str] | None) -> bool:
    return not digests or hashlib.sha512(data).hexdigest() in digests


def _witnessed(
    newest: Inventory, number: int, folders: Sequence[Path], digests: Collection[str] | None
) -> Mark | None:
    """An older inventory as the newest implies it, if the bytes that lie there or their checksum agree."""
    content = {digest: path for digest, path in newest.content.items() if born(path) <= number}
    sha256 = {path: digest for path, digest in newest.sha256.items() if born(path) <= number}
    inventory = Inventory(newest.id, newest.versions[:number], content, sha256)
    data = inventory.encode()
    if not _as_signed(data, digests):
        return None
    for folder in folders:
        where = folder / f"v{number}"
        if plain(where / INVENTORY) == data or plain(where / SIDECAR) == sidecar(data):
            return Mark(data, inventory)
    return None


def _here(folder: Path, agreed: Agreed) -> int:
    """The number of versions that this place claims to have; 0 where nothing of the object is there."""
    if folder.is_symlink() or not folder.is_dir() or not any(folder.iterdir()):
        return 0
    data = plain(folder / INVENTORY)
    named = [n for n, mark in enumerate(agreed.marks, start=1) if mark and mark.data == data]
    return min(agreed.head, max([*_versions(folder), *named], default=agreed.head))


def _other(path: Path, data: bytes) -> str:
    """How what lies there differs from ``data``, or nothing."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return "is no plain file"
    found = plain(path)
    if found == data:
        return ""
    return "damaged: it holds something else" if found is not None else "is missing or cannot be read"


def _names(folder: Path) -> Iterator[str]:
    """Every file below, and all else that is no folder, by path; nothing that a link points to."""
    for above, folders, files in os.walk(folder):
        inside = os.path.relpath(above, folder)
        for name in (*files, *(name for name in folders if (Path(above) / name).is_symlink())):
            yield name if inside == "." else f"{inside}/{name}"
