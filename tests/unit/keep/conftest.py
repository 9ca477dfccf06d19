"""An archive with a copy, made once and broken by each test in a copy of its own."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from unit.keep.kept import Kept, make


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """A folder in memory where the system has one: thousands of renames are quick there."""
    shared = Path("/dev/shm")
    there = shared if os.access(shared, os.W_OK) else tmp_path_factory.mktemp("kept")
    with TemporaryDirectory(dir=there) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def built(memory: Path) -> Kept:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        return make(memory / "built", copies=1)


@pytest.fixture
def kept(built: Kept, memory: Path, tmp_path: Path) -> Kept:
    return built.moved(memory / tmp_path.name)
