"""Every change an archive makes to the disk, one step at a time.

Nothing else changes what lies below ``root/`` or ``work/``. So a test that stops the program before the n-th
step, for every n, has stopped it everywhere it can be stopped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from accord.stores.files import sync_folder, write_at

__all__ = ["Before", "Steps"]

Before = Callable[[str, Path], None]
"""Called with the name of a step and its path before the step is done."""


def _go_on(step: str, path: Path) -> None:
    del step, path


class Steps:
    """The steps. What a call of ``before`` raises goes up as it is, and the step is not done."""

    def __init__(self, before: Before = _go_on) -> None:
        self._before = before

    def make_folder(self, path: Path) -> None:
        """One folder; the one above it must stand."""
        self._before("make_folder", path)
        path.mkdir()

    @contextmanager
    def new_file(self, path: Path) -> Generator[NewFile]:
        """A file that does not stand yet. It is on disk only once ``sync`` was called; closed in any case."""
        self._before("create", path)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            yield NewFile(path, number, self._before)
        finally:
            os.close(number)

    def write(self, path: Path, data: bytes) -> None:
        """A new file with this content, on disk when it returns; its name is, once its folder is synced."""
        with self.new_file(path) as file:
            file.write(data)
            file.sync()

    def sync_folder(self, path: Path) -> None:
        """The names in this folder are on disk when it returns."""
        self._before("sync_folder", path)
        sync_folder(path)

    def rename(self, path: Path, to: Path) -> None:
        """``path`` is called ``to``, which it replaces when both are files; not yet on disk."""
        self._before("rename", to)
        path.rename(to)

    def publish(self, path: Path, to: Path) -> None:
        """``rename``, and both folders are on disk when it returns."""
        self.rename(path, to)
        self.sync_folder(to.parent)
        self.sync_folder(path.parent)

    def remove(self, path: Path) -> None:
        """A file, or a folder with all in it, is gone. Only ever called for what lies in ``work/``."""
        self._before("remove", path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


class NewFile:
    """An open file that is written from its start to its end."""

    def __init__(self, path: Path, number: int, before: Before) -> None:
        self._path, self._number, self._before, self._end = path, number, before, 0

    def write(self, data: bytes) -> None:
        """The next bytes."""
        self._before("write", self._path)
        write_at(self._number, data, self._end)
        self._end += len(data)

    def sync(self) -> None:
        """All that was written is on disk when it returns, and the file is read-only: it has a digest now."""
        self._before("sync", self._path)
        os.fchmod(self._number, 0o444)
        os.fsync(self._number)
