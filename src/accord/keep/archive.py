"""The archive: an OCFL 1.1 storage root whose objects only grow, and the folders beside it.

    archive/  root/    the storage root; nothing in it but objects and the files that say what it is
              work/    versions in flight and locks; on the same file system
              fixity/  what was checked and when      keys/  public keys, roles, where copies lie

A version is put in place by renames alone, so it is there whole or not at all, and older versions are
readable at every instant. There is no way here to change or remove what is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from shutil import rmtree
from typing import NamedTuple, Self
from uuid import uuid4

from accord.errors import AccordError, Refused, Unreadable
from accord.keep.content import Incoming, Outgoing, Stored, members
from accord.keep.manifest import Manifest, checked_name
from accord.keep.ocfl import (
    DECLARED,
    INVENTORY,
    SIDECAR,
    Inventory,
    Version,
    object_folder,
    object_key,
    root_files,
    sidecar,
    stamp,
)
from accord.keep.recovery import (
    begin,
    current,
    leftovers,
    locked,
    prepare,
    publish_object,
    seal,
    settle,
    swing,
)
from accord.keep.steps import Steps
from accord.progress import Progress, Silent
from accord.stores.files import disk, make_folder, promote

__all__ = ["Archive", "Kept", "Why"]

_SILENT = Silent()
_FOLDERS = ("root", "work", "work/locks", "fixity", "keys")


class Why(NamedTuple):
    """What an inventory says of a version: why it was added, and by whom."""

    message: str
    name: str


class Kept(NamedTuple):
    """A version that is kept: its number from 1 on, when (UTC), why, by whom."""

    number: int
    created: str
    message: str
    name: str


class Archive:
    """An archive that stands. Any number of processes may read and add, one at a time to the same object.

    ``clock`` gives seconds since 1970. Adding waits up to ``patience`` seconds for its object to be free.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float], progress: Progress, steps: Steps, patience: float
    ) -> None:
        self.folder, self.root, self.work = folder, folder / "root", folder / "work"
        self._clock, self._progress, self._steps, self._patience = clock, progress, steps, patience

    @classmethod
    def make(
        cls,
        folder: Path,
        clock: Callable[[], float],
        progress: Progress = _SILENT,
        steps: Steps | None = None,
        patience: float = 60.0,
    ) -> Self:
        """A new archive without objects. Refused when ``folder`` stands."""
        make_folder(folder.parent)
        aside = folder.parent / f".{uuid4().hex}.aside"
        try:
            with disk(folder):
                for name in _FOLDERS:
                    (aside / name).mkdir(parents=True)
                for name, data in root_files().items():
                    (aside / "root" / name).parent.mkdir(parents=True, exist_ok=True)
                    (aside / "root" / name).write_bytes(data)
            promote(aside, folder)
        except (OSError, AccordError):
            rmtree(aside, ignore_errors=True)
            raise
        return cls.open(folder, clock, progress, steps, patience)

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Callable[[], float],
        progress: Progress = _SILENT,
        steps: Steps | None = None,
        patience: float = 60.0,
    ) -> Self:
        """The archive in ``folder``. What a killed process left behind is finished or removed first."""
        for name, data in root_files().items():
            path = folder / "root" / name
            if not path.is_file() or path.read_bytes() != data:
                found = "another" if path.is_file() else "no such file"
                raise Unreadable(path, "an archive of Accord, which has this file", found)
        for name in _FOLDERS:
            if not (folder / name).is_dir():
                raise Unreadable(folder / name, "a folder of an archive", "no such folder; make it, empty")
        self = cls(folder, clock, progress, steps or Steps(), patience)
        if self.root.stat().st_dev != self.work.stat().st_dev:
            advice = "put them on one: a finished version is renamed into place"
            raise Refused(f"{folder}: root/ and work/ lie on two file systems\n  {advice}")
        self._tidy()
        return self

    def objects(self) -> list[str]:
        """The ids of all objects, sorted."""
        return sorted(current(folder)[0].id for folder in self.folders())

    def folders(self) -> list[Path]:
        """The folders of all objects, sound or not; nothing in them is read."""
        return sorted(path.parent for path in self.root.glob(f"*/*/*/*/{DECLARED[0]}"))

    def inventory(self, urn: str) -> Inventory:
        """What the object holds. Refused when there is none of that id."""
        folder = self._folder(urn)
        if not folder.is_dir():
            raise Refused(f"{urn}: is not kept in {self.folder}\n  accord verify --all lists what is")
        return _own(urn, folder, current(folder)[0])

    def versions(self, urn: str) -> list[Kept]:
        """All versions, oldest first."""
        versions = self.inventory(urn).versions
        return [_kept(number, version) for number, version in enumerate(versions, start=1)]

    def state(self, urn: str, version: int | None = None) -> Mapping[str, Stored]:
        """Logical name to content file, of the newest version for None; weights appear as their pieces."""
        return self._outgoing(urn, version).stored()

    def manifest(self, urn: str, version: int | None = None) -> Manifest:
        """The files of a version as they were handed over; weights are not read."""
        return Manifest(self._outgoing(urn, version).files())

    def read(self, urn: str, name: str, version: int | None = None) -> bytes:
        """A file of ``state``. Unreadable when it does not fit its digest."""
        return self._outgoing(urn, version).read(name)

    def inventory_sha512(self, urn: str, version: int | None = None) -> str:
        """The digest of the inventory as it stood with this version, of the newest for None."""
        found = self.inventory(urn)
        found.version(version)
        path = self._folder(urn) / f"v{found.head if version is None else version}"
        data = (path / INVENTORY).read_bytes()
        if (path / SIDECAR).read_bytes() != sidecar(data):
            raise Unreadable(path / INVENTORY, f"the SHA-512 that {SIDECAR} has", "another: damaged")
        return hashlib.sha512(data).hexdigest()

    def extract(self, urn: str, to: Path, version: int | None = None) -> Manifest:
        """The version's files as they were handed over, in the new folder ``to``; every digest is checked."""
        outgoing = self._outgoing(urn, version)
        if to.exists() or to.is_symlink():
            raise Refused(f"{to}: stands already\n  remove it, or name another folder")
        found = Manifest(outgoing.files())
        make_folder(to.parent)
        aside = to.parent / f".{uuid4().hex}.aside"
        self._progress.begin(f"write {to.name}", found.size)
        try:
            with disk(to):
                aside.mkdir()
                outgoing.write(aside, self._progress)
            promote(aside, to)
        except (OSError, AccordError):
            rmtree(aside, ignore_errors=True)
            raise
        self._progress.end()
        return found

    def add(self, urn: str, files: Mapping[str, Path | bytes], why: Why, whole: bool) -> Kept:
        """One more version: exactly ``files`` (whole), or what the newest one has and ``files``.

        A version with the newest one's files and reason is that one: a retry after a kill adds no second.
        Refused: a name that stands with other content (not whole), a clock before the newest version, a disk
        that is full or closed; nothing is then visible.
        """
        _check(urn, files, why)
        key = object_key(urn)
        with disk(self.root), locked(self.work / "locks", key, self._patience, self._progress):
            folder = self._folder(urn)
            old = settle(self._steps, self.work, key, folder)
            if old:
                _own(urn, folder, old)
            work = begin(self._steps, self.work, key)
            try:
                kept = self._add(work, _Object(urn, folder, old), files, why, whole)
            except (OSError, AccordError):
                self._undo(work, folder, old)
                raise
            self._steps.remove(work)
            return kept

    def _add(
        self, work: Path, target: _Object, files: Mapping[str, Path | bytes], why: Why, whole: bool
    ) -> Kept:
        old = target.old
        now, number = stamp(self._clock()), old.head + 1 if old else 1
        if old and now < old.versions[-1].created:
            told = f"the clock says {now}, but its newest version is of {old.versions[-1].created}"
            raise Refused(f"{target.urn}: {told}\n  set the clock; the order of versions is evidence")
        before: Mapping[str, str] = old.versions[-1].state if old and not whole else {}
        _check_tree([*members(before), *files])
        incoming = Incoming(self._steps, work, number, old)
        self._progress.begin("archive", sum(_size(source) for source in files.values()))
        for name, source in sorted(files.items()):
            incoming.put(name, source, self._progress)
        self._progress.end()
        for name, digest in incoming.state.items():
            if before.get(name, digest) != digest:
                told = f"{name} stands already, with other content\n  add it under another name"
                raise Refused(f"{target.urn}: {told}")
        version = Version(now, why.message, why.name, {**before, **incoming.state})
        if old and replace(version, created=old.versions[-1].created) == old.versions[-1]:
            return _kept(old.head, old.versions[-1])
        versions = (*(old.versions if old else ()), version)
        inventory = Inventory(target.urn, versions, incoming.known, incoming.sha256)
        self._write(work, target, inventory.encode(), number)
        return _kept(number, version)

    def _write(self, work: Path, target: _Object, data: bytes, number: int) -> None:
        """The version ``work/v<number>`` becomes visible, with the inventory ``data``."""
        steps, version = self._steps, work / f"v{number}"
        if not version.is_dir():
            steps.make_folder(version)
        seal(steps, version, data)
        if target.old:
            prepare(steps, work, data)
            steps.publish(version, target.folder / version.name)
            swing(steps, work, target.folder)
        else:
            publish_object(steps, work, self.root, target.folder.relative_to(self.root), data)

    def _undo(self, work: Path, folder: Path, old: Inventory | None) -> None:
        """Nothing of a version that failed is visible.

        Where it is too late, or the disk forbids it, what stays in ``work/`` tells the next open to finish.
        """
        with suppress(OSError, AccordError):
            if old and (version := folder / f"v{old.head + 1}").exists():
                if current(folder)[0].head > old.head:
                    return
                self._steps.publish(version, work / version.name)
            self._steps.remove(work)

    def _tidy(self) -> None:
        for key in sorted({key for key, _ in leftovers(self.work)}):
            # Held by a live process, on a closed disk, or damaged: reading goes on all the same, and whoever
            # adds to this object next is told.
            locks = self.work / "locks"
            with suppress(Refused, Unreadable), disk(self.work), locked(locks, key, 0.0, self._progress):
                settle(self._steps, self.work, key, self.root / object_folder(key))

    def _folder(self, urn: str) -> Path:
        return self.root / object_folder(object_key(urn))

    def _outgoing(self, urn: str, version: int | None) -> Outgoing:
        return Outgoing(self._folder(urn), self.inventory(urn), version)


class _Object(NamedTuple):
    urn: str
    folder: Path
    old: Inventory | None


def _own(urn: str, folder: Path, found: Inventory) -> Inventory:
    if found.id != urn:
        raise Unreadable(folder / INVENTORY, f"the inventory of {urn}", f"that of {found.id}")
    return found


def _kept(number: int, version: Version) -> Kept:
    return Kept(number, version.created, version.message, version.name)


def _check(urn: str, files: Mapping[str, Path | bytes], why: Why) -> None:
    if not re.fullmatch(r"urn:[!-~]+", urn):
        raise Refused(f"{urn!r}: is no id of an object\n  see family_id and entry_id")
    if not why.message.strip() or not why.name.strip():
        raise Refused(f"{urn}: a version says why it was added and by whom\n  name both")
    if not files:
        raise Refused(f"{urn}: nothing to add\n  name at least one file")
    for name in files:
        if ".safetensors/" in checked_name(name):
            raise Refused(f"{name}: weights are kept in folders of such a name\n  rename the folder")


def _check_tree(names: Iterable[str]) -> None:
    """Refused where a name is that of a file and of a folder."""
    held = set(names)
    for name in sorted(held):
        for folder in PurePosixPath(name).parents:
            if folder.as_posix() in held:
                raise Refused(f"{folder}: is a file, and {name} lies in it\n  rename one of them")


def _size(source: Path | bytes) -> int:
    if isinstance(source, bytes):
        return len(source)
    return source.stat().st_size if source.is_file() else 0
