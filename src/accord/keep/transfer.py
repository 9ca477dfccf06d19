"""Files of one object into one place: from any other that has them whole, and never over what is sound.

All is written in ``work/``, synced and renamed in, like a version that is added. What lay in the way was
damaged; its bytes go to ``work/quarantine/`` before anything takes its name. So whoever is killed here leaves
an object no worse than it was, and the next one does the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from accord.keep.manifest import CHUNK
from accord.keep.ocfl import object_folder
from accord.keep.recovery import begin, leftovers, prepare, publish_object, seal, swing
from accord.keep.sound import Agreed, born
from accord.keep.steps import Steps
from accord.progress import Progress

__all__ = ["Lacking", "Place", "Transfer"]


class Place(NamedTuple):
    """The archive, or a copy of it: a folder with ``root/`` and ``work/``. ``name`` is "" for the archive."""

    name: str
    folder: Path

    @property
    def shown(self) -> str:
        """What a person calls it."""
        return f"the copy {self.name}" if self.name else "the archive"

    def object(self, key: str) -> Path:
        """Where an object lies here, or would."""
        return self.folder / "root" / object_folder(key)


class Lacking(Exception):
    """No place has this content whole. Caught by those who repair and copy."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Transfer:
    """Into ``place``, from the object's folders ``sources``. The caller holds the object's lock there."""

    def __init__(
        self, steps: Steps, place: Place, agreed: Agreed, sources: Sequence[Path], progress: Progress
    ) -> None:
        self._steps, self._place, self._agreed, self._progress = steps, place, agreed, progress
        self._sources = sources
        self._work = place.folder / "work"
        self._folder = place.object(agreed.key)
        self._here = begin(steps, self._work, agreed.key)

    def close(self) -> None:
        """Nothing stays in ``work/``, of this transfer and of those that were killed."""
        for key, path in leftovers(self._work):
            if key == self._agreed.key:
                self._steps.remove(path)

    def whole(self) -> None:
        """The object, of which nothing is here, with all its versions: one rename."""
        last = self._agreed.marks[-1]
        assert last is not None
        for number in range(1, self._agreed.head + 1):
            self._version(self._here / f"v{number}", number)
        if self._folder.is_symlink() or self._folder.is_file():
            self._aside(self._folder)
        elif self._folder.exists():  # empty, else something of the object would be here
            self._steps.rename(self._folder, self._here / "empty")
        root = self._place.folder / "root"
        publish_object(self._steps, self._here, root, self._folder.relative_to(root), last.data)

    def version(self, number: int) -> None:
        """The version of that number, where those before it are here: the three renames of an addition."""
        fresh = self._here / f"v{number}"
        prepare(self._steps, self._here, self._version(fresh, number))
        self._steps.publish(fresh, self._folder / fresh.name)
        swing(self._steps, self._here, self._folder)

    def small(self, path: str, data: bytes) -> None:
        """A small file gets this content."""
        self._steps.write(self._here / "fresh", data)
        self._into_place(path)

    def content(self, path: str, digest: str) -> None:
        """A content file as it has to be. Lacking, and nothing touched, where no source has it whole."""
        self._fetch(path, digest, self._here / "fresh")
        self._into_place(path)

    def _version(self, fresh: Path, number: int) -> bytes:
        """The version, sealed, in the folder ``fresh``; its inventory."""
        mark = self._agreed.marks[number - 1]
        if mark is None:
            raise Lacking(f"v{number}/inventory.json")
        self._steps.make_folder(fresh)
        for path, digest in self._agreed.content(number).items():
            if born(path) == number:
                target = fresh / path.partition("/")[2]
                self._folders(target.parent, fresh)
                self._fetch(path, digest, target)
        seal(self._steps, fresh, mark.data)
        return mark.data

    def _fetch(self, path: str, digest: str, to: Path) -> None:
        for source in self._sources:
            file = source / path
            if file.is_symlink() or not file.is_file():
                continue
            try:
                if self._copied(file, to) == digest:
                    return
            except _Unread:
                pass
            self._steps.remove(to)
        raise Lacking(path)

    def _copied(self, file: Path, to: Path) -> str:
        """Copies a file to disk; its SHA-512 as it was read."""
        sha512 = hashlib.sha512()
        with self._steps.new_file(to) as target:
            for chunk in _chunks(file):
                sha512.update(chunk)
                target.write(chunk)
                self._progress.advance(len(chunk))
            target.sync()
        return sha512.hexdigest()

    def _into_place(self, path: str) -> None:
        """``fresh`` takes the name ``path``; what has it goes to quarantine first."""
        target = self._folder / path
        self._clear(target.parent)
        if target.is_symlink() or (target.exists() and not target.is_file()):
            self._aside(target)
        elif target.exists():
            self._quarantine(target)
        self._folders(target.parent, self._folder)
        self._steps.publish(self._here / "fresh", target)

    def _clear(self, folder: Path) -> None:
        """What stands where a folder has to be goes to quarantine."""
        for above in [*reversed(folder.relative_to(self._folder).parents), folder.relative_to(self._folder)]:
            path = self._folder / above
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                self._aside(path)

    def _quarantine(self, file: Path) -> None:
        """A copy of the damaged file: until it is replaced, the little that it still holds stays in place."""
        try:
            digest = self._copied(file, self._here / "damaged")
        except _Unread:
            self._steps.remove(self._here / "damaged")
            self._aside(file)
            return
        kept = self._kept(file, digest[:16])
        if kept.exists():
            self._steps.remove(self._here / "damaged")
            return
        self._folders(kept.parent, self._work)
        self._steps.publish(self._here / "damaged", kept)

    def _aside(self, path: Path) -> None:
        """What cannot be copied is moved itself."""
        kept = self._kept(path, uuid4().hex[:16])
        self._folders(kept.parent, self._work)
        self._steps.publish(path, kept)

    def _kept(self, path: Path, name: str) -> Path:
        inside = path.relative_to(self._folder)
        return self._work / "quarantine" / self._agreed.key / name / inside

    def _folders(self, folder: Path, top: Path) -> None:
        if folder != top and not folder.is_dir():
            self._folders(folder.parent, top)
            self._steps.make_folder(folder)
            self._steps.sync_folder(folder.parent)


class _Unread(Exception):
    """Never leaves this file: the disk does not give a file out."""


def _chunks(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        raise _Unread(str(file)) from error
