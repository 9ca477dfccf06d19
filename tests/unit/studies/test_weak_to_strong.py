"""Weak-to-strong: the confidence loss without its jump; a gap that is told, or refused, by its own teacher.

Mutants: the published ramp (.05 at a tenth, then .5), a threshold of one half where the labels' balance is
another, the student's share and the weak label's exchanged, the gap over the weak model where another taught,
a weak model that sees whole images, a student that sees what the weak one does.
"""

from __future__ import annotations

import math
import tomllib
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from accord.records.rows import Floats
from accord.studies.arms import Cell, Measured
from accord.studies.port import Setting
from accord.studies.pupils import Pupil
from accord.studies.weak_to_strong import WeakToStrong, confident, hardened, ramp, shares
from accord.worlds.parity import ParityDigits

TOML = tomllib.loads((resources.files("accord.studies") / "weak_to_strong.toml").read_text("utf-8"))
SMALL = {
    **TOML,
    "images": {"test": 40, "read": 60, "first": 24, "second": 60},
    "layers": {"strong": [24], "weak": [4]},
    "paces": {"reading": [3, 16, 3e-3], "weak": [12, 8, 1e-2], "student": [2, 16, 1e-3]},
}


@given(st.integers(10, 3000), st.floats(0.05, 0.9), st.floats(0.02, 1.0))
def test_the_ramp_rises_without_a_jump(steps: int, most: float, rising: float) -> None:
    c = [ramp(t, steps, most, rising) for t in range(steps + 1)]
    assert c[0] == 0 and c[-1] == pytest.approx(most) and c == sorted(c)
    assert max(b - a for a, b in pairwise(c)) <= most / (rising * steps) + 1e-12
    assert ramp(math.ceil(rising * steps), steps, most, rising) == pytest.approx(most)


def test_the_ramp_by_hand() -> None:
    """Of 1,000 steps: at the 50th half way, at the 99th .495, from the 100th on .5."""
    assert [ramp(t, 1000) for t in (0, 50, 99, 100, 101, 999)] == pytest.approx(
        [0, 0.25, 0.495, 0.5, 0.5, 0.5]
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40, unique=True), st.floats(0, 1))
def test_as_many_are_hardened_to_one_as_the_weak_labels_have(p: list[float], balance: float) -> None:
    found = hardened(np.array(p), balance)
    assert found.sum() == round(balance * len(p))
    if 0 < found.sum() < len(p):
        assert np.array(p)[found == 1].min() > np.array(p)[found == 0].max()


def test_the_target_by_hand() -> None:
    """p = .2, .4, .3, .1 of which a quarter is 1: the second alone, though none is above one half."""
    weak, student = np.array([0.9, 0.5, 0.1, 0.0]), np.array([0.2, 0.4, 0.3, 0.1])
    assert confident(weak, student, 0.2, 0.25) == pytest.approx([0.72, 0.6, 0.08, 0.0])
    assert confident(weak, student, 0.0, 0.25).tolist() == weak.tolist()


def cell(arm: str, right: float, teacher: float | None = None) -> Measured:
    def first(share: float) -> dict[str, float]:
        return {f"image {i}": float(i < share * 100) for i in range(100)}

    items = {"right": first(right)} | ({} if teacher is None else {"teacher": first(teacher)})
    return Measured(arm, 0, "measured", items=items)


def test_the_share_of_the_gap_is_over_the_own_teacher_and_refused_where_there_is_none() -> None:
    cells = [
        cell("ceiling", 0.9),
        cell("naive", 0.8, 0.6),
        cell("chance", 0.5, 0.5),
        cell("tiny_gap", 0.9, 0.89),
    ]
    found = shares({one.arm: one for one in cells})
    assert found["naive"]["pgr"]["seed"] == pytest.approx(2 / 3) and found["naive"]["refused"] == {
        "seed": 0.0
    }
    assert found["chance"]["pgr"]["seed"] == 0
    told = [found[arm]["reached"]["seed"] for arm in ("naive", "chance", "tiny_gap")]
    assert told == [1.0, 0.0, 0.0], "a share that is refused is not reached"
    assert "pgr" not in found["tiny_gap"] and found["tiny_gap"]["refused"] == {"seed": 1.0}
    assert shares({"naive": cells[1]}) == {}


def test_every_arm_at_small_settings(tmp_path: Path) -> None:
    study = WeakToStrong.model_validate(SMALL)
    cells: dict[str, Measured] = {}
    with study.opened(Setting(tmp_path, 1, study.arms), 0) as do:
        for arm in study.arms:
            cells[arm] = do(Cell(arm, 0, tmp_path / f"{arm}-0"))
    right = {arm: one.items["right"] for arm, one in cells.items()}
    assert len({frozenset(tasks) for tasks in right.values()}) == 1 and len(right["weak"]) == 40
    assert cells["naive"].items["teacher"] == right["weak"], "its teacher is the weak model"
    assert cells["chance"].items["teacher"] != right["weak"]
    assert right["naive"] != right["confidence"] or right["naive"] != right["ceiling"]
    reads = {arm: (one.figures["truths_fit"], one.figures["truths_score"]) for arm, one in cells.items()}
    assert reads["ceiling"] == (60, 40) and reads["weak"] == (24, 40), "half 2 is the ceiling's alone"
    assert all(reads[arm] == reads["weak"] for arm in ("naive", "confidence", "chance"))
    assert reads["tiny_gap"] == reads["ceiling"], "its teacher is a ceiling"


@pytest.mark.parametrize(("arm", "whole"), [("weak", False), ("ceiling", True)])
def test_the_weak_model_alone_sees_less(
    arm: str, whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    shown = Pupil.show

    def show(
        one: Pupil, config: ParityDigits, names: list[str], target: Floats, place: int, seed: int
    ) -> None:
        seen.add(config.config)
        shown(one, config, names, target, place, seed)

    monkeypatch.setattr(Pupil, "show", show)
    study = WeakToStrong.model_validate({**SMALL, "seen": 7})
    with study.opened(Setting(tmp_path, 1, study.arms), 0) as do:
        do(Cell(arm, 0, tmp_path / f"{arm}-0"))
    dim, reads = ParityDigits(answers=2, seen=7), [ParityDigits(ask="digit"), ParityDigits(answers=2)]
    assert seen == {config.config for config in (reads if whole else [dim])}


def test_an_arm_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="arms"):
        WeakToStrong.model_validate({**SMALL, "arms": ["weak", "naiv"]})
