"""A cell is done once, a crash is kept as one, and what a person can mend is no crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.errors import PlanError, Unreadable
from accord.studies.arms import Cell, Measured, impossible, measured
from accord.studies.findings import series_of


def clock() -> float:
    return 0.0


def test_a_cell_is_done_once(tmp_path: Path) -> None:
    cell, times = Cell("a", 3, tmp_path / "a-3"), []

    def do(one: Cell) -> Measured:
        times.append(one)
        return Measured(one.arm, one.seed, "measured", items={"gold": {"x": 1.0}}, seconds=2.0)

    first = measured(cell, do, clock)
    assert measured(cell, do, clock) == first and times == [cell]
    (tmp_path / "a-3" / "measured.json").write_text("{", "utf-8")
    with pytest.raises(Unreadable, match="a study measured"):
        measured(cell, do, clock)


def test_a_crash_is_a_result_and_is_kept(tmp_path: Path) -> None:
    cell = Cell("a", 0, tmp_path / "a-0")

    def broken(one: Cell) -> Measured:
        raise ZeroDivisionError(f"in {one.arm}")

    found = measured(cell, broken, clock)
    assert found.lost and found.why == "ZeroDivisionError: in a"
    assert "ZeroDivisionError" in (cell.folder / "crash.txt").read_text("utf-8")
    assert measured(cell, lambda one: Measured("a", 0, "measured"), clock) == found, (
        "nobody tries till it works"
    )


def test_what_a_person_can_mend_is_no_crash(tmp_path: Path) -> None:
    def refused(one: Cell) -> Measured:
        raise PlanError("model", one.arm, "a model")

    with pytest.raises(PlanError):
        measured(Cell("a", 0, tmp_path / "a-0"), refused, clock)
    assert not (tmp_path / "a-0").exists()


def test_what_is_not_possible_is_not_lost_and_has_no_figure(tmp_path: Path) -> None:
    cell = Cell("a", 0, tmp_path / "a-0")
    found = measured(cell, lambda one: impossible(one, "no words"), clock)
    assert (found.state, found.lost) == ("not possible here", False)
    assert json.loads((cell.folder / "measured.json").read_text("utf-8"))["why"] == "no words"
    assert series_of([found], "a") == {}


def test_tasks_are_paired_by_name_whatever_their_order() -> None:
    cells = [
        Measured("a", 1, "measured", items={"gold": {"y": 1.0, "x": 0.0}}),
        Measured("a", 0, "measured", items={"gold": {"x": 0.5, "y": 0.25}}),
    ]
    found = series_of(cells, "a")["gold"]
    assert [one.tolist() for one in found.values] == [[0.5, 0.25], [0.0, 1.0]] and found.same
