"""Which run folder a message names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from accord.cli.place import Place, run_folder
from accord.errors import Unreadable


def test_a_new_folder_is_the_run_and_old_ones_are_not(tmp_path: Path) -> None:
    place = Place()
    assert place.folder() is None
    (tmp_path / "old").mkdir()
    place.begins_in(tmp_path)
    assert place.folder() is None
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "accord.db").touch()
    os.utime(tmp_path / "two", (1, 1))
    assert place.folder() == tmp_path / "one"


def test_a_named_run_counts_once_it_exists(tmp_path: Path) -> None:
    place = Place()
    place.begins_in(tmp_path / "runs", "mine")
    assert place.folder() is None
    (tmp_path / "runs/other").mkdir(parents=True)
    assert place.folder() is None
    (tmp_path / "runs/mine").mkdir()
    assert place.folder() == tmp_path / "runs/mine"


def test_a_run_goes_by_path_before_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/a").mkdir(parents=True)
    assert run_folder(Path("a"), Path("runs")) == Path("runs/a")
    assert run_folder(Path("runs/a"), Path("runs")) == Path("runs/a")
    (tmp_path / "a").mkdir()
    assert run_folder(Path("a"), Path("runs")) == Path("a")
    with pytest.raises(Unreadable, match="expected a run's folder, or the name of one in nowhere"):
        run_folder(Path("b"), Path("nowhere"))
