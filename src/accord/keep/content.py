"""Files into a version and out of it: weights cut into pieces, each digest stored once.

A plain file is stored as it is. A ``.safetensors`` becomes a folder of its name with ``head``, the pieces
``00000 00001 …`` in the order of their bytes, and ``recipe.json``; ``cat head 00000 00001 …`` is the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from accord.errors import Refused, Unreadable
from accord.keep.manifest import CHUNK, Digests, FileDigest
from accord.keep.ocfl import Inventory
from accord.keep.steps import Steps
from accord.keep.tensors import Piece, pieces, read_head
from accord.progress import Progress

__all__ = ["Incoming", "Outgoing", "Stored", "members"]

_WEIGHTS, _RECIPE = ".safetensors", "recipe.json"
_ELSEWHERE = "\n  accord verify --repair looks for a sound copy"


class Stored(NamedTuple):
    """A file of a version as the archive has it: its SHA-512, its size, and where its content lies."""

    sha512: str
    size: int
    path: Path


class _Recipe(BaseModel):
    """How a file is put together again, and what it must then be."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int
    sha256: str
    sha512: str
    parts: list[str]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class Incoming:
    """The content of one version in the making, below ``work/v<number>/content``.

    ``known`` maps SHA-512 to content path and grows with every file; what it has already is not stored again.
    """

    def __init__(self, steps: Steps, work: Path, number: int, old: Inventory | None) -> None:
        self._steps, self._work, self._number = steps, work, number
        self.known = dict(old.content) if old else {}
        self.sha256 = dict(old.sha256) if old else {}
        self.state: dict[str, str] = {}

    def put(self, name: str, source: Path | bytes, progress: Progress) -> None:
        """One file, read once. Refused when it changes meanwhile; Unreadable when it is malformed weights."""
        if isinstance(source, bytes):
            if name.endswith(_WEIGHTS):
                raise ValueError(f"{name}: weights are handed over as a file, not as bytes")
            digest = self._store(name, iter([source]))
            self.sha256.setdefault(self.known[digest], hashlib.sha256(source).hexdigest())
            return
        with _opened(source) as stream:
            before = os.fstat(stream.fileno())
            reading = _Reading(source, stream, progress)
            if name.endswith(_WEIGHTS):
                head = read_head(source)
                if not _same(source, before):
                    raise _changed(source)
                self._weights(name, reading, (Piece(0, head.size), *pieces(head, before.st_size)))
            else:
                sha256 = hashlib.sha256()
                digest = self._store(name, reading.chunks(before.st_size, sha256))
                self.sha256.setdefault(self.known[digest], sha256.hexdigest())
        if not _same(source, before):
            raise _changed(source)

    def _weights(self, name: str, reading: _Reading, cut: Sequence[Piece]) -> None:
        digits = max(5, len(str(len(cut))))
        parts = ["head", *(f"{number:0{digits}d}" for number in range(len(cut) - 1))]
        whole = Digests()
        for part, piece in zip(parts, cut, strict=True):
            self._store(f"{name}/{part}", reading.chunks(piece.end - piece.begin, whole))
        recipe = _Recipe(size=whole.size, sha256=whole.sha256, sha512=whole.sha512, parts=parts)
        text = json.dumps(recipe.model_dump(), indent=1) + "\n"
        self._store(f"{name}/{_RECIPE}", iter([text.encode("ascii")]))

    def _store(self, name: str, chunks: Iterator[bytes]) -> str:
        fresh, sha512 = self._work / "incoming", hashlib.sha512()
        with self._steps.new_file(fresh) as file:
            for chunk in chunks:
                sha512.update(chunk)
                file.write(chunk)
            digest = sha512.hexdigest()
            if digest not in self.known:
                file.sync()
        self.state[name] = digest
        if digest in self.known:
            self._steps.remove(fresh)
            return digest
        path = f"v{self._number}/content/{name}"
        self._folders((self._work / path).parent)
        self._steps.rename(fresh, self._work / path)
        self.known[digest] = path
        return digest

    def _folders(self, folder: Path) -> None:
        """Only where something goes in: OCFL allows no empty folder below content."""
        if not folder.is_dir():
            self._folders(folder.parent)
            self._steps.make_folder(folder)


class _Reading(NamedTuple):
    """A file read from its start, so that what is short or long is told from what was expected."""

    file: Path
    stream: BinaryIO
    progress: Progress

    def chunks(self, size: int, hashed: _Hash) -> Iterator[bytes]:
        """The next ``size`` bytes."""
        while size > 0:
            chunk = self.stream.read(min(size, CHUNK))
            if not chunk:
                raise _changed(self.file)
            hashed.update(chunk)
            self.progress.advance(len(chunk))
            size -= len(chunk)
            yield chunk


class Outgoing:
    """One version of an object, read back; every byte that is handed out fits its digest."""

    def __init__(self, folder: Path, inventory: Inventory, version: int | None) -> None:
        self._folder, self._inventory = folder, inventory
        self._state = inventory.version(version).state

    def stored(self) -> dict[str, Stored]:
        """What lies where, by logical name; content is not read."""
        return {name: self._stored(name) for name in sorted(self._state)}

    def read(self, name: str) -> bytes:
        """A stored file. Refused when the version has none of that name."""
        if name not in self._state:
            cut = f"{name}/{_RECIPE}" in self._state
            near = (
                "it is stored in pieces: extract the version"
                if cut
                else "see the names of this version's files"
            )
            raise Refused(f"{self._inventory.id}: has no file {name} in this version\n  {near}")
        stored = self._stored(name)
        data = stored.path.read_bytes()
        _fits(stored.path, hashlib.sha512(data).hexdigest(), stored.sha512)
        return data

    def files(self) -> tuple[FileDigest, ...]:
        """The files as they were handed over, from the inventory and the recipes; no weights are read."""
        return tuple(self._file(name) for name in members(self._state))

    def write(self, to: Path, progress: Progress) -> None:
        """All files as they were handed over, below the folder ``to``."""
        for name, parts in members(self._state).items():
            target = to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            expected = self._file(name)
            order = [f"{name}/{part}" for part in self._recipe(name).parts] if parts else [name]
            both = Digests()
            with target.open("xb") as file:
                for chunk in self._chunks(order):
                    both.update(chunk)
                    file.write(chunk)
                    progress.advance(len(chunk), name)
            if both.of(name) != expected:
                self._blame(order)
                raise Unreadable(self._folder, f"{name} with SHA-512 {expected.sha512}", both.sha512)

    def _chunks(self, names: Sequence[str]) -> Iterator[bytes]:
        for name in names:
            with self._stored(name).path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    yield chunk

    def _blame(self, names: Sequence[str]) -> None:
        """Unreadable for the first of the content files that does not fit its digest."""
        for name in names:
            stored = self._stored(name)
            with stored.path.open("rb") as stream:
                _fits(stored.path, hashlib.file_digest(stream, "sha512").hexdigest(), stored.sha512)

    def _file(self, name: str) -> FileDigest:
        if name in self._state:
            stored = self._stored(name)
            sha256 = self._inventory.sha256.get(self._inventory.content[stored.sha512])
            if sha256 is None:
                raise Unreadable(self._folder, f"an inventory with the SHA-256 of {name}", "none")
            return FileDigest(name, stored.size, sha256, stored.sha512)
        recipe = self._recipe(name)
        return FileDigest(name, recipe.size, recipe.sha256, recipe.sha512)

    def _recipe(self, name: str) -> _Recipe:
        path = f"{name}/{_RECIPE}"
        text = self.read(path)
        try:
            recipe = _Recipe.model_validate_json(text)
        except ValidationError as error:
            raise Unreadable(path, "a recipe that Accord wrote", str(error)) from None
        held = {part.removeprefix(f"{name}/") for part in members(self._state)[name]} - {_RECIPE}
        if set(recipe.parts) != held:
            found = ", ".join(recipe.parts)[:200]
            raise Unreadable(path, f"the parts {', '.join(sorted(held))[:200]}", found)
        return recipe

    def _stored(self, name: str) -> Stored:
        digest = self._state[name]
        path = self._folder / self._inventory.content[digest]
        if path.is_symlink() or not path.is_file():
            raise Unreadable(path, f"the content of {name}", f"no such file{_ELSEWHERE}")
        return Stored(digest, path.stat().st_size, path)


def members(state: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The files as they were handed over, by name; those stored in pieces with the names of their parts.

    >>> members({"a/m.safetensors/head": "…", "a/m.safetensors/recipe.json": "…", "b.json": "…"})
    {'a/m.safetensors': ('a/m.safetensors/head', 'a/m.safetensors/recipe.json'), 'b.json': ()}
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(state):
        folder, _, _ = name.rpartition("/")
        # Only a cut file can lie in a folder of such a name: see ``Archive.add``.
        if folder.endswith(_WEIGHTS):
            found[folder] = (*found.get(folder, ()), name)
        else:
            found[name] = ()
    return found


def _opened(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise Unreadable(source, "a file to keep", str(error.strerror)) from error


def _same(source: Path, before: os.stat_result) -> bool:
    """The file was neither written to nor replaced nor removed."""
    if not source.exists():
        return False
    now = source.stat()
    return (now.st_ino, now.st_size, now.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


def _changed(file: Path) -> Refused:
    return Refused(f"{file}: changed while it was read\n  add it again when its writer is done")


def _fits(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise Unreadable(path, f"content with SHA-512 {expected}", f"{found}: damaged{_ELSEWHERE}")
