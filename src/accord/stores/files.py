"""Durable writing: a file or folder is either whole under its name, or not there.

What carries a name survives a kill and a power cut. Leftovers of a killed writer begin with a dot and end in
``.aside``; nothing reads them and they may be deleted.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from accord.errors import Refused

__all__ = ["aside", "disk", "file_sha256", "make_folder", "promote", "sync_folder", "write_aside", "write_at"]

_FULL = ("no space left", "free some space there, then repeat; what was complete before stands")
_CLOSED = ("permission denied", "make it writable for this user, or name another folder")
_TROUBLE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: ("the disk quota is used up", _FULL[1]),
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: ("the file system is read-only", "mount it writable, or name another folder"),
}


@contextmanager
def disk(path: Path) -> Generator[None]:
    """Say a full or closed disk as one Refused that names ``path``; every other OSError passes as it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in _TROUBLE:
            raise
        what, advice = _TROUBLE[error.errno]
        raise Refused(f"{path}: {what}\n  {advice}") from error


def sync_folder(path: Path) -> None:
    """The names in this folder are on disk when it returns."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folder(path: Path) -> None:
    """Make the folder and those above it, durably; one that stands is left as it is."""
    with disk(path):
        new = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for folder in reversed(new):
            sync_folder(folder.parent)


def write_at(file: int, data: bytes, offset: int) -> None:
    """All of ``data`` into an open file; one call to the system may take only a part of it."""
    left = memoryview(data)
    while left:
        done = os.pwrite(file, left, offset)
        left, offset = left[done:], offset + done


@contextmanager
def aside(path: Path) -> Generator[int]:
    """An open file beside ``path`` that becomes ``path`` when the block ends well, and else is gone."""
    # A short name of its own: the name of the file plus a suffix could be too long for the file system.
    temporary = path.parent / f".{uuid4().hex}.aside"
    with disk(path):
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                yield file
                os.fsync(file)
            finally:
                os.close(file)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_aside(path: Path, data: bytes | str) -> None:
    """Put ``data`` (text as UTF-8) under this name, replacing what was there; its folder must exist."""
    with aside(path) as file:
        write_at(file, data.encode("utf-8") if isinstance(data, str) else data, 0)


def promote(work: Path, final: Path) -> None:
    """Give a finished folder its final name, once every file and folder in it is on disk.

    Refused when ``final`` exists. Both must lie in one file system.
    """
    if not work.is_dir():
        raise Refused(f"{work}: is no folder, so it cannot become {final}\n  finish writing it first")
    if final.exists() or final.is_symlink():
        raise Refused(f"{final}: stands already\n  remove it, or name another folder")
    with disk(final):
        for folder, _, names in os.walk(work, topdown=False):
            for name in names:
                _sync_file(Path(folder) / name)
            sync_folder(Path(folder))
        try:
            work.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise Refused(f"{final}: was made meanwhile by another process\n  see {work}") from error
        for parent in {work.parent, final.parent}:
            sync_folder(parent)


def _sync_file(path: Path) -> None:
    if path.is_symlink():  # its name is synced with the folder; what it points at is not ours
        return
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of what the file holds, streamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
