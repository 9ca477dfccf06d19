"""Copies: whole archives elsewhere, which every finished version is written to. ``keys/copies.toml``:

    asked = 3                       # how many there should be, the archive itself among them

    [[copy]]
    path = "/media/second/archive"    # or from the archive's folder on

One process writes all of them, so one fault of that process reaches all; ``accord verify`` says so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self, cast

import tomli_w

from accord.errors import Refused, Unreadable
from accord.keep.archive import Archive
from accord.keep.faults import Fault
from accord.keep.fixity import Pace, Reader
from accord.keep.ocfl import object_key
from accord.keep.recovery import locked
from accord.keep.repair import mend
from accord.keep.sound import agree, born, plain, shape
from accord.keep.steps import Steps
from accord.keep.transfer import Place
from accord.progress import Progress, Silent
from accord.stores.files import disk, write_aside

__all__ = ["ASKED", "Copies"]

ASKED = 3
"""Level 2 of the NDSA; LOCKSS advises four."""

_SILENT = Silent()
_FILE, _MAKING = "copies.toml", "copy.unfinished"


class Copies(NamedTuple):
    """Where copies of an archive lie, and how many there should be with it."""

    asked: int = ASKED
    listed: tuple[Place, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Self:
        """What ``keys/copies.toml`` says; no copies, and three asked for, where there is no such file.

        Unreadable: a path that stands twice, or that lies in the archive or has it in itself.
        """
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, RecursionError) as error:
            raise Unreadable(file, "copies in TOML", str(error)) from None
        asked, tables = tree.pop("asked", ASKED), tree.pop("copy", [])
        if tree or type(asked) is not int or asked < 1 or not isinstance(tables, list):
            raise Unreadable(file, "asked = 3, or another number from 1 on, and tables [[copy]]", str(tree))
        archive = file.parent.parent
        listed: list[Place] = []
        for number, table in enumerate(cast("list[object]", tables), start=1):
            given = cast("dict[str, object]", table) if isinstance(table, dict) else {}
            if set(given) != {"path"} or not isinstance(given["path"], str):
                raise Unreadable(file, 'path = "…" and nothing else', f"copy {number}: {table}")
            place = Place(given["path"], archive / given["path"])
            if wrong := _objection(place.folder, archive, listed):
                raise Unreadable(file, "copies in folders of their own", f"copy {number}: {wrong}")
            listed.append(place)
        return cls(asked, tuple(listed))

    @property
    def places(self) -> tuple[Place, ...]:
        """Those that are there now."""
        return tuple(place for place in self.listed if _stands(place.folder))

    def faults(self) -> tuple[Fault, ...]:
        """Those that are not."""
        says = "no archive is there: mount it, or make a new one with accord keep copy DIR"
        missing = [place for place in self.listed if not _stands(place.folder)]
        return tuple(Fault("cannot be checked", place.name, says) for place in missing)

    def write(
        self, archive: Archive, urn: str, progress: Progress = _SILENT, steps: Steps | None = None
    ) -> tuple[Fault, ...]:
        """Bring the object, with all its versions, to every copy, and read there what was written.

        Public keys and roles go along. What is wrong is told, and no content that stands is touched; a copy
        that is closed or full stops none of the others.
        """
        faults = list(self.faults())
        here, key = Place("", archive.folder), object_key(urn)
        for place in self.places:
            try:
                faults += _write(here, place, key, steps or Steps(), progress)
                _keys(archive.folder / "keys", place.folder / "keys")
            except (Refused, OSError) as error:
                faults.append(Fault("cannot be checked", place.name, " ".join(str(error).split())))
        return tuple(faults)

    def enlist(self, archive: Archive, path: Path, clock: Callable[[], float], progress: Progress) -> Self:
        """Make a copy in the new folder ``path`` and write all objects to it; the copies with this one.

        Refused: a folder that stands (unless it is a copy that a killed process was making here), and one
        that lies in the archive or has it in itself.
        """
        file, locks = archive.folder / "keys" / _FILE, archive.work / "locks"
        with disk(locks), locked(locks, "copies", 0.0, progress):
            if type(self).read(file).listed != self.listed:
                raise Refused(f"{file}: was changed meanwhile\n  accord keep copy {path}")
            self._fill(archive, path, clock, progress)
            place = Place(str(path.absolute()), path)
            tables = [{"path": one.name} for one in (*self.listed, place)]
            write_aside(file, tomli_w.dumps({"asked": self.asked, "copy": tables}))
        (path / "keys" / _MAKING).unlink()
        return type(self)(self.asked, (*self.listed, place))

    def _fill(self, archive: Archive, path: Path, clock: Callable[[], float], progress: Progress) -> None:
        if wrong := _objection(path, archive.folder, self.listed):
            raise Refused(f"{path}: {wrong}\n  name a folder of its own, best on another disk")
        if not _stands(path):
            Archive.make(path, clock)
        elif not (path / "keys" / _MAKING).exists():
            raise Refused(f"{path}: an archive stands there already\n  name a new folder")
        write_aside(path / "keys" / _MAKING, "")
        alone = type(self)(self.asked, (Place(str(path.absolute()), path),))
        for urn in archive.objects():
            if faults := alone.write(archive, urn, progress):
                raise Refused(f"{path}: {faults[0]}\n  see accord verify --all")


def _write(here: Place, place: Place, key: str, steps: Steps, progress: Progress) -> list[Fault]:
    folders = [here.object(key), place.object(key)]
    before = shape(place.object(key), agree(folders, {})).here
    done = mend(place, [here, place], key, (), {}, steps=steps, progress=progress)
    if done.faults:
        return list(done.faults)
    agreed = agree(folders, {})  # whoever adds meanwhile brings that version too
    content = agreed.content(shape(place.object(key), agreed).here)
    fresh = {path: digest for path, digest in content.items() if born(path) > before}
    with Reader(2, Pace(), progress) as reader:
        read = list(reader.read(place.object(key), fresh))
    return [Fault(one.kind, str(place.object(key) / one.path), one.says) for one in read if one.kind]


def _keys(here: Path, there: Path) -> None:
    """Without them nobody can check what a copy holds. A key is never written over: its id is its name."""
    for file in sorted(here.glob("*.pem")):
        if not (there / file.name).exists():
            write_aside(there / file.name, file.read_bytes())
    roles = plain(here / "roles.toml")
    if roles is not None and plain(there / "roles.toml") != roles:
        write_aside(there / "roles.toml", roles)


def _stands(path: Path) -> bool:
    """Whether an archive is there, sound or not: an empty mount point is none."""
    return all((path / name).is_dir() for name in ("root", "work/locks", "keys"))


def _objection(path: Path, archive: Path, others: Sequence[Place]) -> str:
    own, top = path.resolve(), archive.resolve()
    if own == top or own.is_relative_to(top) or top.is_relative_to(own):
        return "lies in the archive, or has it in itself"
    return "is a copy already" if own in {other.folder.resolve() for other in others} else ""
