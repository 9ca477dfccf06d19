"""A cell is done once, a crash is kept as one, and what a person can mend is no crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.reports.written import plan_of

from accord.errors import PlanError, Unreadable
from accord.plan import read_plan
from accord.progress import Silent
from accord.studies.arms import Cell, Measured, impossible, measured, trained, unsolved
from accord.studies.findings import series_of


def clock() -> float:
    return 0.0


def told(arm: str = "a", seed: int = 0, **items: dict[str, float]) -> Measured:
    return Measured(arm, seed, "measured", items=items or {"gold": {"x": 1.0}}, seconds=2.0)


def test_a_cell_is_done_once(tmp_path: Path) -> None:
    cell, times = Cell("a", 3, tmp_path / "a-3"), []

    def do(one: Cell) -> Measured:
        times.append(one)
        return told(one.arm, one.seed)

    first = measured(cell, do, clock)
    assert measured(cell, do, clock) == first and times == [cell]
    (tmp_path / "a-3" / "measured.json").write_text("{", "utf-8")
    with pytest.raises(Unreadable, match="a study measured of a, seed 3"):
        measured(cell, do, clock)


def test_a_crash_is_a_result_and_is_kept(tmp_path: Path) -> None:
    cell = Cell("a", 0, tmp_path / "a-0")

    def broken(one: Cell) -> Measured:
        raise ZeroDivisionError(f"in {one.arm}")

    found = measured(cell, broken, clock)
    assert found.lost and found.why == "ZeroDivisionError: in a"
    assert "ZeroDivisionError" in (cell.folder / "crash.txt").read_text("utf-8")
    assert measured(cell, lambda _: told(), clock) == found, "nobody tries till it works"


@pytest.mark.parametrize(
    "wrong",
    [
        told(gold={"x": float("nan")}),
        told(gold={"x": 1.0})._replace(figures={"kl": float("inf")}),
        told(gold={}),
        told("b"),
        told(seed=1),
    ],
)
def test_what_is_no_number_or_of_another_cell_is_a_crash_at_once_and_not_on_the_next_call(
    tmp_path: Path, wrong: Measured
) -> None:
    cell = Cell("a", 0, tmp_path / "a-0")
    found = measured(cell, lambda _: wrong, clock)
    assert found.state == "crashed" and "numbers" in found.why
    assert measured(cell, lambda _: told(), clock) == found


def test_what_a_person_can_mend_is_no_crash(tmp_path: Path) -> None:
    def refused(one: Cell) -> Measured:
        raise PlanError("model", one.arm, "a model")

    with pytest.raises(PlanError):
        measured(Cell("a", 0, tmp_path / "a-0"), refused, clock)
    assert not (tmp_path / "a-0").exists()


def test_a_damaged_run_is_said_and_is_no_result(tmp_path: Path) -> None:
    cell = Cell("a", 0, tmp_path / "a-0")
    cell.folder.mkdir()
    (cell.folder / "run.json").write_text("{", "utf-8")
    plan = read_plan(plan_of())
    with pytest.raises(Unreadable, match="head of a run"):
        measured(cell, lambda one: told(str(trained(one, plan, Silent()))), clock)
    assert not (cell.folder / "measured.json").exists()


@pytest.mark.parametrize("none", [impossible, unsolved])
def test_what_has_no_result_by_itself_is_not_lost_and_has_no_figure(tmp_path: Path, none: object) -> None:
    assert callable(none)
    cell = Cell("a", 0, tmp_path / "a-0")
    found = measured(cell, lambda one: none(one, "no words"), clock)
    assert (found.state, found.lost) == (none(cell, "").state, False)
    assert json.loads((cell.folder / "measured.json").read_text("utf-8"))["why"] == "no words"
    assert series_of([found], "a") == {}


def test_tasks_are_in_the_order_of_their_names_and_a_figure_is_over_the_seeds_that_have_it() -> None:
    cells = [
        told(seed=1, gold={"y": 1.0, "x": 0.0}),
        told(seed=0, gold={"x": 0.5, "y": 0.25}, kl={"x": 0.1}),
    ]
    found = series_of(cells, "a")
    assert [one.tolist() for one in found["gold"].values] == [[0.5, 0.25], [0.0, 1.0]] and found["gold"].same
    assert found["kl"].seeds == (0,)
