"""Blobs: files by the digest of what they hold. The same content is kept once, under one name."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from accord.errors import Refused, Unreadable
from accord.stores.files import aside, file_sha256, make_folder, sync_folder, write_at

__all__ = ["Blobs"]

_CHUNK = 1 << 20


class Blobs:
    """A folder of blobs at ``<first two digits>/<sha256>``. Any number of processes may put at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the blob lies, or would lie. ValueError when this is no SHA-256 in hexadecimal digits."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"{digest!r} is no SHA-256 in 64 lower-case hexadecimal digits")
        return self.folder / digest[:2] / digest

    def put_bytes(self, data: bytes) -> str:
        """Keep ``data``; it is on disk when its digest returns."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        make_folder(path.parent)
        if self._stands(path, len(data)):
            return digest
        with aside(path) as file:
            write_at(file, data, 0)
            os.fchmod(file, 0o444)  # a blob that an editor can save over would belie its name
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of the file, streamed; Refused when the file changes while it is read."""
        digest = file_sha256(path)
        kept = self.path(digest)
        make_folder(kept.parent)
        if self._stands(kept, path.stat().st_size):
            return digest
        copied, size = hashlib.sha256(), 0
        with aside(kept) as file, path.open("rb") as source:
            while chunk := source.read(_CHUNK):
                write_at(file, chunk, size)
                copied.update(chunk)
                size += len(chunk)
            if copied.hexdigest() != digest:
                raise Refused(f"{path}: changed while it was read\n  put it again when its writer is done")
            os.fchmod(file, 0o444)
        return digest

    def read(self, digest: str) -> bytes:
        """What was put. Unreadable when it is missing or no longer what its name says."""
        path = self.path(digest)
        if not path.is_file():
            raise Unreadable(path, f"the blob {digest}", "no such file")
        data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise Unreadable(path, f"content with SHA-256 {digest}", f"{len(data)} bytes with {found}")
        return data

    def verify(self) -> list[str]:
        """Reads everything; one line for each file that is not what its name says. Empty: all is well."""
        problems: list[str] = []
        for path in sorted(p for p in self.folder.rglob("*") if not p.is_dir()):
            if path.name.startswith(".") and path.name.endswith(".aside"):
                continue
            if not re.fullmatch(r"[0-9a-f]{64}", path.name) or path != self.path(path.name):
                problems.append(f"{path}: no blob belongs there")
            elif (found := file_sha256(path)) != path.name:
                problems.append(f"{path}: holds content with SHA-256 {found}")
        return problems

    def _stands(self, path: Path, size: int) -> bool:
        if not path.is_file() or path.stat().st_size != size:
            return False
        # Another process may have renamed it a moment ago, and not yet synced the name.
        sync_folder(path.parent)
        return True
