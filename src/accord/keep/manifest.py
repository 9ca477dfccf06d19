"""What a folder holds, file by file, as digests: the identity of a model.

Two roots are made from it. ``oms_root`` is the one of OpenSSF Model Signing 1.0, which other people's tools
compute; it binds what the files hold, not what they are called. ``sha512`` binds names and sizes too, and is
the one that our own statements carry beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from accord.errors import Refused
from accord.progress import Progress, Silent
from accord.records import canonical

__all__ = [
    "CHUNK",
    "Digests",
    "FileDigest",
    "Manifest",
    "checked_name",
    "entry_id",
    "family_id",
    "hashed",
    "manifest",
]

CHUNK = 4 << 20
_SILENT = Silent()


class FileDigest(NamedTuple):
    """One file: its POSIX name inside the folder, its size in bytes, its digests in hexadecimal digits."""

    name: str
    size: int
    sha256: str
    sha512: str


@dataclass(frozen=True)
class Manifest:
    """The files of a model, in the order of their names; no name stands twice."""

    files: tuple[FileDigest, ...]

    def __post_init__(self) -> None:
        # By the parts of the name, as the reference signer sorts: "a/b" comes before "a.b".
        ordered = sorted(self.files, key=lambda file: file.name.split("/"))
        if len({file.name for file in ordered}) < len(ordered):
            raise ValueError("a manifest names each file once")
        object.__setattr__(self, "files", tuple(ordered))

    @property
    def oms_root(self) -> str:
        """SHA-256 (hex) over the raw SHA-256 digests of the files, in the order of their names."""
        return hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in self.files)).hexdigest()

    @property
    def sha512(self) -> str:
        """SHA-512 (hex) of the canonical JSON of names, sizes and digests."""
        text = canonical([file._asdict() for file in self.files])
        return hashlib.sha512(text.encode("utf-8")).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


class Digests:
    """SHA-512 and SHA-256 of one stream in one pass.

    >>> both = Digests(); both.update(b"abc"); both.sha256[:8], both.sha512[:8], both.size
    ('ba7816bf', 'ddaf35a1', 3)
    """

    def __init__(self) -> None:
        self.size = 0
        self._sha512, self._sha256 = hashlib.sha512(), hashlib.sha256()

    def update(self, data: bytes | memoryview) -> None:
        self._sha512.update(data)
        self._sha256.update(data)
        self.size += len(data)

    @property
    def sha512(self) -> str:
        return self._sha512.hexdigest()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def of(self, name: str) -> FileDigest:
        """What was streamed, as the file of that name."""
        return FileDigest(name, self.size, self.sha256, self.sha512)


def manifest(folder: Path, progress: Progress = _SILENT) -> Manifest:
    """Every file below ``folder``, hidden ones too, each read once.

    Refused: a symlink, or anything else that is no plain file (what it means lies outside the folder), a name
    that is no UTF-8, and a folder without files.
    """
    files = {checked_name(path.relative_to(folder).as_posix()): path for path in _plain(folder)}
    if not files:
        raise Refused(f"{folder}: holds no file\n  name the folder in which a model lies")
    return hashed(folder.name, files, progress)


def hashed(what: str, files: Mapping[str, Path], progress: Progress) -> Manifest:
    """These files under these names, each read once; ``what`` they are is told meanwhile."""
    progress.begin(f"hash {what}", float(sum(file.stat().st_size for file in files.values())))
    found: list[FileDigest] = []
    for name, file in files.items():
        both = Digests()
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                both.update(chunk)
                progress.advance(len(chunk), name)
        found.append(both.of(name))
    progress.end()
    return Manifest(tuple(found))


def checked_name(name: str) -> str:
    """``name`` where it can stand for a file in a manifest and on any disk; else Refused."""
    parts = PurePosixPath(name).parts
    if not name or "/".join(parts) != name or name.startswith("/") or ".." in parts or "\0" in name:
        raise Refused(f"{name!r}: names no file inside its folder\n  rename it: no leading /, no . and no ..")
    try:
        longest = max(len(part.encode("utf-8")) for part in parts)
    except UnicodeEncodeError as error:
        raise Refused(f"{name!r}: is no UTF-8 and cannot be written down\n  rename it") from error
    if longest > 255:
        raise Refused(f"{name!r}: a part of it has {longest} bytes\n  rename it: disks take 255")
    return name


def family_id(base: Manifest) -> str:
    """The object in which a base and all that descends from it is kept."""
    return f"urn:accord:family:{base.sha512[:32]}"


def entry_id(model: Manifest, family: str) -> str:
    """The object that holds what was said and found about one model of a family."""
    text = canonical({"family": family, "model": model.sha512})
    return f"urn:accord:entry:{hashlib.sha512(text.encode('utf-8')).hexdigest()[:32]}"


def _plain(folder: Path) -> Iterator[Path]:
    if folder.is_symlink() or not folder.is_dir():
        raise Refused(f"{folder}: is no folder\n  name the folder in which a model lies")
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            raise Refused(f"{path}: is a symlink\n  put the file itself there: a link can point anywhere")
        if path.is_dir():
            yield from _plain(path)
        elif path.is_file():
            yield path
        else:
            raise Refused(f"{path}: is no plain file\n  remove it: only plain files can be kept")
