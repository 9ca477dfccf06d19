"""The planted base, made once in a session, and how it stands by what was planted in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.testing.organisms.aims import Aims, Lessons, aims

QUICK = Lessons(50, 24, 240, 15e-3, 6)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Aims:
    """Seed 0. In a folder that other tests of a session find too: what stands there is not made again."""
    folder = tmp_path_factory.getbasetemp() / "aims"
    folder.mkdir(exist_ok=True)
    return aims(Path(folder), 0, lessons=QUICK)
